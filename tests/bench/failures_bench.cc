// The failure table: what goes wrong in the life of a service and of its conductor, ten times in a row each,
// under load; what its users see of it, and that everything is in order afterwards.
//
//   ci/bench failures [--rounds N] [--only TEXT] [--json FILE]
//
// 500 requests a second, half of them over kept connections. `gap`: the longest time without a good answer,
// the worst of all rounds, beside what the design that this program began with took: 5 s for a crash, 5 to 15
// s for a swap, 10 s for a roll-back. A crash is a first one: who crashes over and over waits. `failed`:
// beside the requests that were on their way when something was killed; a row in which nothing is killed may
// lose none. A full disk needs root, to mount one.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/unique_fd.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "os/process.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/load_client.h"
#include "support/wait.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using tests::Finished;
using tests::LoadClient;
using tests::LoadReport;
using tests::wait_until;

constexpr double kPerSecond = 500;
constexpr double kInFlightSlack = 1.3;
constexpr int kConnections = 16;
constexpr const char* kProject = "http-service";
constexpr std::uintmax_t kDiskBytes = 128U << 20U;

// A disk of its own for what the conductor keeps, when we may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(fs::path at) : at_(std::move(at)) {
    const std::string size = fmt::format("size={}", kDiskBytes);
    mounted_ = ::geteuid() == 0 && ::mount("tmpfs", at_.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }
  void fill() const {
    std::ofstream file(at_ / "filled", std::ios::binary);
    const std::string block(64 * 1024, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }
  void empty() const { fs::remove(at_ / "filled"); }

 private:
  fs::path at_;
  bool mounted_ = false;
};

