// Command lines and output of cmake and ninja: cut into lines for the reader, kept as they are for the log.
#include "build/tool_runner.h"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"
#include "os/process.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestLine = 64 * 1024;

bool in_path(std::string_view program) {
  const std::string path = os::environment_variable("PATH");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    if (::access((fs::path(path.substr(begin, end - begin)) / program).c_str(), X_OK) == 0) return true;
    begin = end + 1;
  }
  return false;
}

// Cuts a stream of pieces into lines.
class LineCutter {
 public:
  explicit LineCutter(const LineSink& sink) : sink_(sink) {}
  void add(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      pending_ += piece.substr(0, end);
      if (end != std::string_view::npos || pending_.size() > kLongestLine) flush();
      piece.remove_prefix(end == std::string_view::npos ? piece.size() : end + 1);
    }
  }
  void finish() {
    if (!pending_.empty()) flush();
  }

 private:
  void flush() {
    sink_(pending_);
    pending_.clear();
  }
  const LineSink& sink_;
  std::string pending_;
};

}  // namespace

ToolRunner::ToolRunner(const BuildRequest& request, std::stop_token stop)
    : envelope_(request.envelope),
      view_(request.view),
      directory_(request.source),
      home_(request.build.parent_path() /
            fmt::format(".selfbuild-{}-home", request.build.filename().string())),
      log_path_(request.log),
      stop_(std::move(stop)),
      start_(std::chrono::steady_clock::now()) {}

ToolRunner::~ToolRunner() {
  if (!home_.empty()) (void)os::remove_tree(home_);  // what stays is removed by the next build
}

Result<ToolRunner> ToolRunner::make(const BuildRequest& request, const std::stop_token& stop) {
  for (const std::string_view program : {"cmake", "ninja"}) {
    if (!in_path(program)) {
      return fail(ErrorKind::environment, fmt::format("no {} in PATH", program),
                  "apt-get install cmake ninja-build");
    }
  }
  ToolRunner runner(request, stop);
  SB_CHECK(os::make_folders(request.build));
  SB_CHECK(os::remove_tree(runner.home_));
  SB_CHECK(os::make_folders(runner.home_));
  if (!request.log.empty()) {
    SB_CHECK(os::make_folders(request.log.parent_path()));
    runner.log_ = UniqueFd(::open(request.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!runner.log_) return fail(errno_error(fmt::format("cannot open the log {}", request.log.string())));
  }
  return runner;
}

std::filesystem::path ToolRunner::seen(const std::filesystem::path& path) const {
  return view_ ? view_->seen(path) : path;
}

std::vector<std::string> ToolRunner::environment() const {
  return sandbox::clean_environment(seen(home_).string());
}

void ToolRunner::append(std::string_view text) {
  // A log that cannot be written (disk full) must not fail the build: the disk will, with a better message.
  while (log_ && !text.empty()) {
    const ssize_t n = ::write(log_.get(), text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

Result<sandbox::Report> ToolRunner::start(const std::vector<std::string>& argv,
                                          const std::vector<std::string>& environment,
                                          const sandbox::OutputSink& sink) {
  sandbox::Envelope envelope = envelope_;
  if (envelope.wall) {
    const auto used = std::chrono::steady_clock::now() - start_;
    const auto left = *envelope.wall - std::chrono::duration_cast<std::chrono::milliseconds>(used);
    envelope.wall = std::max(left, std::chrono::milliseconds(1));
  }
  sandbox::Command command{.argv = argv,
                           .environment = this->environment(),
                           .directory = seen(directory_).string(),
                           .sockets = {},
                           .socket_names = {},
                           .view = view_};
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  SB_TRY(sandbox::Report report,
         doing("running " + argv.front(), sandbox::run(command, envelope, sink, stop_)));
  if (report.stopped) return fail(ErrorKind::interrupted, fmt::format("{} was stopped", argv.front()));
  return report;
}

Result<sandbox::Report> ToolRunner::run(const std::vector<std::string>& argv,
                                        const std::vector<std::string>& environment, const LineSink& lines) {
  append(fmt::format("$ {}\n", join(argv, " ")));
  LineCutter cutter(lines);
  SB_TRY(sandbox::Report report, start(argv, environment, [&](std::string_view piece) {
           append(piece);
           cutter.add(piece);
         }));
  cutter.finish();
  if (!report.ok()) append(fmt::format("{}: {}\n", argv.front(), report.to_string()));
  return report;
}

Result<sandbox::Report> ToolRunner::run_quietly(const std::vector<std::string>& argv, const LineSink& lines) {
  LineCutter cutter(lines);
  SB_TRY(sandbox::Report report, start(argv, {}, [&](std::string_view piece) { cutter.add(piece); }));
  cutter.finish();
  return report;
}

}  // namespace sb::build
