// What the conductor does in a moment, and its own end and return: steering all new connections to another
// version, the verdict on one that dies while it starts, `conductor upgrade`, kill -9 of the conductor, and
// of its keeper as well. With the service under load, 500 requests a second, half of them over kept
// connections, none of which may fail.
//
//   ci/bench conductor [--times N] [--json FILE]    (50)
//
// Each conductor that is killed has lived for half a second, so that the next one is started at once; that
// the keeper goes back to the one before at the third death, and stands in for it, is part of what is
// measured. `control` is the longest time in which the conductor did not answer who asks it over its socket
// again and again, one question at a time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/text.h"
#include "bench/alone.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "os/process.h"
#include "rpc/client.h"
#include "supervise/steering.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/load_client.h"
#include "support/wait.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using tests::LoadClient;
using tests::LoadReport;
using tests::wait_until;
using Clock = std::chrono::steady_clock;

constexpr int kFlips = 60;
constexpr int kConnectionsOfFlip = 200;
constexpr double kFlipBarMs = 0.2;
constexpr double kVerdictBarMs = 5;
constexpr double kUpgradeBarMs = 5;
constexpr double kKilledBarMs = 10;
constexpr int kServiceBootMs = 100;
constexpr milliseconds kGoodLife{600};  // of a conductor, so that the next one is started at once
constexpr std::chrono::microseconds kPause{
    200};  // of who asks for control; it would keep a processor to itself

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

void add_worst(Records& records, const std::string& row, const std::vector<double>& values, double bar) {
  const double worst = *std::ranges::max_element(values);
  records.add(
      {.row = row,
       .value = worst,
       .unit = "ms",
       .peer = fmt::format("worst of {}, median {:.3f}; bar: {} ms", values.size(), median(values), bar),
       .ratio = bar / worst});
}

void add_count(Records& records, const std::string& row, std::uint64_t value, const std::string& peer) {
  records.add({.row = row, .value = static_cast<double>(value), .unit = "", .peer = peer});
}

// -- steering
// -------------------------------------------------------------------------------------------------

bool accepts(const UniqueFd& side) {
  pollfd ready{.fd = side.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, 1000) == 1 &&
         UniqueFd(::accept4(side.get(), nullptr, nullptr, SOCK_CLOEXEC)).get() >= 0;
}

// To the other side and back, as a promotion and a roll-back to what is still there do it. False: a
// connection went astray.
bool measure_flips(Records& records) {
  using supervise::Side;
  const supervise::SteeredPair pair =
      must(supervise::bind_steered({.name = "http", .listen = "127.0.0.1:0"}));
  std::vector<double> times;
  std::uint64_t astray = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    const Side side = flip % 2 == 0 ? Side::b : Side::a;
    const auto start = Clock::now();
    const Status steered = supervise::steer(pair.a.get(), side);
    times.push_back(ms_between(start, Clock::now()));
    if (!steered) ++astray;
    for (int i = 0; i < kConnectionsOfFlip; ++i) {
      const UniqueFd client = tests::connect_to(pair.address);
      if (!client || !accepts(side == Side::a ? pair.a : pair.b)) ++astray;
    }
  }
  add_worst(records, "all new connections to the other version", times, kFlipBarMs);
  add_count(records, "of which went astray", astray,
            fmt::format("of {} connections right after {} flips", kFlips * kConnectionsOfFlip, kFlips));
  return astray == 0;
}

// -- the conductor's own life
// ---------------------------------------------------------------------------------

rpc::Client connect(const Ours& ours) {
  return must(rpc::Client::connect(ours.host().home().conductor_socket()));
}

Json status_of(const Ours& ours) {
  return must(connect(ours).call("conductor.status", Json::object()));
}

pid_t pid_of(const Json& status) {
  return status.value("pid", 0);
}
pid_t service_of(const Json& status) {
  return status.at("services").at(0).value("pid", 0);
}

// Asks without pause, on a thread of its own, and knows for how long there was no answer.
class Control {
 public:
  explicit Control(const fs::path& socket) : thread_([this, socket] { run(socket); }) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() {
    over_ = true;
    thread_.join();
  }
  // The longest time without an answer since the last call, in milliseconds; from the first to the last
  // answer.
  double longest_gap() {
    const auto answers = answers_.load();
    wait_until([&] { return answers_.load() >= answers + 2; });
    return static_cast<double>(longest_ns_.exchange(0)) / 1e6;
  }

 private:
  void run(const fs::path& socket) {
    auto last = Clock::now();
    while (!over_) {
      Result<rpc::Client> client = rpc::Client::connect(socket);
      while (client && !over_) {
        if (!client->call("conductor.status", Json::object(), milliseconds(5000))) break;
        const auto now = Clock::now();
        const auto gap = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last).count();
        for (auto longest = longest_ns_.load(); gap > longest;) {
          if (longest_ns_.compare_exchange_weak(longest, gap)) break;
        }
        last = now;
        ++answers_;
        std::this_thread::sleep_for(kPause);
      }
      std::this_thread::sleep_for(kPause);
    }
  }
  std::atomic<bool> over_{false};
  std::atomic<std::int64_t> longest_ns_{0};
  std::atomic<std::uint64_t> answers_{0};
  std::thread thread_;
};

