// How rows and records are written as bytes: numbers in seven-bit groups, lowest first, and texts behind
// their length. Reading never goes beyond the end; what was wrong shows in ok(). Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sb::cache {

inline void put_number(std::string& to, std::uint64_t number) {
  while (number >= 0x80U) {
    to += static_cast<char>(number | 0x80U);
    number >>= 7U;
  }
  to += static_cast<char>(number);
}

inline void put_text(std::string& to, std::string_view text) {
  put_number(to, text.size());
  to += text;
}

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80U) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view text(std::uint64_t size) {
    if (size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view found = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return found;
  }
  // At most `most`; larger is an error.
  std::uint64_t number_up_to(std::uint64_t most) {
    const std::uint64_t value = number();
    if (value <= most) return value;
    ok_ = false;
    return 0;
  }
  std::string_view text_up_to(std::uint64_t most) { return text(number_up_to(most)); }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace sb::cache
