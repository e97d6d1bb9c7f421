#include "sandbox/limits.h"

#include <algorithm>
#include <memory>
#include <string>

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace sb::sandbox {
namespace {

// The lower of what is asked and what we may have ourselves: raising a hard limit needs a privilege, and a
// parent's limit is there for a reason.
rlim_t cap(int resource, std::uint64_t wanted) {
  rlimit current{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &current) != 0) return wanted;
  return std::min<rlim_t>(wanted, current.rlim_max);
}

// Tasks of this user, which RLIMIT_NPROC counts together with those of the run.
std::uint64_t tasks_of_this_user() {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return 0;
  std::uint64_t tasks = 0;
  while (const dirent* entry = ::readdir(proc.get())) {  // NOLINT(concurrency-mt-unsafe): a DIR of our own
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    struct stat info{};
    const std::string folder = fmt::format("/proc/{}/task", entry->d_name);
    if (::stat(folder.c_str(), &info) != 0 || info.st_uid != ::getuid()) continue;
    tasks += info.st_nlink > 2 ? info.st_nlink - 2 : 1;  // one subfolder per thread
  }
  return tasks;
}

void limit_memory(Limits& limits, std::uint64_t bytes) {
  if (const auto& applied = limits.group.memory()) {
    limits.grant.push_back({"memory", Level::enforced, applied->mechanism, human_bytes(applied->value)});
    return;
  }
  const rlim_t value = cap(RLIMIT_AS, bytes);
  limits.process_limits.push_back({RLIMIT_AS, value, value});
  limits.grant.push_back({"memory", Level::advisory, "RLIMIT_AS per process", human_bytes(value)});
}

void limit_processes(Limits& limits, std::uint64_t count) {
  if (const auto& applied = limits.group.processes()) {
    limits.grant.push_back(
        {"processes", Level::enforced, applied->mechanism, fmt::to_string(applied->value)});
    return;
  }
  limits.counted_processes = count;
  if (::geteuid() == 0) {
    // The kernel exempts uid 0 from RLIMIT_NPROC: only the count is left.
    limits.grant.push_back({"processes", Level::advisory,
                            "counted by the init; uid 0 is exempt from RLIMIT_NPROC", fmt::to_string(count)});
    return;
  }
  const rlim_t value = cap(RLIMIT_NPROC, count + tasks_of_this_user());
  limits.process_limits.push_back({RLIMIT_NPROC, value, value});
  limits.grant.push_back({"processes", Level::advisory, "counted by the init, and RLIMIT_NPROC of the user",
                          fmt::to_string(count)});
}

void limit_cpu(Limits& limits, std::chrono::seconds cpu) {
  // SIGXCPU at the limit, SIGKILL a second later for a process that catches it.
  const rlim_t soft = cap(RLIMIT_CPU, static_cast<std::uint64_t>(std::max<std::int64_t>(cpu.count(), 1)));
  limits.process_limits.push_back({RLIMIT_CPU, soft, cap(RLIMIT_CPU, soft + 1)});
  const std::string value = human_duration(std::chrono::seconds(static_cast<std::int64_t>(soft)));
  if (limits.group.cpu_meter() >= 0) {
    limits.counted_cpu = cpu;
    limits.grant.push_back({"cpu time", Level::enforced, "RLIMIT_CPU, and the cgroup's sum", value});
  } else {
    limits.grant.push_back({"cpu time", Level::enforced, "RLIMIT_CPU per process", value});
  }
}

void limit_one(Limits& limits, int resource, std::string name, std::string mechanism, std::uint64_t wanted,
               bool size) {
  const rlim_t value = cap(resource, wanted);
  limits.process_limits.push_back({resource, value, value});
  limits.grant.push_back({std::move(name), Level::enforced, std::move(mechanism),
                          size ? human_bytes(value) : fmt::to_string(value)});
}

}  // namespace

Limits make_limits(const Envelope& envelope) {
  Limits limits;
  limits.group = ControlGroup::make(envelope);
  limits.process_limits.push_back({RLIMIT_CORE, 0, 0});
  if (envelope.memory_bytes) limit_memory(limits, *envelope.memory_bytes);
  if (envelope.processes) limit_processes(limits, *envelope.processes);
  if (envelope.wall) {
    limits.grant.push_back({"wall time", Level::enforced, "init and caller", human_duration(*envelope.wall)});
  }
  if (envelope.cpu) limit_cpu(limits, *envelope.cpu);
  if (envelope.output_bytes) {
    limits.grant.push_back(
        {"output", Level::enforced, "counted by the caller", human_bytes(*envelope.output_bytes)});
  }
  if (envelope.file_bytes) {
    limit_one(limits, RLIMIT_FSIZE, "file size", "RLIMIT_FSIZE", *envelope.file_bytes, true);
  }
  if (envelope.open_files) {
    limit_one(limits, RLIMIT_NOFILE, "open files", "RLIMIT_NOFILE", *envelope.open_files, false);
  }
  limits.grant.push_back({"process tree", Level::enforced,
                          limits.group.kill_switch() >= 0 ? "own init and cgroup.kill" : "own init", ""});
  return limits;
}

}  // namespace sb::sandbox
