#include "sandbox/control_group.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"
#include "sandbox/hierarchies.h"

namespace sb::sandbox {
namespace {

bool write_text(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string read_text(const std::string& path) {
  return os::read_file(path, 1U << 20U).value_or(std::string());
}

std::optional<std::uint64_t> number(std::string_view text) {
  text = trim(text);
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The value behind "key " at the start of a line.
std::uint64_t field(const std::string& text, std::string_view key) {
  for (const std::string_view line : split_lines(text)) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
      return number(line.substr(key.size() + 1)).value_or(0);
    }
  }
  return 0;
}

bool has_word(std::string_view text, std::string_view word) {
  return fmt::format(" {} ", trim(text)).find(fmt::format(" {} ", word)) != std::string::npos;
}

std::optional<std::string> make_folder_in(const std::string& parent) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string folder = fmt::format("{}/selfbuild-{}-{}", parent, ::getpid(), counter++);
    if (::mkdir(folder.c_str(), 0755) == 0) return folder;
    if (errno != EEXIST) return std::nullopt;  // EEXIST: a process of another pid namespace has our number
  }
  return std::nullopt;
}

void kill_members(const std::string& folder) {
  const std::string members = read_text(folder + "/cgroup.procs");
  for (const std::string_view line : split_lines(members)) {
    if (const auto pid = number(line); pid && *pid > 1) ::kill(static_cast<pid_t>(*pid), SIGKILL);
  }
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// May the run lie beside this group instead of inside it? Not when the group limits us: the run would get
// out.
bool has_no_limit(const std::string& folder) {
  const auto unlimited = [&](const char* file) {
    const std::string text = read_text(folder + file);
    return text.empty() || trim(text) == "max";
  };
  return unlimited("/memory.max") && unlimited("/pids.max") && unlimited("/cpu.max");
}

// Version 2: a folder below our own group or, as a group with processes cannot hand controllers to its
// children, below the nearest ancestor that can. Without any controller a folder in our own group still has a
// kill switch.
std::optional<std::string> make_version_2(const Hierarchy& hierarchy, bool wants_controllers) {
  if (wants_controllers) {
    for (std::string parent = hierarchy.own;; parent = parent.substr(0, parent.rfind('/'))) {
      const std::string offered = read_text(parent + "/cgroup.controllers");
      for (const std::string_view controller : {"memory", "pids"}) {
        if (has_word(offered, controller) &&
            !has_word(read_text(parent + "/cgroup.subtree_control"), controller)) {
          write_text(parent + "/cgroup.subtree_control", fmt::format("+{}", controller));  // may be refused
        }
      }
      const std::string handed_down = read_text(parent + "/cgroup.subtree_control");
      if (has_word(handed_down, "memory") && has_word(handed_down, "pids")) {
        if (auto folder = make_folder_in(parent)) return folder;
      }
      if (parent.size() <= hierarchy.mount.size() || !has_no_limit(parent)) break;
    }
  }
  return make_folder_in(hierarchy.own);
}

bool remove_group_at(int parent, const char* name, int depth) {
  if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  const int error = errno;
  const int folder =
      depth < 16 ? ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (folder < 0) {
    errno = error;
    return false;
  }
  alignas(dirent64) std::array<char, 4096> block{};
  ssize_t size = 0;
  while ((size = ::getdents64(folder, block.data(), block.size())) > 0) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto* entry = reinterpret_cast<const dirent64*>(&block[at]);
      const char* child = &block[at] + offsetof(dirent64, d_name);
      if (entry->d_type == DT_DIR && child[0] != '.') (void)remove_group_at(folder, child, depth + 1);
      at += entry->d_reclen;
    }
  }
  ::close(folder);
  return ::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

}  // namespace