void wait_for_another(const Ours& ours, pid_t before) {
  wait_until([&] {
    Result<rpc::Client> client = rpc::Client::connect(ours.host().home().conductor_socket());
    if (!client) return false;
    const Result<Json> status = client->call("conductor.status", Json::object(), milliseconds(5000));
    return status && pid_of(*status) != before;
  });
}

// What the conductor's end, by whatever means, costs who asks for control.
void measure_control(const Ours& ours, int times, const std::string& row, double bar,
                     const std::function<void(pid_t conductor, int nth)>& end_it, Records& records) {
  fmt::print(stderr, "{}, {} times …\n", row, times);
  Control control(ours.host().home().conductor_socket());
  std::vector<double> gaps;
  for (int i = 0; i < times; ++i) {
    const pid_t before = pid_of(status_of(ours));
    std::this_thread::sleep_for(kGoodLife);
    (void)control.longest_gap();
    end_it(before, i);
    wait_for_another(ours, before);
    gaps.push_back(control.longest_gap());
  }
  add_worst(records, row, gaps, bar);
}

void kill_with_keeper(const Ours& ours) {
  const pid_t keeper = static_cast<pid_t>(std::stol(tests::read(ours.host().home().state() / "keeper.lock")));
  const pid_t conductor = pid_of(status_of(ours));
  ::kill(keeper, SIGKILL);
  ::kill(conductor, SIGKILL);
  must("selfbuild conductor start", ours.host().selfbuild({"conductor", "start"}));
}

// False: something failed, or a service was started again.
bool measure_life(int times, Records& records) {
  const Ours ours({.serving = {.program = service_program(), .work_ms = 3}});
  const std::unique_ptr<LoadClient> load =
      must(LoadClient::start({.address = ours.address(), .connections = 50, .per_second = 500}));
  const pid_t service = service_of(status_of(ours));
  const auto upgrade = [&](pid_t, int nth) {
    must("selfbuild conductor upgrade",
         ours.host().selfbuild({"conductor", "upgrade", next_conductor(ours.host(), nth)}));
  };
  measure_control(ours, times, "control at an upgrade", kUpgradeBarMs, upgrade, records);
  const auto kill = [](pid_t conductor, int) { ::kill(conductor, SIGKILL); };
  measure_control(ours, times, "control at a kill -9", kKilledBarMs, kill, records);
  const int both = std::max(1, times / 5);
  fmt::print(stderr, "{} kills of conductor and keeper …\n", both);
  for (int i = 0; i < both; ++i) kill_with_keeper(ours);
  const bool same = service_of(status_of(ours)) == service;
  must("conductor check-state", tests::run_program({conductor_program().string(), "check-state"},
                                                   ours.host().scratch(), ours.host().environment));
  const LoadReport report = load->stop();
  for (const std::string& failure : report.failures) fmt::print(stderr, "  {}\n", failure);
  add_count(records, "failed meanwhile", report.failed,
            fmt::format("of {} requests, over {} upgrades, {} kills, and {} of the keeper, too", report.sent,
                        times, times, both));
  add_count(records, "longest gap meanwhile, ms", static_cast<std::uint64_t>(report.longest_gap_ms), "");
  add_count(records, "services started again", same ? 0 : 1, "bar: 0");
  return report.failed == 0 && same;
}

// -- the verdict
// -------------------------------------------------------------------------------------------------

// The process that was started for another version than what serves, or 0.
pid_t incoming(pid_t conductor, pid_t serving) {
  for (const pid_t one : os::with_descendants(conductor)) {
    std::error_code code;
    const fs::path program = fs::read_symlink(fmt::format("/proc/{}/exe", one), code);
    if (one != serving && program.filename() == "http_service") return one;
  }
  return 0;
}

void measure_verdicts(int times, Records& records) {
  fmt::print(stderr, "{} versions that die while they start …\n", times);
  const Ours ours({.serving = {.program = service_program(), .boot_ms = kServiceBootMs}});
  std::vector<double> took;
  for (int i = 0; i < times; ++i) {
    const Json before = status_of(ours);
    const int live = before.at("services").at(0).value("version", 0);
    tests::Background promotion = ours.host().selfbuild_in_background({"promote", live == 1 ? "v2" : "v1"});
    Json now;
    wait_until([&] {
      now = status_of(ours);
      return !now.at("activation").is_null();
    });
    rpc::Client waiting = connect(ours);
    pid_t starting = 0;
    wait_until([&] {
      starting = incoming(pid_of(before), service_of(before));
      return starting != 0;
    });
    Clock::time_point killed;
    std::thread killer([&] {
      std::this_thread::sleep_for(
          milliseconds(kServiceBootMs / 4));  // so that somebody waits for the verdict
      killed = Clock::now();
      ::kill(starting, SIGKILL);
    });
    const Json verdict = must(waiting.call("activation.wait", {{"cycle", now["activation"]["cycle"]}}));
    const auto heard = Clock::now();
    killer.join();
    (void)promotion.wait();
    if (verdict.value("outcome", "") == "kept") {
      fmt::print(stderr, "a version that died was kept\n");
      std::exit(1);
    }
    took.push_back(ms_between(killed, heard));
  }
  add_worst(records, "verdict on a start that died", took, kVerdictBarMs);
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const int times = arguments.take("--times", 50);
  be_alone();
  Records records("conductor");
  bool in_order = measure_flips(records);
  measure_verdicts(times, records);
  in_order = measure_life(times, records) && in_order;
  const int code = records.finish(arguments.count(), arguments.values());
  return code == 0 && !in_order ? 1 : code;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
