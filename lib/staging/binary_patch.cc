#include "staging/binary_patch.h"

#include <array>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <zlib.h>

#include "staging/path_rules.h"

namespace sb::staging {
namespace {

constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

std::optional<std::size_t> line_bytes(char letter) {
  if (letter >= 'A' && letter <= 'Z') return static_cast<std::size_t>(letter - 'A' + 1);
  if (letter >= 'a' && letter <= 'z') return static_cast<std::size_t>(letter - 'a' + 27);
  return std::nullopt;
}

// Inflates at most `size` bytes; nothing when the data is not exactly that long.
std::optional<std::string> inflate_exactly(std::string_view deflated, std::uint64_t size) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ending(&stream, inflateEnd);
  // Grows with what really comes out: a false size of 64 MiB in each of 10,000 files costs nothing.
  std::string out;
  std::array<char, 64 * 1024> block{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));  // zlib does not write to it
  stream.avail_in = static_cast<uInt>(deflated.size());
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    code = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
    if (out.size() > size) return std::nullopt;
  }
  if (code != Z_STREAM_END || stream.avail_in != 0 || out.size() != size) return std::nullopt;
  return out;
}

// Reads git's delta instructions; ok() turns false at the first that reaches beyond the delta.
class DeltaReader {
 public:
  explicit DeltaReader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::uint64_t byte() {
    if (rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const auto value = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63 && ok_; shift += 7) {
      const std::uint64_t bits = byte();
      value |= (bits & 0x7FU) << shift;
      if ((bits & 0x80U) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view take(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// A copy's offset and length: bytes that are zero are left out, and bits of the command say which.
std::string_view copied(DeltaReader& reader, std::uint64_t command, std::string_view old, bool& inside) {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if ((command & (1U << i)) != 0) offset |= reader.byte() << (8 * i);
  }
  for (unsigned i = 0; i < 3; ++i) {
    if ((command & (0x10U << i)) != 0) length |= reader.byte() << (8 * i);
  }
  if (length == 0) length = 0x10000;
  inside = offset <= old.size() && length <= old.size() - offset;
  return inside ? old.substr(offset, length) : std::string_view();
}

Result<std::string> apply_delta(std::string_view delta, std::string_view old, std::string_view path,
                                std::size_t max_bytes) {
  const auto broken = [&](std::string_view why) { return fail(broken_rule(rule::kBinaryDelta, path, why)); };
  DeltaReader reader(delta);
  const std::uint64_t old_size = reader.varint();
  const std::uint64_t new_size = reader.varint();
  if (!reader.ok()) return broken("the delta has no sizes");
  if (new_size > max_bytes) {
    return fail(broken_rule(rule::kTooLarge, path,
                            fmt::format("the result has {} bytes; the limit is {}", new_size, max_bytes)));
  }
  if (old_size != old.size()) {
    return fail(ErrorKind::conflict,
                fmt::format("the patch does not apply to {}: its binary delta is against {} bytes, "
                            "the file has {}",
                            path, old_size, old.size()));
  }
  std::string out;
  while (!reader.at_end()) {
    const std::uint64_t command = reader.byte();
    bool inside = true;
    if (command == 0) return broken("the delta has an unknown instruction");
    const std::string_view piece =
        (command & 0x80U) != 0 ? copied(reader, command, old, inside) : reader.take(command);
    if (!inside || !reader.ok())
      return broken("the delta copies from outside the old file or ends in the middle");
    if (piece.size() > new_size - out.size()) return broken("the delta makes more bytes than it says");
    out.append(piece);
  }
  if (out.size() != new_size) return broken("the delta makes fewer bytes than it says");
  return out;
}

}  // namespace

bool append_base85_line(std::string_view line, std::string& out) {
  if (line.empty()) return false;
  const auto length = line_bytes(line.front());
  line.remove_prefix(1);
  if (!length || line.size() != (*length + 3) / 4 * 5) return false;
  std::size_t left = *length;
  for (; !line.empty(); line.remove_prefix(5)) {
    std::uint64_t group = 0;
    for (const char c : line.substr(0, 5)) {
      const std::size_t digit = kAlphabet.find(c);
      if (digit == std::string_view::npos) return false;
      group = group * 85 + digit;
    }
    if (group > 0xFFFFFFFFU) return false;
    for (int shift = 24; shift >= 0 && left > 0; shift -= 8, --left) {
      out.push_back(static_cast<char>(static_cast<unsigned char>(group >> static_cast<unsigned>(shift))));
    }
  }
  return true;
}

Result<std::string> apply_binary(const BinaryHunk& hunk, std::string_view old, std::string_view path,
                                 std::size_t max_bytes) {
  if (hunk.size > max_bytes) {
    return fail(broken_rule(rule::kTooLarge, path,
                            fmt::format("the result has {} bytes; the limit is {}", hunk.size, max_bytes)));
  }
  auto bytes = inflate_exactly(hunk.deflated, hunk.size);
  if (!bytes) {
    return fail(
        broken_rule(rule::kBinaryDelta, path,
                    fmt::format("the data does not inflate to the {} bytes that it names", hunk.size)));
  }
  if (!hunk.is_delta) return std::move(*bytes);
  return apply_delta(*bytes, old, path, max_bytes);
}

}  // namespace sb::staging
