// Whether the conductor should relay HTTP, so that it could ask the next process again what a crashed one
// left without a byte: what a relay costs every request, and what it saves at a crash. The relay is HAProxy,
// which does exactly that (retry-on empty-response), in front of a service under the conductor; without it
// the same service is asked directly.
//
// As root in a network namespace of its own, with real-time priority; see bench/alone.h.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "bench/alone.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "support/load_client.h"

namespace sb::bench {
namespace {

using std::chrono::milliseconds;
using tests::LoadClient;
using tests::LoadReport;

constexpr int kWorkMs = 3;  // where something is to be lost
constexpr int kCrashes = 20;
constexpr milliseconds kMeasured{5000};

LoadReport measure(const tests::LoadSpec& spec) {
  const std::unique_ptr<LoadClient> client = must(LoadClient::start(spec));
  std::this_thread::sleep_for(milliseconds(1000));
  (void)client->lap();
  std::this_thread::sleep_for(kMeasured);
  const LoadReport report = client->lap();
  (void)client->stop();
  return report;
}

void add_cost(const std::string& service, const std::string& relay, Records& records) {
  const auto open = [](const std::string& address) {
    return measure({.address = address, .connections = 100, .per_second = 2000});
  };
  const auto closed = [](const std::string& address) {
    return measure({.address = address, .connections = 32, .all_kept = true, .per_second = 0});
  };
  const LoadReport direct = open(service);
  const LoadReport relayed = open(relay);
  records.add({.row = "median of an answer",
               .value = relayed.median_ms,
               .unit = "ms",
               .peer = fmt::format("without the relay: {:.3f} ms", direct.median_ms),
               .ratio = direct.median_ms / relayed.median_ms});
  records.add({.row = "p99 of an answer",
               .value = relayed.p99_ms,
               .unit = "ms",
               .peer = fmt::format("without the relay: {:.3f} ms", direct.p99_ms),
               .ratio = direct.p99_ms / relayed.p99_ms});
  const double seconds = std::chrono::duration<double>(kMeasured).count();
  const double most = static_cast<double>(closed(service).ok) / seconds;
  const double through = static_cast<double>(closed(relay).ok) / seconds;
  records.add({.row = "requests a second, at most",
               .value = through,
               .unit = "",
               .peer = fmt::format("without the relay: {:.0f}", most),
               .ratio = through / most});
}

LoadReport through_crashes(Ours& ours, const std::string& address) {
  const std::unique_ptr<LoadClient> client =
      must(LoadClient::start({.address = address, .connections = 100, .per_second = 2000}));
  for (int i = 0; i < kCrashes; ++i) {
    ours.swap();  // so that each crash is the first
    std::this_thread::sleep_for(milliseconds(500));
    const std::string pid = get(ours.address(), "/pid");
    ::kill(std::stoi(pid), SIGKILL);
    for (std::string now; now.empty() || now == pid;) now = get(ours.address(), "/pid");
  }
  std::this_thread::sleep_for(milliseconds(500));
  return client->stop();
}

void add_saving(Ours& ours, const std::string& relay, Records& records) {
  fmt::print(stderr, "{} crashes, without and with the relay …\n", kCrashes);
  const LoadReport direct = through_crashes(ours, ours.address());
  const LoadReport relayed = through_crashes(ours, relay);
  records.add(
      {.row = fmt::format("failed at {} crashes", kCrashes),
       .value = static_cast<double>(relayed.failed),
       .unit = "",
       .peer = fmt::format("of {}; without the relay {} of {}", relayed.sent, direct.failed, direct.sent),
       .ratio =
           static_cast<double>(direct.failed) / std::max<double>(1, static_cast<double>(relayed.failed))});
}

int run(int argc, char** argv) {
  be_alone();
  Records records("relay");
  {
    fmt::print(stderr, "what it costs …\n");
    const Ours ours({.serving = {.program = service_program()}});
    const std::unique_ptr<Peer> relay = start_relay(ours.address());
    add_cost(ours.address(), relay->address(), records);
  }
  Ours ours({.serving = {.program = service_program(), .work_ms = kWorkMs}});
  const std::unique_ptr<Peer> relay = start_relay(ours.address());
  add_saving(ours, relay->address(), records);
  return records.finish(argc, argv);
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
