// LoadClient: asks an HTTP service without pause while a test replaces it, and counts what fails.
//
// Half of the requests go over connections of their own, half over connections that are kept, each in its
// turn. Nothing is retried. No failure is: a kept connection that the server ended after announcing it
// ("Connection: close"), or cleanly before a byte of the next request was sent; such a connection is opened
// again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sb::tests {

struct LoadSpec {
  std::string address;  // "127.0.0.1:8080", "[::1]:8080"
  std::string path = "/";
  int connections = 16;   // at most at a time; rounded up to an even number
  bool all_kept = false;  // no request goes over a connection of its own
  double per_second =
      1000;  // requests at these times, ready or not (open loop); 0: the next when one is answered
  std::uint64_t count = 0;                  // requests in all; 0: until stop()
  std::chrono::milliseconds timeout{5000};  // for each request; a failure
};

struct LoadReport {
  std::uint64_t sent = 0;  // requests begun; sent = ok + failed once stopped
  std::uint64_t ok = 0;    // answered 200
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;                      // of the failed: nobody listened
  std::uint64_t reopened = 0;                     // kept connections that the server ended as it should
  double longest_gap_ms = 0;                      // between two good answers
  double slowest_ms = 0;                          // of the good answers, from the time they were due
  double median_ms = 0;                           // of the same; while the load is on, only in a lap
  double p99_ms = 0;                              // as that
  std::map<std::string, std::uint64_t> versions;  // good answers by their text, without the newline
  std::vector<std::string> failures;              // what the first few were
};
[[nodiscard]] Json to_json(const LoadReport& report);

// Works on a thread of its own. Thread-safe.
class LoadClient {
 public:
  // usage: an address that cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<LoadClient>> start(LoadSpec spec);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Blocks until the condition holds for what was counted so far. False when the load has ended before.
  bool wait_until(const std::function<bool(const LoadReport&)>& condition);
  // What was counted since the last lap, or since the start; counts anew from here on.
  LoadReport lap();
  // Sends no more, waits for the answers that are due, and reports. Once.
  LoadReport stop();
  // The same without stopping it: waits until spec.count requests have been answered.
  LoadReport finish();

 private:
  struct State;
  explicit LoadClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sb::tests
