#include "base/digest.h"

#include <array>

#include <nettle/sha2.h>
#include <xxhash.h>

namespace sb {
namespace {

std::string hex(std::span<const unsigned char> bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

std::string canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  return hex(bytes.digest);
}

class Sha256 {
 public:
  Sha256() { nettle_sha256_init(&context_); }
  void update(std::string_view bytes) {
    nettle_sha256_update(&context_, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  }
  std::string finish() {
    std::array<unsigned char, SHA256_DIGEST_SIZE> digest{};
    nettle_sha256_digest(&context_, digest.size(), digest.data());
    return hex(digest);
  }

 private:
  sha256_ctx context_{};
};

}  // namespace

std::string xxh3_128_hex(std::string_view bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.finish();
}

struct DigestStream::State {
  struct FreeXxh {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, FreeXxh> xxh{XXH3_createState()};
  Sha256 sha256;
  std::uint64_t size = 0;
};

DigestStream::DigestStream() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(state_->xxh.get());
}
DigestStream::DigestStream(DigestStream&&) noexcept = default;
DigestStream& DigestStream::operator=(DigestStream&&) noexcept = default;
DigestStream::~DigestStream() = default;

void DigestStream::update(std::string_view bytes) {
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
  state_->sha256.update(bytes);
  state_->size += bytes.size();
}

DigestStream::Digests DigestStream::finish() {
  return {.xxh3 = canonical(XXH3_128bits_digest(state_->xxh.get())),
          .sha256 = state_->sha256.finish(),
          .size = state_->size};
}

}  // namespace sb