ControlGroup ControlGroup::make(const Envelope& envelope) {
  ControlGroup group;
  const std::vector<Hierarchy> hierarchies = own_hierarchies();
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.version != 2) continue;
    const bool limits = envelope.memory_bytes.has_value() || envelope.processes.has_value();
    if (const auto folder = make_version_2(hierarchy, limits)) group.add(*folder);
    break;
  }
  const auto has_file = [&](const char* file) {
    return std::ranges::any_of(group.folders_, [&](const std::string& f) { return exists(f + file); });
  };
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.version != 1) continue;
    const auto mounts = [&](const char* controller) {
      return std::ranges::find(hierarchy.controllers, controller) != hierarchy.controllers.end();
    };
    const bool useful = (envelope.memory_bytes && mounts("memory") && !has_file("/memory.max")) ||
                        (envelope.processes && mounts("pids") && !has_file("/pids.max")) ||
                        (mounts("cpuacct") && !has_file("/cgroup.controllers"));
    if (!useful) continue;
    if (const auto folder = make_folder_in(hierarchy.own)) group.add(*folder);
  }
  group.drop_what_cannot_be_entered();
  if (envelope.memory_bytes) group.set_memory(*envelope.memory_bytes);
  if (envelope.processes) group.set_processes(*envelope.processes);
  group.open_instruments();
  return group;
}

void ControlGroup::add(const std::string& folder) {
  UniqueFd entry(::open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!entry) {
    ::rmdir(folder.c_str());
    return;
  }
  folders_.push_back(folder);
  entries_.push_back(std::move(entry));
}

