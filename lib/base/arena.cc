#include "base/arena.h"

#include <algorithm>
#include <cstring>

namespace sb {
namespace {

constexpr std::size_t kBlockSize = 256UL * 1024;

}  // namespace

std::string_view Arena::keep(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (size_ - used_ < bytes.size()) {
    size_ = std::max(kBlockSize, bytes.size());
    used_ = 0;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size_));
  }
  char* const place = blocks_.back().get() + used_;
  std::memcpy(place, bytes.data(), bytes.size());
  used_ += bytes.size();
  return {place, bytes.size()};
}

}  // namespace sb
