#include "supervise/health_probe.h"

#include <memory>
#include <utility>

#include "supervise/probe.h"

namespace sb::supervise {

ThreadedProbe::~ThreadedProbe() {
  for (std::thread& thread : threads_) thread.join();
}

void ThreadedProbe::ask(const ProbeSpec& spec, const std::vector<BoundAddress>& sockets,
                        const std::filesystem::path& directory, std::function<void(Status)> answer) {
  const auto thread = threads_.emplace(threads_.end());
  *thread = std::thread([this, thread, spec, sockets, directory, answer = std::move(answer)]() mutable {
    std::vector<BoundSocket> bound;
    bound.reserve(sockets.size());
    for (const BoundAddress& socket : sockets) {
      bound.push_back(BoundSocket{.name = socket.name, .address = socket.address, .fd = {}});
    }
    auto result = std::make_shared<Status>(probe_once(spec, bound, directory));
    loop_.post([this, thread, result, answer = std::move(answer)] {
      thread->join();  // it has nothing left to do but to return
      threads_.erase(thread);
      answer(std::move(*result));
    });
  });
}

}  // namespace sb::supervise
