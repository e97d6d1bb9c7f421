// Half an hour of what is never to be noticed: a service under load is swapped, killed, and its conductor
// replaced, over and over; what grows meanwhile, and what a user would have seen.
//
//   ci/bench soak [--swaps N] [--crashes N] [--re-execs N] [--json FILE]    (1,000, 1,000 and 100)
//
// 500 requests a second, half of them over kept connections. What is on its way when the process is killed is
// lost with it, and counted apart from what fails otherwise. The figures of growth compare the end with the
// first tenth.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "support/files.h"
#include "support/load_client.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::LoadClient;
using tests::LoadReport;

constexpr double kPerSecond = 500;
constexpr double kInFlightSlack = 1.3;

// What a daemon that lives for years must not gather.
struct Size {
  double descriptors = 0;  // of the conductor
  double memory_kib = 0;   // resident
  double database_kib = 0;
};

int conductor_of(const Ours& ours) {
  const Json status = must(parse_json(
      must("selfbuild conductor status", ours.host().selfbuild({"conductor", "status", "--json"})).out));
  return status.value("pid", 0);
}

Size size_of(const Ours& ours) {
  const fs::path process = fmt::format("/proc/{}", conductor_of(ours));
  Size size;
  for ([[maybe_unused]] const fs::directory_entry& entry : fs::directory_iterator(process / "fd"))
    ++size.descriptors;
  const std::string status = tests::read(process / "status");
  const std::size_t at = status.find("VmRSS:");
  if (at != std::string::npos) size.memory_kib = std::stod(status.substr(at + 6));
  for (const fs::directory_entry& file : fs::directory_iterator(ours.host().home().state())) {
    if (file.is_regular_file() && file.path().filename().string().find(".db") != std::string::npos)
      size.database_kib += static_cast<double>(file.file_size()) / 1024;
  }
  return size;
}

void kill_service(const Ours& ours, LoadClient& load, std::uint64_t& in_flight) {
  const std::string pid = get(ours.address(), "/pid");
  (void)load.wait_until([&](const LoadReport& report) {
    in_flight += report.sent - report.ok - report.failed;
    return true;
  });
  ::kill(std::stoi(pid), SIGKILL);
  for (std::string now; now.empty() || now == pid;) now = get(ours.address(), "/pid");
}

void count(Records& records, const std::string& row, int value, int wanted) {
  records.add({.row = row,
               .value = static_cast<double>(value),
               .unit = "",
               .peer = fmt::format("at least {}", wanted),
               .ratio = static_cast<double>(value) / std::max(wanted, 1)});
}

void grown(Records& records, const std::string& row, double before, double after, const std::string& unit) {
  records.add({.row = row,
               .value = after,
               .unit = unit,
               .peer = fmt::format("after the first tenth: {:.0f}", before),
               .ratio = before / std::max(after, 1.0)});
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const int swaps = arguments.take("--swaps", 1000);
  const int crashes = arguments.take("--crashes", 1000);
  const int re_execs = arguments.take("--re-execs", 100);
  const auto begin = std::chrono::steady_clock::now();
  Ours ours({.serving = {.program = service_program(), .work_ms = 3}});
  const std::unique_ptr<LoadClient> load =
      must(LoadClient::start({.address = ours.address(), .connections = 50, .per_second = kPerSecond}));

  std::uint64_t in_flight = 0;
  Size first;
  int swapped = 0;
  int crashed = 0;
  int replaced = 0;
  const int rounds = std::max({swaps, crashes, re_execs});
  // Each kind is spread evenly over the rounds.
  const auto due = [&](int done, int all, int round) {
    return done < static_cast<std::int64_t>(all) * (round + 1) / rounds;
  };
  for (int round = 0; round < rounds; ++round) {
    if (due(swapped, swaps, round)) {
      ours.swap();
      ++swapped;
    }
    if (due(crashed, crashes, round)) {
      kill_service(ours, *load, in_flight);
      ++crashed;
    }
    if (due(replaced, re_execs, round)) {
      const int before = conductor_of(ours);
      must("selfbuild conductor upgrade",
           ours.host().selfbuild({"conductor", "upgrade", next_conductor(ours.host(), replaced)}));
      if (conductor_of(ours) == before) break;
      ++replaced;
    }
    if (round == rounds / 10) first = size_of(ours);
    if (round % 50 == 49) {
      (void)load->wait_until([&](const LoadReport& report) {
        fmt::print(stderr, "{} of {} rounds, {} requests, {} failed ({} were in flight at a kill)\n",
                   round + 1, rounds, report.sent, report.failed, in_flight);
        return true;
      });
    }
  }
  const Size last = size_of(ours);
  const LoadReport report = load->stop();
  const double cut = kInFlightSlack * static_cast<double>(in_flight);

  Records records("soak");
  count(records, "soak swaps", swapped, swaps);
  count(records, "soak crashes", crashed, crashes);
  count(records, "soak re-execs", replaced, re_execs);
  records.add({.row = "soak requests", .value = static_cast<double>(report.sent), .unit = "", .peer = ""});
  records.add(
      {.row = "soak failed",
       .value = std::max(0.0, static_cast<double>(report.failed) - cut),
       .unit = "",
       .peer = fmt::format("beside the {} that a kill cut: in flight × 1.3: {:.0f}", report.failed, cut)});
  records.add(
      {.row = "soak refused", .value = static_cast<double>(report.refused), .unit = "", .peer = "bar: 0"});
  grown(records, "soak descriptors", first.descriptors, last.descriptors, "");
  grown(records, "soak memory", first.memory_kib, last.memory_kib, "KiB");
  grown(records, "soak database", first.database_kib, last.database_kib, "KiB");
  const std::chrono::duration<double, std::ratio<60>> took = std::chrono::steady_clock::now() - begin;
  records.add({.row = "soak duration", .value = took.count(), .unit = "min", .peer = ""});
  return records.finish(arguments.count(), arguments.values());
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
