#include "supervise/health_probe.h"

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "os/curl.h"
#include "supervise/probe.h"

namespace sb::supervise {

ThreadedProbe::~ThreadedProbe() {
  for (std::thread& thread : threads_) thread.join();
}

bool ThreadedProbe::start(std::function<Done()> work) {
  const auto thread = threads_.emplace(threads_.end());
  try {
    *thread = std::thread([this, thread, work = std::move(work)] {
      Done done = work();
      loop_.post([this, thread, done = std::move(done)] {
        thread->join();  // it has nothing left to do but to return
        threads_.erase(thread);
        done();
      });
    });
  } catch (const std::system_error&) {
    threads_.erase(thread);
    return false;
  }
  return true;
}

void ThreadedProbe::load(std::function<void(const Status&)> done) {
  loading_ = true;
  const bool started = start([this, done]() -> Done {
    return [this, done, status = os::load_curl()] {
      loaded();
      done(status);
    };
  });
  if (started) return;
  loop_.post([this, done = std::move(done)] {
    loaded();
    done(os::load_curl());
  });
}

void ThreadedProbe::loaded() {
  loading_ = false;
  for (const std::function<void()>& question : std::exchange(waiting_, {})) question();
}

void ThreadedProbe::ask(const ProbeSpec& spec, const std::vector<BoundAddress>& sockets,
                        const std::filesystem::path& directory, std::function<void(const Timed&)> answer) {
  if (loading_) {
    waiting_.emplace_back([this, spec, sockets, directory, answer = std::move(answer)] {
      ask(spec, sockets, directory, answer);
    });
    return;
  }
  const auto work = [spec, sockets, directory, answer]() -> Done {
    std::vector<BoundSocket> bound;
    bound.reserve(sockets.size());
    for (const BoundAddress& socket : sockets) {
      bound.push_back(
          BoundSocket{.name = socket.name, .address = socket.address, .fd = {}, .source = socket.source});
    }
    const auto begin = std::chrono::steady_clock::now();
    Status status = probe_once(spec, bound, directory);
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto result = std::make_shared<Timed>(Timed{
        .status = std::move(status), .took = std::chrono::duration_cast<std::chrono::microseconds>(took)});
    return [answer, result] { answer(*result); };
  };
  if (start(work)) return;
  loop_.post([answer = std::move(answer)] {
    answer(Timed{.status = fail(errno_error("cannot start a thread for a health check", EAGAIN))});
  });
}

}  // namespace sb::supervise
