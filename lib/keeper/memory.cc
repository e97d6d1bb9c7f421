#include "keeper/memory.h"

#include <cstring>
#include <utility>

namespace sb::keeper {

bool HeldDescriptors::put(const char* name, UniqueFd fd) {
  drop(name);
  const std::size_t length = std::strlen(name);
  if (length == 0 || length > kMaxName) return false;
  for (Held& place : places_) {
    if (place.fd) continue;
    std::memcpy(place.name.data(), name, length + 1);
    place.fd = std::move(fd);
    return true;
  }
  return false;
}

void HeldDescriptors::drop(const char* name) {
  for (Held& place : places_) {
    if (place.fd && std::strcmp(place.name.data(), name) == 0) place.fd.reset();
  }
}

void UntoldExits::push(Ended ended) {
  if (count_ == ring_.size()) pop();
  ring_[(first_ + count_++) % ring_.size()] = ended;
}

void UntoldExits::pop() {
  first_ = (first_ + 1) % ring_.size();
  --count_;
}

}  // namespace sb::keeper
