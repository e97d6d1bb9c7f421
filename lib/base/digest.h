// Digests of bytes. XXH3-128 (https://github.com/Cyan4973/xxHash) names stored bytes and detects damage;
// SHA-256 (FIPS 180-4) names what is promoted, where an adversary may have made the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sb {

// 32 lower-case hex digits, in the canonical (big-endian) byte order of xxHash.
[[nodiscard]] std::string xxh3_128_hex(std::string_view bytes);
// 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// Both digests of one stream, computed in one pass. Not thread-safe.
class DigestStream {
 public:
  DigestStream();
  DigestStream(DigestStream&&) noexcept;
  DigestStream& operator=(DigestStream&&) noexcept;
  ~DigestStream();

  void update(std::string_view bytes);
  struct Digests {
    std::string xxh3;    // 32 hex digits
    std::string sha256;  // 64 hex digits
    std::uint64_t size = 0;
  };
  [[nodiscard]] Digests finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sb
