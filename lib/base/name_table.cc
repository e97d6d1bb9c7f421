#include "base/name_table.h"

#include <algorithm>
#include <random>

#include <xxhash.h>

namespace sb {
namespace {

std::uint64_t seed() {
  static const std::uint64_t kSeed = std::random_device{}();
  return kSeed;
}

}  // namespace

std::size_t NameHash::operator()(std::string_view name) const {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed());
}

std::uint32_t NameTable::hash_of(std::string_view name) {
  return static_cast<std::uint32_t>(NameHash{}(name));
}

std::size_t NameTable::find_slot(std::string_view name, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].number != kFree && (slots_[at].hash != hash || names_[slots_[at].number] != name))
    at = (at + 1) & mask;
  return at;
}

std::optional<NameTable::Number> NameTable::find(std::string_view name) const {
  if (slots_.empty()) return std::nullopt;
  const Number number = slots_[find_slot(name, hash_of(name))].number;
  if (number == kFree) return std::nullopt;
  return number;
}

void NameTable::grow() {
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(std::max<std::size_t>(1024, old.size() * 2), Slot{});
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.number == kFree) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].number != kFree) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace sb
