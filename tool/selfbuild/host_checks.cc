#include "tool/selfbuild/host_checks.h"

#include <charconv>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <nlohmann/json.hpp>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"
#include "os/process.h"
#include "os/unix_socket.h"
#include "project/project_file.h"
#include "sandbox/run.h"
#include "staging/stage_pool.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;
using Level = Check::Level;

constexpr std::uint64_t kGiB = 1ULL << 30U;
constexpr std::uint64_t kLittleSpace = 2 * kGiB;
constexpr std::uint64_t kNoSpace = kGiB / 8;

// The first line that a program prints with --version, found and started as a build would; empty when it
// cannot be.
std::string version_line(const std::string& program) {
  const sandbox::Command command{.argv = {program, "--version"},
                                 .environment = sandbox::clean_environment("/nonexistent"),
                                 .directory = "/"};
  std::string output;
  const Result<sandbox::Report> report = sandbox::run(command, {.wall = std::chrono::seconds(20)},
                                                      [&](std::string_view piece) { output += piece; });
  if (!report || !report->ok()) return {};
  const auto lines = split_lines(output);
  return lines.empty() ? program : std::string(trim(lines.front()));
}

std::string last_word(const std::string& line) {
  return line.substr(line.find_last_of(' ') + 1);
}

Check check_cmake() {
  const std::string line = version_line("cmake");
  if (line.empty())
    return {"cmake", Level::missing, "not found, or it does not start", "apt-get install cmake"};
  const std::string version = last_word(line);
  if (!version_at_least(version, "3.25")) {
    return {"cmake", Level::missing, version + "; 3.25 or newer is needed", "apt-get install cmake"};
  }
  return {"cmake", Level::ok, version, ""};
}

Check check_compiler() {
  for (const char* name : {"c++", "g++", "clang++"}) {
    const std::string line = version_line(name);
    if (!line.empty()) return {"compiler", Level::ok, fmt::format("{}: {}", name, line), ""};
  }
  return {"compiler", Level::missing, "none of c++, g++, clang++ starts", "apt-get install g++"};
}

Check from_status(std::string name, const Status& status, std::string good, std::string mend) {
  if (status) return {std::move(name), Level::ok, std::move(good), ""};
  return {std::move(name), Level::missing, one_line(status.error()), std::move(mend)};
}

// A real socket in the real place, listened on and connected to.
Status try_socket(const fs::path& path) {
  const Status outcome = [&]() -> Status {
    SB_TRY(const UniqueFd listener, os::listen_unix(path));
    SB_TRY(const UniqueFd caller, os::connect_unix(path));
    return {};
  }();
  std::error_code ignored;
  fs::remove(path, ignored);
  return outcome;
}

Check check_limit(const sandbox::Enforcement& limit) {
  Check check{.name = limit.resource, .level = Level::ok, .found = limit.mechanism, .mend = ""};
  if (!limit.value.empty()) check.found = fmt::format("{} by {}", limit.value, limit.mechanism);
  if (limit.level == sandbox::Level::enforced) return check;
  check.level = Level::weak;
  if (limit.level == sandbox::Level::unavailable) {
    check.found = limit.mechanism.empty() ? "not limited on this host" : "not limited: " + limit.mechanism;
  } else {
    check.found += ", which is not strict";
  }
  // What control groups would give can be had where systemd delegates them; the rest is the kernel's.
  if (limit.resource == "memory" || limit.resource == "processes") {
    check.mend = "systemd-run --user --scope -p Delegate=yes selfbuild conductor start";
  }
  return check;
}

}  // namespace

std::string_view to_string(Check::Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::weak:
      return "weak";
    case Level::missing:
      return "missing";
  }
  return "missing";
}

bool version_at_least(std::string_view found, std::string_view wanted) {
  const auto next_number = [](std::string_view& text) {
    int number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with('.')) {
      text.remove_prefix(1);
    } else {
      text = {};
    }
    return number;
  };
  while (!wanted.empty()) {
    const int left = next_number(found);
    const int right = next_number(wanted);
    if (left != right) return left > right;
  }
  return true;
}

std::vector<Check> check_tools() {
  std::vector<Check> checks = {check_cmake()};
  const std::string ninja = version_line("ninja");
  checks.push_back(ninja.empty() ? Check{"ninja", Level::missing, "not found, or it does not start",
                                         "apt-get install ninja-build"}
                                 : Check{"ninja", Level::ok, ninja, ""});
  checks.push_back(check_compiler());
  return checks;
}

