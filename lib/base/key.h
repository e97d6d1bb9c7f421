// Key: an XXH3-128 digest as a value, and the hash of a sequence of parts. For names of things that are
// looked up often; what is promoted is named by SHA-256 (digest.h).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sb {

struct Key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const Key&, const Key&) = default;

  [[nodiscard]] std::string hex() const;    // 32 digits, xxHash's canonical order
  [[nodiscard]] std::string bytes() const;  // 16, the same order
  // The zero key for anything that is not 16 bytes.
  [[nodiscard]] static Key from_bytes(std::string_view bytes);
};

[[nodiscard]] Key key_of(std::string_view bytes);

// Hashes parts, each with its length, so that "ab","c" and "a","bc" differ. Not thread-safe.
class KeyBuilder {
 public:
  KeyBuilder();
  KeyBuilder(KeyBuilder&&) noexcept;
  KeyBuilder& operator=(KeyBuilder&&) noexcept;
  ~KeyBuilder();
  KeyBuilder& add(std::string_view part);
  KeyBuilder& add(std::uint64_t number);
  KeyBuilder& add(const Key& key);
  KeyBuilder& add_raw(
      std::string_view bytes);  // without its length: of raw parts alone, key_of() them in one
  [[nodiscard]] Key finish() const;

 private:
  struct State;
  std::string small_;             // what was added, as long as it is little: most keys are of little
  std::unique_ptr<State> state_;  // … from then on
};

}  // namespace sb

template <>
struct std::hash<sb::Key> {
  std::size_t operator()(const sb::Key& key) const noexcept { return static_cast<std::size_t>(key.low); }
};
