// Swaps and crashes under load: selfbuild beside the supervisors and servers that Debian has, on the same
// service and the same load, in one run.
//
//   ci/bench swap [--requests N] [--swaps N] [--only open|closed|long|exclusive|crash|standby] [--json FILE]
//
// The service boots for 100 ms and takes 3 ms for an answer. open: 2,000 requests a second at their times,
// ready or not, half of them over new connections and half over 50 kept ones; latency counts from the time a
// request was due. closed: 32 kept connections, each of which asks again when it is answered. Nothing is
// retried. The service is linked statically on all sides, as the floor is. long: ours alone, until --requests
// (1,000,000) are answered over --swaps (100). exclusive: a service that cannot run twice. crash: from kill
// -9 to the next answer on a new connection.
//
// Runs in a network namespace of its own and with real-time priority where it may, as root; a machine that
// pauses by itself is measured again.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/alone.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "support/load_client.h"

namespace sb::bench {
namespace {

using tests::LoadClient;
using tests::LoadReport;
using tests::LoadSpec;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kBootMs = 100;
constexpr int kWorkMs = 3;
constexpr int kPeerSwaps = 5;
constexpr int kClosedSwaps = 3;
constexpr int kCrashes = 10;
constexpr double kSteadyGapMs = 10;  // a quiet machine shows no longer one
constexpr int kAttempts = 3;
constexpr std::chrono::microseconds kPatience{250};  // an answer takes 60

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

LoadSpec open_loop(const std::string& address) {
  return {.address = address, .connections = 100, .per_second = 2000};
}

LoadSpec closed_loop(const std::string& address) {
  return {.address = address, .connections = 32, .all_kept = true, .per_second = 0};
}

struct Measured {
  LoadReport before;  // no swap
  LoadReport during;
  int swaps = 0;
};

// The load settles for a second, runs quietly for three, and then through the swaps, one each second and a
// half.
Measured measure(const LoadSpec& load, int swaps, Peer& peer) {
  const std::unique_ptr<LoadClient> client = must(LoadClient::start(load));
  std::this_thread::sleep_for(milliseconds(1000));
  (void)client->lap();
  std::this_thread::sleep_for(milliseconds(3000));
  Measured measured{.before = client->lap(), .during = {}};
  for (; measured.swaps < swaps; ++measured.swaps) {
    peer.swap();
    std::this_thread::sleep_for(milliseconds(1500));
  }
  measured.during = client->stop();
  return measured;
}

Measured measure_quietly(const std::string& what, const LoadSpec& load, int swaps, Peer& peer) {
  Measured measured;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fmt::print(stderr, "{} …\n", what);
    measured = measure(load, swaps, peer);
    if (measured.before.longest_gap_ms <= kSteadyGapMs) break;
    fmt::print(stderr, "  the machine paused for {:.0f} ms by itself\n", measured.before.longest_gap_ms);
  }
  for (const std::string& failure : measured.during.failures) fmt::print(stderr, "  {}\n", failure);
  return measured;
}

void add(Records& records, const std::string& row, const Measured& measured) {
  const LoadReport& during = measured.during;
  records.add({.row = row + " failed",
               .value = static_cast<double>(during.failed),
               .unit = "",
               .peer = fmt::format("of {} requests over {} swaps; refused: {}", during.sent, measured.swaps,
                                   during.refused)});
  records.add({.row = row + " gap",
               .value = during.longest_gap_ms,
               .unit = "ms",
               .peer = fmt::format("quiet: {:.2f} ms", measured.before.longest_gap_ms),
               .ratio = measured.before.longest_gap_ms / std::max(during.longest_gap_ms, 0.001)});
  records.add({.row = row + " p99",
               .value = during.p99_ms,
               .unit = "ms",
               .peer = fmt::format("before: {:.2f} ms", measured.before.p99_ms),
               .ratio = measured.before.p99_ms / std::max(during.p99_ms, 0.001)});
}

struct Plan {
  Serving serving;
  std::uint64_t requests = 0;
  int swaps = 0;
};

void compare(const std::string& loop, LoadSpec (*load)(const std::string&), int swaps, const Plan& plan,
             Records& records) {
  for (const PeerKind& kind : other_supervisors()) {
    if (loop == "closed" && !kind.keeps_listening) continue;
    const std::unique_ptr<Peer> peer = kind.start(plan.serving);
    add(records, kind.name + " " + loop,
        measure_quietly(kind.name + ", " + loop + " loop", load(peer->address()), swaps, *peer));
  }
  Ours ours({.serving = plan.serving});
  add(records, "selfbuild " + loop,
      measure_quietly("selfbuild, " + loop + " loop", load(ours.address()), swaps, ours));
}

// Half of the swaps under the open loop, where latencies mean something, and the other half under the closed
// one, which goes on until all requests are answered.
void run_long(const Plan& plan, Records& records) {
  Ours ours({.serving = plan.serving});
  const Measured open =
      measure_quietly("selfbuild, the long run", open_loop(ours.address()), plan.swaps / 2, ours);
  const std::unique_ptr<LoadClient> client = must(LoadClient::start(closed_loop(ours.address())));
  int swaps = open.swaps;
  LoadReport closed;
  const auto answered = [&] { return open.during.sent + closed.sent; };
  while (swaps < plan.swaps || answered() < plan.requests) {
    ours.swap();
    ++swaps;
    const LoadReport lap = client->lap();
    closed.sent += lap.sent;
    closed.failed += lap.failed;
    closed.refused += lap.refused;
  }
  const LoadReport last = client->stop();
  const std::uint64_t failed = open.during.failed + closed.failed + last.failed;
  records.add({.row = "selfbuild overlap failed",
               .value = static_cast<double>(failed),
               .unit = "",
               .peer = "bar: 0"});
  records.add({.row = "selfbuild overlap requests",
               .value = static_cast<double>(answered() + last.sent),
               .unit = "",
               .peer = fmt::format("at least {}", plan.requests),
               .ratio = static_cast<double>(answered() + last.sent) / static_cast<double>(plan.requests)});
  records.add({.row = "selfbuild overlap swaps",
               .value = static_cast<double>(swaps),
               .unit = "",
               .peer = fmt::format("at least {}", plan.swaps),
               .ratio = static_cast<double>(swaps) / plan.swaps});
  const double allowed = std::max(3 * open.before.longest_gap_ms, 5.0);
  records.add({.row = "selfbuild overlap gap",
               .value = open.during.longest_gap_ms,
               .unit = "ms",
               .peer = fmt::format("3 × the quiet gap or 5 ms: {:.2f}", allowed),
               .ratio = allowed / open.during.longest_gap_ms});
  records.add({.row = "selfbuild overlap p99",
               .value = open.during.p99_ms,
               .unit = "ms",
               .peer = fmt::format("1.15 × before: {:.2f}", 1.15 * open.before.p99_ms),
               .ratio = 1.15 * open.before.p99_ms / open.during.p99_ms});
}

void run_exclusive(const Plan& plan, Records& records) {
  Ours ours({.serving = plan.serving, .swap = "drain-first"});
  const Measured measured =
      measure_quietly("selfbuild, exclusive", open_loop(ours.address()), kPeerSwaps, ours);
  add(records, "selfbuild exclusive", measured);
}

// -- crashes
// --------------------------------------------------------------------------------------------------

// From kill -9 to the first answer of another process; asks on new connections, one after the other.
// patience: how long it waits at each; a connection that came to the dead process's socket in the moment
// before users were steered to the standby waits there for a process to be started.
double crash_ms(const std::string& address, const std::string& pid, std::chrono::microseconds patience = {}) {
  const auto start = Clock::now();
  ::kill(std::stoi(pid), SIGKILL);
  while (true) {
    const std::string now = get(address, "/pid", patience);
    if (!now.empty() && now != pid) return ms_since(start);
  }
}

struct Crashes {
  double first = 0;   // of a version that has just come, and runs for more than a second
  double second = 0;  // 0.3 s after the first was healed
};

Crashes crash(Peer& peer, int times) {
  std::vector<double> first;
  std::vector<double> second;
  for (int i = 0; i < times; ++i) {
    peer.swap();  // so that no crash before counts
    std::this_thread::sleep_for(milliseconds(1500));
    first.push_back(crash_ms(peer.address(), get(peer.address(), "/pid")));
    std::this_thread::sleep_for(milliseconds(300));
    second.push_back(crash_ms(peer.address(), get(peer.address(), "/pid")));
  }
  return {.first = median(first), .second = median(second)};
}

void run_crashes(const std::string& floor_program, const Plan& plan, Records& records) {
  fmt::print(stderr, "crashes, floor …\n");
  const Crashes floor = crash(*start_floor(floor_program), kCrashes);
  records.add({.row = "crash floor", .value = floor.first, .unit = "ms", .peer = "", .ratio = 1});
  for (const int boot : {0, 300}) {
    Serving serving = plan.serving;
    serving.boot_ms = boot;
    serving.work_ms = 0;
    const auto report = [&](const std::string& name, Peer& peer) {
      fmt::print(stderr, "crashes, {}, boot {} ms …\n", name, boot);
      const Crashes crashes = crash(peer, kCrashes);
      const double least = floor.first + boot;
      for (const auto& [which, value] : {std::pair{"", crashes.first}, std::pair{" second", crashes.second}})
        records.add({.row = fmt::format("crash {} boot {}{}", name, boot, which),
                     .value = value,
                     .unit = "ms",
                     .peer = fmt::format("floor and boot: {:.2f} ms", least),
                     .ratio = least / value});
    };
    for (const PeerKind& kind : other_supervisors()) {
      if (kind.restarts) report(kind.name, *kind.start(serving));
    }
    Ours ours({.serving = serving});
    report("selfbuild", ours);
  }
}

void run_crashes_with_standby(const Plan& plan, Records& records) {
  Serving serving = plan.serving;
  serving.boot_ms = 300;
  serving.work_ms = 0;
  Ours ours({.serving = serving, .standby = true});
  fmt::print(stderr, "crashes, selfbuild with a standby, boot {} ms …\n", serving.boot_ms);
  std::vector<double> times;
  for (int i = 0; i < kCrashes; ++i) {
    ours.swap();  // so that no crash before counts
    ours.wait_for_standby();
    times.push_back(crash_ms(ours.address(), get(ours.address(), "/pid"), kPatience));
  }
  records.add({.row = fmt::format("crash selfbuild standby boot {}", serving.boot_ms),
               .value = median(times),
               .unit = "ms",
               .peer = "bar: 1 ms",
               .ratio = 1 / median(times)});
}

// What is lost of the requests that are on their way when the process dies.
void run_crashes_under_load(const Plan& plan, Records& records) {
  Serving serving = plan.serving;
  serving.boot_ms = 0;
  Ours ours({.serving = serving});
  const std::unique_ptr<LoadClient> client = must(LoadClient::start(open_loop(ours.address())));
  std::uint64_t in_flight = 0;
  fmt::print(stderr, "crashes under load, selfbuild …\n");
  for (int i = 0; i < kCrashes; ++i) {
    ours.swap();
    std::this_thread::sleep_for(milliseconds(500));
    const int pid = std::stoi(get(ours.address(), "/pid"));
    (void)client->wait_until([&](const LoadReport& report) {
      in_flight += report.sent - report.ok - report.failed;
      return true;
    });
    ::kill(pid, SIGKILL);
  }
  const LoadReport report = client->stop();
  const double allowed = 1.3 * static_cast<double>(in_flight);
  records.add({.row = "crash selfbuild failed",
               .value = static_cast<double>(report.failed),
               .unit = "",
               .peer = fmt::format("in flight at {} crashes × 1.3: {:.0f}", kCrashes, allowed),
               .ratio = allowed / std::max(1.0, static_cast<double>(report.failed))});
  records.add({.row = "crash selfbuild refused",
               .value = static_cast<double>(report.refused),
               .unit = "",
               .peer = "bar: 0"});
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const std::string only = arguments.take("--only", "");
  Plan plan{.serving = {.program = service_program(), .boot_ms = kBootMs, .work_ms = kWorkMs},
            .requests = static_cast<std::uint64_t>(arguments.take("--requests", 1'000'000)),
            .swaps = arguments.take("--swaps", 100)};
  be_alone();
  Records records("swap");
  const auto wanted = [&](std::string_view part) { return only.empty() || only == part; };
  if (wanted("open")) compare("open", open_loop, kPeerSwaps, plan, records);
  if (wanted("closed")) compare("closed", closed_loop, kClosedSwaps, plan, records);
  if (wanted("long")) run_long(plan, records);
  if (wanted("exclusive")) run_exclusive(plan, records);
  if (wanted("crash")) {
    run_crashes(std::string(argv[0]).substr(0, std::string(argv[0]).rfind('/')) + "/bench_floor", plan,
                records);
    run_crashes_under_load(plan, records);
  }
  if (wanted("crash") || wanted("standby")) run_crashes_with_standby(plan, records);
  return records.finish(arguments.count(), arguments.values());
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
