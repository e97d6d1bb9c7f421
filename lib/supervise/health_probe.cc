#include "supervise/health_probe.h"

#include <memory>
#include <system_error>
#include <utility>

#include "supervise/probe.h"

namespace sb::supervise {

ThreadedProbe::~ThreadedProbe() {
  for (std::thread& thread : threads_) thread.join();
}

void ThreadedProbe::ask(const ProbeSpec& spec, const std::vector<BoundAddress>& sockets,
                        const std::filesystem::path& directory, std::function<void(const Timed&)> answer) {
  const auto thread = threads_.emplace(threads_.end());
  const auto work = [this, thread, spec, sockets, directory, answer] {
    std::vector<BoundSocket> bound;
    bound.reserve(sockets.size());
    for (const BoundAddress& socket : sockets) {
      bound.push_back(
          BoundSocket{.name = socket.name, .address = socket.address, .fd = {}, .source = socket.source});
    }
    const auto begin = std::chrono::steady_clock::now();
    Status status = probe_once(spec, bound, directory);
    const auto took = std::chrono::steady_clock::now() - begin;
    auto result = std::make_shared<Timed>(Timed{
        .status = std::move(status), .took = std::chrono::duration_cast<std::chrono::microseconds>(took)});
    loop_.post([this, thread, result, answer] {
      thread->join();  // it has nothing left to do but to return
      threads_.erase(thread);
      answer(*result);
    });
  };
  try {
    *thread = std::thread(work);
  } catch (const std::system_error& error) {
    threads_.erase(thread);
    loop_.post([answer = std::move(answer), code = error.code().value()] {
      answer(Timed{.status = fail(errno_error("cannot start a thread for a health check", code))});
    });
  }
}

}  // namespace sb::supervise
