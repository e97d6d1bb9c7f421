#include "base/key.h"

#include <cstring>

#include <xxhash.h>

namespace sb {
namespace {

constexpr std::size_t kLittle = 16 << 10;  // bytes

Key from(XXH128_hash_t hash) {
  return {.high = hash.high64, .low = hash.low64};
}

XXH128_hash_t to_hash(const Key& key) {
  XXH128_hash_t hash{};
  hash.high64 = key.high;
  hash.low64 = key.low;
  return hash;
}

}  // namespace

std::string Key::bytes() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, to_hash(*this));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

std::string Key::hex() const {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes()) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

Key Key::from_bytes(std::string_view bytes) {
  XXH128_canonical_t canonical;
  if (bytes.size() != sizeof canonical.digest) return {};
  std::memcpy(canonical.digest, bytes.data(), bytes.size());
  return from(XXH128_hashFromCanonical(&canonical));
}

Key key_of(std::string_view bytes) {
  return from(XXH3_128bits(bytes.data(), bytes.size()));
}

struct KeyBuilder::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> xxh{XXH3_createState()};
};

KeyBuilder::KeyBuilder() = default;
KeyBuilder::KeyBuilder(KeyBuilder&&) noexcept = default;
KeyBuilder& KeyBuilder::operator=(KeyBuilder&&) noexcept = default;
KeyBuilder::~KeyBuilder() = default;

KeyBuilder& KeyBuilder::add(std::string_view part) {
  return add(static_cast<std::uint64_t>(part.size())).add_raw(part);
}

KeyBuilder& KeyBuilder::add_raw(std::string_view bytes) {
  if (!state_ && small_.size() + bytes.size() <= kLittle) {
    small_ += bytes;
    return *this;
  }
  if (!state_) {
    state_ = std::make_unique<State>();
    XXH3_128bits_reset(state_->xxh.get());
    XXH3_128bits_update(state_->xxh.get(), small_.data(), small_.size());
  }
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
  return *this;
}

KeyBuilder& KeyBuilder::add(std::uint64_t number) {
  return add_raw({reinterpret_cast<const char*>(&number), sizeof number});
}

KeyBuilder& KeyBuilder::add(const Key& key) {
  const std::uint64_t words[] = {key.high, key.low};
  return add_raw({reinterpret_cast<const char*>(words), sizeof words});
}

// XXH3 gives the same for the parts and for the whole.
Key KeyBuilder::finish() const {
  return state_ ? from(XXH3_128bits_digest(state_->xxh.get())) : key_of(small_);
}

}  // namespace sb
