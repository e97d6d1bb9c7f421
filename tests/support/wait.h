// Waiting for what only another process knows.
#pragma once

#include <chrono>
#include <thread>

namespace sb::tests {

// Asks over and over until it holds. There is no limit but CTest's: a busy machine is no failure.
template <typename Condition>
void wait_until(const Condition& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace sb::tests
