// What the keeper remembers from one conductor to the next, in fixed space: descriptors by name, and exits
// that no conductor has heard of. Part of lib/keeper's inside; nobody else includes it.
#pragma once

#include <array>
#include <cstddef>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "keeper/keeper.h"

namespace sb::keeper {

struct Held {
  std::array<char, kMaxName + 1> name{};
  UniqueFd fd{};  // none: the place is free
};

class HeldDescriptors {
 public:
  // Replaces one of the same name. False when there is no room, or the name is empty or too long.
  bool put(const char* name, UniqueFd fd);
  void drop(const char* name);
  [[nodiscard]] const std::array<Held, kMaxHeld>& places() const { return places_; }

 private:
  std::array<Held, kMaxHeld> places_;
};

struct Ended {
  pid_t pid = 0;
  int status = 0;  // as from waitpid(2)
};

// First in, first out. When it is full the oldest is forgotten.
class UntoldExits {
 public:
  void push(Ended ended);
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] const Ended& front() const { return ring_[first_]; }
  void pop();

 private:
  std::array<Ended, 512> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace sb::keeper
