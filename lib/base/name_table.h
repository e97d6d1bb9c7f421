// NameTable: numbers for names, in the order in which they come. For the hundreds of thousands of paths of a
// build: a look-up touches one slot, and nothing is allocated for a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sb {

// XXH3 with a seed of this process: who writes names cannot choose such that collide.
struct NameHash {
  [[nodiscard]] std::size_t operator()(std::string_view name) const;
};

// Open addressing with linear probing, at most three quarters full. Not thread-safe.
class NameTable {
 public:
  using Number = std::uint32_t;

  [[nodiscard]] std::optional<Number> find(std::string_view name) const;
  // `keep` is called with a name that is new, and gives the view to keep: what it shows must outlive the
  // table.
  template <typename Keep>
  Number intern(std::string_view name, const Keep& keep) {
    if (names_.size() * 4 >= slots_.size() * 3) grow();
    const std::uint32_t hash = hash_of(name);
    Slot& slot = slots_[find_slot(name, hash)];
    if (slot.number == kFree) {
      slot = {.hash = hash, .number = static_cast<Number>(names_.size())};
      names_.push_back(keep(name));
    }
    return slot.number;
  }
  [[nodiscard]] std::size_t size() const { return names_.size(); }
  [[nodiscard]] std::string_view name(Number number) const { return names_[number]; }

 private:
  static constexpr Number kFree = ~Number{0};
  struct Slot {
    std::uint32_t hash = 0;
    Number number = kFree;
  };
  [[nodiscard]] static std::uint32_t hash_of(std::string_view name);
  [[nodiscard]] std::size_t find_slot(std::string_view name, std::uint32_t hash) const;
  void grow();
  std::vector<std::string_view> names_;
  std::vector<Slot> slots_;  // a power of two
};

}  // namespace sb
