#include "base/digest.h"

#include <array>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/evp.h>
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

void require(bool ok) {
  // OpenSSL only fails here when it cannot allocate or SHA-256 is not built in: no caller can go on.
  if (!ok) throw std::runtime_error("OpenSSL cannot compute SHA-256");
}

}  // namespace

std::string xxh3_128_hex(std::string_view bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex(std::span(digest).first(size));
}

struct DigestStream::State {
  struct FreeXxh {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  struct FreeEvp {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<XXH3_state_t, FreeXxh> xxh{XXH3_createState()};
  std::unique_ptr<EVP_MD_CTX, FreeEvp> evp{EVP_MD_CTX_new()};
  std::uint64_t size = 0;
};

DigestStream::DigestStream() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(state_->xxh.get());
  require(EVP_DigestInit_ex(state_->evp.get(), EVP_sha256(), nullptr) == 1);
}
DigestStream::DigestStream(DigestStream&&) noexcept = default;
DigestStream& DigestStream::operator=(DigestStream&&) noexcept = default;
DigestStream::~DigestStream() = default;

void DigestStream::update(std::string_view bytes) {
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
  require(EVP_DigestUpdate(state_->evp.get(), bytes.data(), bytes.size()) == 1);
  state_->size += bytes.size();
}

DigestStream::Digests DigestStream::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(state_->evp.get(), digest.data(), &size) == 1);
  return {.xxh3 = canonical(XXH3_128bits_digest(state_->xxh.get())),
          .sha256 = hex(std::span(digest).first(size)),
          .size = state_->size};
}

}  // namespace sb
