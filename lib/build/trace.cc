#include "build/trace.h"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

namespace sb::build {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kProcess = 1;
constexpr int kPhaseLane = 1;  // edges are in the lanes behind it

Json name_of(std::string_view kind, int lane, std::string_view name) {
  return {{"ph", "M"}, {"name", kind}, {"pid", kProcess}, {"tid", lane}, {"args", {{"name", name}}}};
}

Json piece_of_work(std::string_view name, std::string_view category, int lane, microseconds start,
                   microseconds took) {
  return {{"ph", "X"},   {"name", name},        {"cat", category},    {"pid", kProcess},
          {"tid", lane}, {"ts", start.count()}, {"dur", took.count()}};
}

void add_phases(const BuildReport& report, Json& events) {
  events.push_back(name_of("thread_name", kPhaseLane, "phases"));
  for (const Phase& phase : report.timeline.phases()) {
    events.push_back(piece_of_work(phase.name, "phase", kPhaseLane, phase.start, phase.took));
    if (phase.name != "decide and place") continue;
    events.push_back(
        {{"ph", "i"},
         {"s", "t"},
         {"name", fmt::format("{} of {} edges from the cache", report.edges_cached, report.edges_total)},
         {"cat", "cache"},
         {"pid", kProcess},
         {"tid", kPhaseLane},
         {"ts", (phase.start + phase.took).count()},
         {"args", {{"edges", report.edges_cached}, {"saved_ms", report.saved.count()}}}});
  }
}

// Each in the first lane that is free when it starts.
void add_edges(const BuildReport& report, Json& events) {
  std::vector<milliseconds> free_at;
  for (const RanEdge& edge : report.timeline.edges()) {
    std::size_t lane = 0;
    while (lane < free_at.size() && free_at[lane] > edge.start) ++lane;
    const int number = kPhaseLane + 1 + static_cast<int>(lane);
    if (lane == free_at.size()) {
      free_at.emplace_back();
      events.push_back(name_of("thread_name", number, fmt::format("edges {}", lane + 1)));
    }
    free_at[lane] = edge.end;
    events.push_back(piece_of_work(edge.output, "edge", number, edge.start, edge.end - edge.start));
  }
}

}  // namespace

std::string trace_of(const BuildReport& report) {
  Json events = Json::array();
  events.push_back(name_of("process_name", kPhaseLane, "selfbuild build"));
  add_phases(report, events);
  add_edges(report, events);
  return dump_json(Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}});
}

Result<TraceFile> TraceFile::open(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644));
  const bool is_new = static_cast<bool>(fd);
  if (!is_new && errno == EEXIST) fd = UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail(errno_error(fmt::format("cannot write the trace {}", path.string())));
  return TraceFile(std::move(fd), path, is_new);
}

TraceFile::~TraceFile() {
  if (fd_ && is_new_) ::unlink(path_.c_str());
}

Status TraceFile::write(std::string_view text) {
  is_new_ = false;
  struct stat info{};
  const bool is_file = ::fstat(fd_.get(), &info) == 0 && S_ISREG(info.st_mode);
  bool written = !is_file || ::ftruncate(fd_.get(), 0) == 0;
  while (written && !text.empty()) {
    const ssize_t n = ::write(fd_.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    written = n > 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (written) return {};
  return fail(errno_error(fmt::format("cannot write the trace {}", path_.string())));
}

}  // namespace sb::build
