// The order of mounts is the one of pivot_root(2)'s example, twice: a scratch root that holds the host's root
// and the new one side by side, then the new one alone. Binding from below the scratch root keeps the new
// root from containing itself.
#include "sandbox/view.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sb::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScratch = "/tmp";  // any folder that every host has: covered in our namespace only
constexpr const char* kOld = "/old";
constexpr const char* kNew = "/new";

// `path` with the prefix `from` replaced by `to`, at a boundary between names.
fs::path moved(const fs::path& path, const std::string& from, const std::string& to) {
  const std::string& text = path.native();
  if (!text.starts_with(from)) return path;
  if (text.size() == from.size()) return to;
  return text[from.size()] == '/' ? fs::path(to + text.substr(from.size())) : path;
}

bool may_mount() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_SYS_ADMIN / 32].effective >> (CAP_SYS_ADMIN % 32) & 1U) != 0;
}

bool write_text(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int code = errno;
  ::close(fd);
  errno = code;
  return written;
}

bool pivot(const char* to, const char* put_old) {
  return ::syscall(SYS_pivot_root, to, put_old) == 0;
}

Result<std::string> try_view() {
  SB_TRY(const ViewPlan plan, ViewPlan::make({.folder = "/", .at = "/selfbuild-probe"}));
  const bool privileged = may_mount();
  const pid_t pid = ::_Fork();  // as init_process.cc does
  if (pid < 0) return fail(errno_error("cannot fork"));
  if (pid == 0) ::_exit(plan.enter() ? 0 : errno);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return std::string(privileged ? "mount namespace" : "user and mount namespace");
  }
  Error error = errno_error("this host does not let us make a mount namespace",
                            WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
  error.kind = ErrorKind::environment;
  return fail(std::move(error));
}

}  // namespace

fs::path View::seen(const fs::path& path) const {
  return moved(path, folder, at);
}

fs::path View::real(const fs::path& path) const {
  return moved(path, at, folder);
}

Result<std::string> view_mechanism() {
  static const Result<std::string> kFound = try_view();
  return kFound;
}

Result<ViewPlan> ViewPlan::make(const View& view) {
  ViewPlan plan;
  std::error_code code;
  for (fs::directory_iterator it("/", code), end; !code && it != end; it.increment(code)) {
    const std::string name = "/" + it->path().filename().string();
    if (name == view.at) continue;
    Entry entry{
        .from = std::string(kOld) + name, .to = std::string(kNew) + name, .link = {}, .folder = false};
    std::error_code ignored;
    const fs::file_type type = it->symlink_status(ignored).type();
    if (type == fs::file_type::symlink) entry.link = fs::read_symlink(it->path(), ignored).string();
    entry.folder = type == fs::file_type::directory;
    plan.entries_.push_back(std::move(entry));
  }
  if (code) return fail(errno_error("cannot list the root folder", code.value()));
  plan.folder_ = {.from = std::string(kOld) + fs::canonical(view.folder, code).string(),
                  .to = std::string(kNew) + view.at,
                  .link = {},
                  .folder = true};
  if (code) return fail(errno_error(fmt::format("cannot find the folder {}", view.folder), code.value()));
  for (const std::string& path : view.hidden) {
    if (fs::is_regular_file(fs::path(view.folder) / path, code))
      plan.hidden_.push_back(plan.folder_.to + "/" + path);
  }
  plan.privileged_ = may_mount();
  plan.user_map_ = fmt::format("{0} {0} 1\n", ::geteuid());
  plan.group_map_ = fmt::format("{0} {0} 1\n", ::getegid());
  return plan;
}

bool ViewPlan::take_namespaces() const {
  if (privileged_) return ::unshare(CLONE_NEWNS) == 0;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", user_map_) && write_text("/proc/self/gid_map", group_map_);
}

bool ViewPlan::bind(const Entry& entry) {
  if (!entry.link.empty()) return ::symlink(entry.link.c_str(), entry.to.c_str()) == 0;
  if (entry.folder) {
    if (::mkdir(entry.to.c_str(), 0755) != 0) return false;
  } else if (::mknod(entry.to.c_str(), S_IFREG | 0644, 0) != 0) {
    return false;
  }
  if (::mount(entry.from.c_str(), entry.to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) return true;
  // What we may not even bind (a FUSE mount of another user) is an empty place in the view.
  return errno == EACCES;
}

bool ViewPlan::enter() const {
  if (!take_namespaces()) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mount("tmpfs", kScratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return false;
  if (::chdir(kScratch) != 0 || ::mkdir("old", 0755) != 0 || ::mkdir("new", 0755) != 0) return false;
  if (!pivot(".", "old") || ::chdir("/") != 0) return false;
  if (::mount("tmpfs", kNew, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return false;
  for (const Entry& entry : entries_) {
    if (!bind(entry)) return false;
  }
  if (!bind(folder_)) return false;
  for (const std::string& path : hidden_) {
    if (::mount("/old/dev/null", path.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
  }
  if (::mount(nullptr, kNew, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return false;
  // The scratch root is stacked below the new one, and goes with everything in it.
  if (::chdir(kNew) != 0 || !pivot(".", ".")) return false;
  return ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0;
}

}  // namespace sb::sandbox
