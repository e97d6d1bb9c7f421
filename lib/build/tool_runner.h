// ToolRunner: runs cmake and ninja for one build, in the sandbox, with everything they print in the build's
// log.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "build/builder.h"
#include "sandbox/run.h"

namespace sb::build {

// Called with each line of output, without its end.
using LineSink = std::function<void(std::string_view)>;

class ToolRunner {
 public:
  // Opens the log, makes the throw-away HOME beside the build folder and starts the clock of the envelope's
  // wall time, which all runs share. environment when cmake or ninja is not in PATH; next installs them.
  [[nodiscard]] static Result<ToolRunner> make(const BuildRequest& request, const std::stop_token& stop);
  ToolRunner(ToolRunner&&) noexcept = default;
  ToolRunner& operator=(ToolRunner&&) = delete;
  ~ToolRunner();  // removes the throw-away HOME

  // Waits for the end. `environment` is added to the clean one. interrupted when the stop token was used; any
  // other end is in the report. Lines longer than 64 KiB are given in pieces.
  [[nodiscard]] Result<sandbox::Report> run(const std::vector<std::string>& argv,
                                            const std::vector<std::string>& environment,
                                            const LineSink& lines);
  // The same for questions: neither the command nor its output goes to the log.
  [[nodiscard]] Result<sandbox::Report> run_quietly(const std::vector<std::string>& argv,
                                                    const LineSink& lines);
  // Into the build's log.
  void note(std::string_view text) { append(text); }
  // A path as the commands see it.
  [[nodiscard]] std::filesystem::path seen(const std::filesystem::path& path) const;
  // What commands get when nothing is added.
  [[nodiscard]] std::vector<std::string> environment() const;

 private:
  ToolRunner(const BuildRequest& request, std::stop_token stop);
  [[nodiscard]] Result<sandbox::Report> start(const std::vector<std::string>& argv,
                                              const std::vector<std::string>& environment,
                                              const sandbox::OutputSink& sink);
  void append(std::string_view text);

  sandbox::Envelope envelope_;
  std::optional<sandbox::View> view_;
  std::filesystem::path directory_;
  std::filesystem::path home_;
  std::filesystem::path log_path_;
  std::stop_token stop_;
  UniqueFd log_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace sb::build
