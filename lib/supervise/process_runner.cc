#include "supervise/process_runner.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "os/file_system.h"

namespace sb::supervise {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> pid_from(const std::string& name) {
  pid_t pid = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (code != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

bool has_variables(pid_t pid, const std::vector<std::string>& variables) {
  // /proc files have no size to allocate by, so they are read to their end.
  std::ifstream file(fmt::format("/proc/{}/environ", pid), std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return std::ranges::all_of(variables, [&](const std::string& variable) {
    const std::string wanted = variable + '\0';
    return text.starts_with(wanted) || text.find('\0' + wanted) != std::string::npos;
  });
}

}  // namespace

std::optional<os::Process> RealProcessRunner::find_marked(const std::vector<std::string>& variables) {
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", code)) {
    const std::optional<pid_t> pid = pid_from(entry.path().filename().string());
    // The instance itself leads its session; its children inherit the variable, but not that place.
    if (!pid || session_of(*pid) != *pid || !has_variables(*pid, variables)) continue;
    const std::optional<std::uint64_t> ticks = os::start_ticks_of(*pid);
    if (ticks) return os::adopt(*pid, *ticks);
  }
  return std::nullopt;
}

void RealProcessRunner::kill_rest(pid_t group, const std::vector<std::string>& variables) {
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", code)) {
    const std::optional<pid_t> pid = pid_from(entry.path().filename().string());
    if (!pid || ::getpgid(*pid) != group) continue;
    const std::optional<std::uint64_t> ticks = os::start_ticks_of(*pid);
    if (!ticks) continue;
    // Looked at once more when it cannot become another one any longer.
    const std::optional<os::Process> process = os::adopt(*pid, *ticks);
    if (process && ::getpgid(*pid) == group && has_variables(*pid, variables)) {
      os::send_signal(*process, SIGKILL);
    }
  }
}

std::optional<os::Process> RealProcessRunner::find(pid_t pid, const std::vector<std::string>& variables) {
  const std::optional<std::uint64_t> ticks = os::start_ticks_of(pid);
  if (!ticks || !has_variables(pid, variables)) return std::nullopt;
  return os::adopt(pid, *ticks);
}

os::Watch RealProcessRunner::on_exit(const os::Process& process, std::function<void(os::Exit)> callback) {
  return on_end(process, /*with_group=*/true, std::move(callback));
}

os::Watch RealProcessRunner::on_end_alone(const os::Process& process,
                                          std::function<void(os::Exit)> callback) {
  return on_end(process, /*with_group=*/false, std::move(callback));
}

os::Watch RealProcessRunner::on_end(const os::Process& process, bool with_group,
                                    std::function<void(os::Exit)> callback) {
  // The watch outlives neither the process's owner nor its pidfd: the owner holds both.
  auto watch = std::make_shared<os::Watch>();
  const os::Process* observed = &process;
  *watch =
      loop_.on_readable(process.pidfd.get(), [watch, observed, with_group, callback = std::move(callback)] {
        // Before reaping: until then the pid, and with it the group's number, cannot belong to anybody else.
        if (with_group) os::send_signal(*observed, SIGKILL, /*whole_group=*/true);
        std::optional<os::Exit> exit = os::reap(*observed);
        const auto call = callback;
        watch->reset();
        call(exit.value_or(os::Exit{}));
      });
  return os::Watch([watch] { watch->reset(); });
}

pid_t session_of(pid_t pid) {
  const Result<std::string> stat = os::read_file(fmt::format("/proc/{}/stat", pid), 64 * 1024);
  if (!stat) return -1;
  const std::size_t end_of_name = stat->rfind(')');  // the name may hold anything
  if (end_of_name == std::string::npos) return -1;
  std::string_view rest = std::string_view(*stat).substr(std::min(end_of_name + 2, stat->size()));
  for (int field = 3; field < 6; ++field) rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
  pid_t session = -1;
  std::from_chars(rest.data(), rest.data() + rest.size(), session);
  return session;
}

}  // namespace sb::supervise