Check check_repository(const fs::path& directory) {
  const Result<fs::path> root = project::find_project(directory);
  if (!root) {
    return {"repository", Level::weak, fmt::format("no project around {}", directory.string()),
            "selfbuild init"};
  }
  const Result<staging::Repository> repository = staging::Repository::open(*root);
  if (!repository) {
    return {
        "repository", Level::missing, one_line(repository.error()),
        fmt::format("git -C {0} init && git -C {0} add -A && git -C {0} commit -m start", root->string())};
  }
  const Result<staging::Source> head = repository->resolve("HEAD");
  if (!head) {
    return {"repository", Level::missing, one_line(head.error()),
            fmt::format("git -C {0} add -A && git -C {0} commit -m start", root->string())};
  }
  return {"repository", Level::ok,
          fmt::format("{} at {:.10} {}", repository->root().string(), head->commit, head->summary), ""};
}

std::vector<Check> check_home(const os::Home& home) {
  std::vector<Check> checks;
  const std::string state = home.state().string();
  const fs::path probe = home.state() / fmt::format("doctor-{}", ::getpid());
  os::RealFileSystem files;
  checks.push_back(from_status("home", files.write_durably(probe, "x", 0600), state,
                               "export SELFBUILD_HOME=/a/folder/of/yours"));
  std::error_code code;
  fs::remove(probe, code);
  const fs::space_info space = fs::space(home.cache(), code);
  const std::uint64_t available = code ? 0 : space.available;
  const Level level = available < kNoSpace       ? Level::missing
                      : available < kLittleSpace ? Level::weak
                                                 : Level::ok;
  checks.push_back({"free space", level,
                    fmt::format("{} in {}", human_bytes(available), home.cache().string()),
                    level == Level::ok ? "" : "selfbuild gc --stages"});
  checks.push_back(from_status("unix socket", try_socket(probe), fmt::format("works in {}", state),
                               "export SELFBUILD_HOME=/a/folder/on/a/local/disk"));
  return checks;
}

Check check_conductor(const os::Home& home) {
  update::ConductorLink link(home);
  const Result<Json> status = link.call_once("conductor.status", Json::object());
  if (status) {
    return {"conductor", Level::ok,
            fmt::format("running, pid {}", json_integer_or(*status, "pid", 0).value_or(0)), ""};
  }
  // The places that starting it looks in, in the same order.
  const std::string named = os::environment_variable("SELFBUILD_CONDUCTOR");
  std::vector<fs::path> places;
  if (!named.empty()) {
    places.emplace_back(named);
  } else {
    places.push_back(os::own_executable().parent_path() / "conductor");
    std::string path = os::environment_variable("PATH");
    std::ranges::replace(path, ':', '\n');
    for (const std::string_view folder : split_lines(path)) places.push_back(fs::path(folder) / "conductor");
  }
  for (const fs::path& place : places) {
    if (::access(place.c_str(), X_OK) != 0) continue;
    std::error_code code;
    const fs::path keeper = fs::weakly_canonical(place, code).parent_path() / "conductor-keeper";
    if (::access(keeper.c_str(), X_OK) != 0) {
      return {"conductor", Level::missing,
              fmt::format("not running; cannot start without {}", keeper.string()),
              "export SELFBUILD_CONDUCTOR=/path/to/conductor   # with conductor-keeper beside it"};
    }
    return {"conductor", Level::ok, fmt::format("not running; starts when needed from {}", place.string()),
            ""};
  }
  return {"conductor", Level::missing, "not running, and not beside selfbuild or in PATH",
          "export SELFBUILD_CONDUCTOR=/path/to/conductor"};
}

std::vector<Check> check_kernel(const os::Home& home) {
  std::vector<Check> checks;
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const UniqueFd base(::open(home.state().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd opened(static_cast<int>(::syscall(SYS_openat2, base.get(), ".", &how, sizeof how)));
  checks.push_back(opened ? Check{"openat2", Level::ok, "patches are written without following symlinks", ""}
                          : Check{"openat2", Level::missing, errno_error("the kernel refuses it").what,
                                  "uname -r   # Linux 5.6 or newer, and a container that allows openat2"});
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  checks.push_back(pidfd ? Check{"pidfd", Level::ok, "processes are never mistaken for others", ""}
                         : Check{"pidfd", Level::missing, errno_error("the kernel refuses it").what,
                                 "uname -r   # Linux 5.3 or newer, and a container that allows pidfd_open"});
  return checks;
}

std::vector<Check> check_limits(const sandbox::Envelope& envelope) {
  std::vector<Check> checks;
  for (const sandbox::Enforcement& limit : sandbox::survey(envelope)) checks.push_back(check_limit(limit));
  return checks;
}

}  // namespace sb::tool
