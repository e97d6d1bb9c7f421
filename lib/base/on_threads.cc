#include "base/on_threads.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace sb {

void on_threads(std::size_t count, std::size_t fewest, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  // Asked once: the C library reads it from a file of the kernel, every time.
  static const std::size_t kProcessors = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t useful =
      std::clamp<std::size_t>(count / std::max<std::size_t>(fewest, 1), 1, kProcessors);
  std::vector<std::jthread> helpers;
  helpers.reserve(useful - 1);
  for (std::size_t i = 1; i < useful; ++i) helpers.emplace_back(take);
  take();
}

}  // namespace sb