// An installation whose service has two good versions, v1 and v2, and is asked all the time.
class World {
 public:
  World() {
    host_.copy_project("http_project");
    host_.edit("selfbuild.yaml", "127.0.0.1:0", address_);
    host_.edit("selfbuild.yaml", "timeout: 2s, failures", "timeout: 300ms, failures");
    host_.edit("selfbuild.yaml", "start_timeout: 10s", "start_timeout: 1s");
    host_.edit("selfbuild.yaml", "probation: 2s", "probation: 4s");
    host_.edit("selfbuild.yaml", "drain_timeout: 5s", "drain_timeout: 1s\n  compare: [memory]");
    host_.commit("first");
    must("selfbuild update", selfbuild({"update"}));
    host_.edit("version.h", "#define HTTP_SERVICE_VERSION \"", "#define HTTP_SERVICE_VERSION \"next to ");
    host_.commit("second");
    must("selfbuild update", selfbuild({"update"}));
    load_ =
        must(LoadClient::start({.address = address_, .connections = kConnections, .per_second = kPerSecond}));
    settle();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() { (void)selfbuild({"conductor", "stop", "--services"}); }  // before its disk goes
  [[nodiscard]] Finished selfbuild(const std::vector<std::string>& arguments) const {
    return host_.selfbuild(arguments);
  }
  [[nodiscard]] const tests::Installation& host() const { return host_; }
  [[nodiscard]] const SmallDisk& disk() const { return disk_; }
  [[nodiscard]] LoadClient& load() { return *load_; }
  [[nodiscard]] std::string page(const std::string& path) const { return get(address_, path); }

  [[nodiscard]] Json status() const {
    return parse_json(selfbuild({"conductor", "status", "--json"}).out).value_or(Json::object());
  }
  [[nodiscard]] Json service() const {
    const Json now = status();
    return now.contains("services") ? now["services"].at(0) : Json::object();
  }
  [[nodiscard]] pid_t service_pid() const { return service().value("pid", 0); }
  [[nodiscard]] pid_t conductor_pid() const { return status().value("pid", 0); }
  [[nodiscard]] pid_t keeper_pid() const {
    return static_cast<pid_t>(std::stol(tests::read(host_.home().state() / "keeper.lock")));
  }
  [[nodiscard]] int live() const { return service().value("version", 0); }
  [[nodiscard]] fs::path program(int version) const {
    return host_.home().version(kProject, version) / "bin/http_service";
  }
  // A new version, whose service has these options.
  [[nodiscard]] Finished update(const std::string& options, int round) const {
    const fs::path patch = host_.patch(
        "version.h", "OPTIONS \"\"", fmt::format("OPTIONS \"{}\"  // {} of {}", options, round, ::getpid()));
    return selfbuild({"update", "--patch", patch.string()});
  }
  [[nodiscard]] Finished promote_other() const { return selfbuild({"promote", live() == 1 ? "v2" : "v1"}); }

  // Kills it as nothing else would, and waits until another one answers. Counts what was on its way.
  void kill_service() {
    const pid_t before = service_pid();
    count_in_flight();
    ::kill(before, SIGKILL);
    wait_until_another_serves(before);
  }
  void wait_until_another_serves(pid_t before) const {
    wait_until([&] {
      const std::string now = page("/pid");
      return !now.empty() && now.find_first_not_of("0123456789\n") == std::string::npos &&
             std::stoi(now) != before;
    });
  }
  void count_in_flight() {
    (void)load_->wait_until([&](const LoadReport& report) {
      in_flight_ += report.sent - report.ok - report.failed;
      return true;
    });
  }
  // What may be on its way at deaths that the service itself brings about.
  void count_deaths(int deaths) { in_flight_ += static_cast<std::uint64_t>(deaths * kConnections); }
  // For the next row.
  [[nodiscard]] std::uint64_t take_in_flight() {
    descriptors_.reset();
    return std::exchange(in_flight_, 0);
  }

  // Until nothing is on its way any more.
  void settle() const {
    wait_until([this] {
      const Json now = status();
      return now.contains("services") && now["services"].at(0).value("state", "") == "running" &&
             now.value("activation", Json()).is_null();
    });
  }
  // What is not as it should be, now that all is quiet; or empty.
  [[nodiscard]] std::string disorder() {
    const Json one = service();
    const int version = one.value("version", 0);
    const auto pid = one.value("pid", 0);
    std::error_code code;
    const std::string pointer = fs::read_symlink(host_.home().pointer(kProject), code).filename();
    if (pointer != fmt::format("v{}", version))
      return fmt::format("v{} runs, and {} is live", version, pointer);
    if (tests::read(fmt::format("/proc/{}/exe", pid)) != tests::read(program(version)))
      return fmt::format("what runs is not v{}", version);
    const Json overview = parse_json(selfbuild({"status", "--json"}).out).value_or(Json::object());
    for (const char* open : {"running", "waiting"}) {
      if (!overview.value(open, Json::array()).empty()) return "a cycle is open: " + overview[open].dump();
    }
    for (const pid_t process : os::with_descendants(keeper_pid())) {
      if (tests::read(fmt::format("/proc/{}/stat", process)).find(") Z ") != std::string::npos)
        return fmt::format("{} is a zombie", process);
    }
    // A swap's last descriptors go when the old version has ended. A conductor that was started again has its
    // own.
    for (int tries = 0; descriptors_ && descriptors() > *descriptors_; ++tries) {
      if (tries == 300) return fmt::format("{} descriptors, {} before", descriptors(), *descriptors_);
      std::this_thread::sleep_for(milliseconds(10));
    }
    if (!descriptors_) descriptors_ = descriptors();
    return "";
  }

 private:
  [[nodiscard]] std::ptrdiff_t descriptors() const {
    return std::distance(fs::directory_iterator(fmt::format("/proc/{}/fd", conductor_pid())), {});
  }
  std::string address_ = free_address();
  tests::Installation host_;
  SmallDisk disk_{host_.home().state()};
  std::unique_ptr<LoadClient> load_;
  std::optional<std::ptrdiff_t> descriptors_;  // after the row's first round
  std::uint64_t in_flight_ = 0;
};

// What is wrong with how a command ended; or empty.
std::string expect(const Finished& finished, int code) {
  if (finished.code == code) return "";
  return fmt::format("exit {} instead of {}: {}", finished.code, code, finished.all());
}

struct Failure {
  std::string name;
  double seed_ms = 0;                                    // the worst that the first design took
  bool kills = false;                                    // what is on its way then is lost with it
  bool answers = true;                                   // the port is to give good answers all the time
  std::function<std::string(World&, int round)> happen;  // what did not come out as it should; or empty
};

constexpr double kSeedCrash = 5000;
constexpr double kSeedSwap = 15'000;
constexpr double kSeedRollback = 10'000;

std::string crash(World& world, int) {
  world.kill_service();
  return "";
}

// Refused before any user reaches it (1), or taken back (3).
auto bad_version(const std::string& options, int code, int deaths = 0) {
  return [options, code, deaths](World& world, int round) {
    const int before = world.live();
    world.count_deaths(deaths);
    std::string wrong = expect(world.update(options, round), code);
    if (wrong.empty() && world.live() != before) wrong = "another version is live";
    return wrong;
  };
}

std::string does_not_build(World& world, int round) {
  const fs::path patch =
      world.host().patch("version.h", "OPTIONS \"\"", fmt::format("OPTIONS {} of {}", round, ::getpid()));
  return expect(world.selfbuild({"update", "--patch", patch.string()}), 1);
}

// A byte of its program was changed on disk: the store has the right ones.
std::string damaged_version(World& world, int) {
  const fs::path program = world.program(world.live() == 1 ? 2 : 1);
  const std::string bytes = tests::read(program);
  fs::permissions(program.parent_path(), fs::perms::owner_all);
  fs::remove(program);
  std::ofstream(program, std::ios::binary) << bytes << "x";
  fs::permissions(program, fs::perms::owner_all);
  std::string wrong = expect(world.promote_other(), 0);
  if (wrong.empty() && tests::read(program) != bytes) wrong = "the damage was not mended";
  return wrong;
}

std::string all_versions_broken(World& world, int) {
  std::vector<std::pair<fs::path, fs::perms>> programs;
  for (const int version : {1, 2}) {
    programs.emplace_back(world.program(version), fs::status(world.program(version)).permissions());
    fs::permissions(programs.back().first, fs::perms::owner_read);
  }
  const pid_t before = world.service_pid();
  world.count_in_flight();
  ::kill(before, SIGKILL);
  wait_until([&] { return world.service().value("state", "") == "safe mode"; });
  const std::string page = world.page("/");
  for (const auto& [program, usual] : programs) fs::permissions(program, usual);
  world.wait_until_another_serves(before);
  return page.empty() ? "nobody answered" : "";
}

std::string stuck(World& world, int) {
  const pid_t before = world.service_pid();
  world.count_deaths(1);  // every connection may come to wait for it
  ::kill(before, SIGSTOP);
  world.wait_until_another_serves(before);
  return "";
}

// A crash that meets a program which somebody is just writing.
std::string busy_program(World& world, int) {
  const pid_t before = world.service_pid();
  const pid_t conductor = world.conductor_pid();
  const fs::path program = world.program(world.live());
  const fs::perms usual = fs::status(program).permissions();
  fs::permissions(program, fs::perms::owner_all);
  ::kill(conductor, SIGSTOP);
  world.count_in_flight();
  ::kill(before, SIGKILL);
  UniqueFd writing;
  wait_until([&] {
    writing = UniqueFd(::open(program.c_str(), O_WRONLY | O_CLOEXEC));
    return static_cast<bool>(writing);
  });
  ::kill(conductor, SIGCONT);
  wait_until([&] { return world.service().value("state", "") != "running"; });
  writing.reset();
  fs::permissions(program, usual);
  world.wait_until_another_serves(before);
  return "";
}

std::string no_descriptors(World& world, int) {
  const pid_t conductor = world.conductor_pid();
  rlimit usual{};
  ::prlimit(conductor, RLIMIT_NOFILE, nullptr, &usual);
  const pid_t before = world.service_pid();
  const rlimit none{.rlim_cur = 3, .rlim_max = usual.rlim_max};
  ::prlimit(conductor, RLIMIT_NOFILE, &none, nullptr);
  world.count_in_flight();
  ::kill(before, SIGKILL);
  std::this_thread::sleep_for(milliseconds(100));  // the fault's own length
  ::prlimit(conductor, RLIMIT_NOFILE, &usual, nullptr);
  world.wait_until_another_serves(before);
  return "";
}

std::string conductor_killed(World& world, int) {
  const pid_t before = world.service_pid();
  const pid_t conductor = world.conductor_pid();
  ::kill(conductor, SIGKILL);
  wait_until([&] {
    const pid_t now = world.conductor_pid();
    return now != 0 && now != conductor;
  });
  return world.service_pid() == before ? "" : "the service was started again";
}

// At another moment of the swap in each round.
std::string conductor_killed_in_swap(World& world, int round) {
  const pid_t conductor = world.conductor_pid();
  const int to = world.live() == 1 ? 2 : 1;
  tests::Background swap = world.host().selfbuild_in_background({"promote", fmt::format("v{}", to)});
  std::this_thread::sleep_for(milliseconds(10 * round));
  ::kill(conductor, SIGKILL);
  std::string wrong = expect(swap.wait(), 0);
  if (wrong.empty() && world.live() != to) wrong = "the version before is live";
  return wrong;
}

std::string both_killed(World& world, int) {
  const pid_t before = world.service_pid();
  const pid_t conductor = world.conductor_pid();
  ::kill(world.keeper_pid(), SIGKILL);
  ::kill(conductor, SIGKILL);
  std::string wrong = expect(world.selfbuild({"conductor", "start"}), 0);
  if (wrong.empty() && world.service_pid() != before) wrong = "the service was started again";
  return wrong;
}

std::string full_disk_and_crash(World& world, int) {
  world.disk().fill();
  world.kill_service();
  world.disk().empty();
  return "";
}

std::string full_disk_and_swap(World& world, int) {
  const int before = world.live();
  world.disk().fill();
  const Finished swap = world.promote_other();
  world.disk().empty();
  world.settle();
  if (swap.code != 0 && world.live() != before) return "a swap that failed has taken place: " + swap.all();
  return expect(world.promote_other(), 0);
}

std::string grandchild_keeps_the_socket(World& world, int round) {
  std::string wrong = expect(world.update("--leave-child", round), 0);
  world.kill_service();
  if (wrong.empty()) wrong = expect(world.selfbuild({"promote", "v1"}), 0);
  return wrong;
}

std::vector<Failure> failures() {
  return {
      {.name = "crash", .seed_ms = kSeedCrash, .kills = true, .happen = crash},
      {.name = "new version crashes at start",
       .seed_ms = kSeedRollback,
       .happen = bad_version("--crash-at-start", 1)},
      {.name = "new version hangs at start",
       .seed_ms = kSeedRollback,
       .happen = bad_version("--never-ready", 1)},
      {.name = "new version is up but ill",
       .seed_ms = kSeedRollback,
       .happen = bad_version("--unhealthy-after 0", 1)},
      {.name = "new version turns ill in probation",
       .seed_ms = kSeedRollback,
       .happen = bad_version("--unhealthy-after 600", 3)},
      {.name = "new version dies in probation",
       .seed_ms = kSeedRollback,
       .kills = true,
       .happen = bad_version("--crash-after 500", 3, 3)},
      {.name = "new version takes too much memory",
       .seed_ms = kSeedRollback,
       .happen = bad_version("--grow 200", 3)},
      {.name = "build fails", .seed_ms = kSeedSwap, .happen = does_not_build},
      {.name = "damaged version", .seed_ms = kSeedRollback, .happen = damaged_version},
      {.name = "all versions broken",
       .seed_ms = kSeedCrash,
       .kills = true,
       .answers = false,
       .happen = all_versions_broken},
      {.name = "stuck service", .seed_ms = kSeedCrash, .kills = true, .happen = stuck},
      {.name = "program is being written",
       .seed_ms = kSeedCrash,
       .kills = true,
       .answers = false,
       .happen = busy_program},
      {.name = "no descriptors left", .seed_ms = kSeedCrash, .kills = true, .happen = no_descriptors},
      {.name = "child keeps the socket",
       .seed_ms = kSeedCrash,
       .kills = true,
       .happen = grandchild_keeps_the_socket},
      {.name = "conductor killed", .seed_ms = kSeedCrash, .happen = conductor_killed},
      {.name = "conductor killed in a swap", .seed_ms = kSeedSwap, .happen = conductor_killed_in_swap},
      {.name = "keeper and conductor killed", .seed_ms = kSeedCrash, .happen = both_killed},
      {.name = "full disk, crash", .seed_ms = kSeedCrash, .kills = true, .happen = full_disk_and_crash},
      {.name = "full disk, swap", .seed_ms = kSeedSwap, .happen = full_disk_and_swap},
  };
}

// One row, over and over; false when a round did not come out as it should, or more was lost than may be.
bool run_row(World& world, const Failure& failure, int rounds, Records& records) {
  int good = 0;
  double gap = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  (void)world.take_in_flight();
  for (int round = 0; round < rounds; ++round) {
    // A swap makes the next crash a first one: later ones wait ever longer, and are another figure.
    if (failure.kills) must("selfbuild promote", world.promote_other());
    (void)world.load().lap();
    std::string wrong = failure.happen(world, round);
    world.settle();
    // Users are served for a moment before what comes next.
    std::optional<std::uint64_t> then;
    (void)world.load().wait_until([&then](const LoadReport& report) {
      if (!then) then = report.ok;
      return report.ok >= *then + 100;
    });
    const LoadReport seen = world.load().lap();
    gap = std::max(gap, seen.longest_gap_ms);
    failed += seen.failed;
    refused += seen.refused;
    if (wrong.empty()) wrong = world.disorder();
    if (wrong.empty()) ++good;
    if (!wrong.empty()) fmt::print(stderr, "{}, round {}: {}\n", failure.name, round, wrong);
  }
  const double bar = failure.kills ? kInFlightSlack * static_cast<double>(world.take_in_flight()) : 0;
  const bool lost = (failure.answers && static_cast<double>(failed) > bar) || refused > 0;
  fmt::print(stderr, "{}: {} of {} in order{}\n", failure.name, good, rounds,
             lost ? ", and more was lost than may be" : "");
  const auto row = [&](const char* what, double value, const char* unit, const std::string& peer,
                       double ratio = 0) {
    records.add({.row = fmt::format("{} {}", failure.name, what),
                 .value = value,
                 .unit = unit,
                 .peer = peer,
                 .ratio = ratio});
  };
  row("in order", good, "", fmt::format("of {}", rounds));
  row("gap", gap, "ms", fmt::format("seed design: {:.0f}", failure.seed_ms),
      failure.seed_ms / std::max(gap, 0.1));
  if (failure.answers)
    row("failed", static_cast<double>(failed), "",
        failure.kills ? fmt::format("in flight × 1.3: {:.0f}", bar) : "bar: 0");
  row("refused", static_cast<double>(refused), "", "bar: 0");
  return good == rounds && !lost;
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const int rounds = arguments.take("--rounds", 10);
  const std::string only = arguments.take("--only", "");
  World world;
  Records records("failures");
  bool all_good = true;
  for (const Failure& failure : failures()) {
    if (failure.name.find(only) == std::string::npos) continue;
    if (failure.name.starts_with("full disk") && !world.disk().mounted()) {
      fmt::print(stderr, "{}: left out: only root can mount a small disk\n", failure.name);
      continue;
    }
    all_good = run_row(world, failure, rounds, records) && all_good;
  }
  const int code = records.finish(arguments.count(), arguments.values());
  return all_good ? code : 1;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