// Permissions alone do not say it: version 2 refuses to move a process out of a tree that was not delegated.
void ControlGroup::drop_what_cannot_be_entered() {
  if (folders_.empty()) return;
  const std::vector<int> fds = entries();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Async-signal-safe only. The exit code is the set of folders that refused; eight are enough.
    int refused = 0;
    for (std::size_t i = 0; i < fds.size() && i < 8; ++i) {
      if (::write(fds[i], "0", 1) != 1) refused |= 1 << i;
    }
    ::_exit(refused);
  }
  int status = 0;
  pid_t waited = -1;
  do {
    waited = pid < 0 ? -1 : ::waitpid(pid, &status, 0);
  } while (waited < 0 && errno == EINTR && pid > 0);
  const int refused = waited == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 0xff;
  for (std::size_t i = folders_.size(); i-- > 0;) {
    if (i < 8 && (refused & (1 << i)) == 0) continue;
    ::rmdir(folders_[i].c_str());
    folders_.erase(folders_.begin() + static_cast<std::ptrdiff_t>(i));
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void ControlGroup::set_memory(std::uint64_t bytes) {
  for (const std::string& folder : folders_) {
    const bool second = exists(folder + "/memory.max");
    const std::string file = second ? "memory.max" : "memory.limit_in_bytes";
    if (!write_text(fmt::format("{}/{}", folder, file), fmt::to_string(bytes))) continue;
    // Swap would only move the excess out of sight. Absent where the kernel does not count swap.
    if (second) write_text(folder + "/memory.swap.max", "0");
    if (!second) write_text(folder + "/memory.memsw.limit_in_bytes", fmt::to_string(bytes));
    const auto applied = number(read_text(fmt::format("{}/{}", folder, file)));
    if (!applied || *applied > bytes) continue;
    memory_ = Applied{.mechanism = fmt::format("cgroup v{} {}", second ? 2 : 1, file), .value = *applied};
    memory_folder_ = folder;
    return;
  }
}

void ControlGroup::set_processes(std::uint64_t count) {
  for (const std::string& folder : folders_) {
    if (!write_text(folder + "/pids.max", fmt::to_string(count))) continue;
    const auto applied = number(read_text(folder + "/pids.max"));
    if (!applied || *applied > count) continue;
    const bool second = exists(folder + "/cgroup.controllers");
    processes_ = Applied{.mechanism = fmt::format("cgroup v{} pids.max", second ? 2 : 1), .value = *applied};
    processes_folder_ = folder;
    return;
  }
}

void ControlGroup::open_instruments() {
  for (const std::string& folder : folders_) {
    if (!kill_) kill_ = UniqueFd(::open((folder + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    for (const char* file : {"/cpuacct.usage", "/cpu.stat"}) {
      // cpu.stat of version 1 counts throttling only.
      if (std::string_view(file) == "/cpu.stat" && !exists(folder + "/cgroup.controllers")) continue;
      if (!cpu_) cpu_ = UniqueFd(::open((folder + file).c_str(), O_RDONLY | O_CLOEXEC));
    }
  }
}

std::vector<int> ControlGroup::entries() const {
  std::vector<int> fds;
  fds.reserve(entries_.size());
  for (const UniqueFd& entry : entries_) fds.push_back(entry.get());
  return fds;
}

std::uint64_t ControlGroup::oom_kills() const {
  if (memory_folder_.empty()) return 0;
  return field(read_text(memory_folder_ + "/memory.events"), "oom_kill") +
         field(read_text(memory_folder_ + "/memory.oom_control"), "oom_kill");
}

std::uint64_t ControlGroup::refused_forks() const {
  if (processes_folder_.empty()) return 0;
  return field(read_text(processes_folder_ + "/pids.events"), "max");
}

std::uint64_t ControlGroup::peak_memory() const {
  if (memory_folder_.empty()) return 0;
  if (const auto peak = number(read_text(memory_folder_ + "/memory.peak"))) return *peak;
  return number(read_text(memory_folder_ + "/memory.max_usage_in_bytes")).value_or(0);
}

std::optional<std::chrono::nanoseconds> ControlGroup::cpu_time() const {
  if (!cpu_) return std::nullopt;
  char text[64];
  const ssize_t size = ::pread(cpu_.get(), text, sizeof text, 0);
  if (size <= 0) return std::nullopt;
  return parse_cpu_meter(text, static_cast<std::size_t>(size));
}

void ControlGroup::kill_all() {
  if (kill_) (void)!::write(kill_.get(), "1", 1);
  for (const std::string& folder : folders_) {
    kill_members(folder);
    std::error_code code;
    // Not a range-for: its ++ throws when a group goes away meanwhile.
    for (std::filesystem::recursive_directory_iterator it(folder, code), end; !code && it != end;
         it.increment(code)) {
      std::error_code ignored;
      if (it->is_directory(ignored)) kill_members(it->path().string());
    }
  }
}

void ControlGroup::remove() {
  // A killed process leaves its group a moment after the signal; a group goes only when it is empty.
  for (const std::string& folder : folders_) {
    for (int attempt = 0; !remove_group(folder.c_str()) && errno == EBUSY && attempt < 400; ++attempt) {
      kill_all();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  folders_.clear();
  entries_.clear();
}

ControlGroup::ControlGroup(ControlGroup&& other) noexcept {
  *this = std::move(other);
}

ControlGroup& ControlGroup::operator=(ControlGroup&& other) noexcept {
  if (this == &other) return *this;
  remove();
  folders_ = std::exchange(other.folders_, {});
  entries_ = std::exchange(other.entries_, {});
  kill_ = std::move(other.kill_);
  cpu_ = std::move(other.cpu_);
  memory_ = std::exchange(other.memory_, std::nullopt);
  processes_ = std::exchange(other.processes_, std::nullopt);
  memory_folder_ = std::exchange(other.memory_folder_, {});
  processes_folder_ = std::exchange(other.processes_folder_, {});
  return *this;
}

ControlGroup::~ControlGroup() {
  remove();
}

bool remove_group(const char* folder) {
  return remove_group_at(AT_FDCWD, folder, 0);
}

std::chrono::nanoseconds parse_cpu_meter(const char* text, std::size_t size) {
  // cpuacct.usage is "N" in nanoseconds; cpu.stat begins with "usage_usec N".
  const bool microseconds = size > 0 && text[0] == 'u';
  std::int64_t value = 0;
  std::size_t i = 0;
  while (i < size && (text[i] < '0' || text[i] > '9')) ++i;
  for (; i < size && text[i] >= '0' && text[i] <= '9'; ++i) value = value * 10 + (text[i] - '0');
  return std::chrono::nanoseconds(microseconds ? value * 1000 : value);
}

}  // namespace sb::sandbox
