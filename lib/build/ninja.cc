// Ninja's command line and its status lines.
#include "build/ninja.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"
#include "build/diagnostics.h"

namespace sb::build {
namespace {

void append_targets(std::vector<std::string>& argv, const BuildRequest& request) {
  if (request.targets.empty()) return;
  argv.emplace_back("--");  // a target is never an option
  argv.insert(argv.end(), request.targets.begin(), request.targets.end());
}

// Takes a number and the character after it from the front of text.
std::optional<int> take_number(std::string_view& text, char after) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<std::size_t>(end - text.data());
  if (code != std::errc{} || number < 0 || length >= text.size() || *end != after) return std::nullopt;
  text.remove_prefix(length + 1);
  return number;
}

// What the manifest needs before any edge of the project runs.
bool is_regeneration(std::string_view text) {
  return text.starts_with("Re-checking globbed directories") || text.starts_with("Re-running CMake");
}

}  // namespace

std::optional<EdgeLine> parse_edge_line(std::string_view line) {
  if (!line.starts_with('[')) return std::nullopt;
  line.remove_prefix(1);
  const auto finished = take_number(line, '/');
  const auto total = finished ? take_number(line, '/') : std::nullopt;
  const auto running = total ? take_number(line, ']') : std::nullopt;
  if (!running || *finished > *total || !line.starts_with(' ')) return std::nullopt;
  return EdgeLine{*finished, *total, line.substr(1)};
}

Result<NinjaRun> run_ninja(const BuildRequest& request, ToolRunner& tools, const ProgressSink& progress) {
  std::vector<std::string> argv = {"ninja", "-C", tools.seen(request.build).string()};
  if (request.jobs > 0) argv.push_back(fmt::format("-j{}", request.jobs));
  append_targets(argv, request);

  NinjaRun result;
  DiagnosticReader reader(tools.seen(request.source).string());
  Progress shown;
  const auto on_line = [&](std::string_view line) {
    const std::optional<EdgeLine> edge = parse_edge_line(line);
    if (!edge) {
      reader.line(line);
      if (!shown.edge.empty()) result.printed[shown.edge].append(line).append("\n");
      return;
    }
    if (is_regeneration(edge->text)) {
      result.ran_cmake = result.ran_cmake || edge->text.starts_with("Re-running CMake");
      return;
    }
    ++result.edges_run;
    // A command's own output may look like a status line: never go back, never above the total.
    shown.total = std::max(shown.total, edge->total);
    shown.done = std::max(shown.done, edge->finished);
    shown.edge = edge->text;
    if (progress) progress(shown);
  };
  SB_TRY(sandbox::Report report, tools.run(argv, {std::string(kNinjaStatus)}, on_line));
  reader.finish();
  if (!report.ok()) return fail(build_error(reader, "build", report, request.log));
  result.warnings = reader.warnings();
  result.grant = std::move(report.grant);
  return result;
}

NinjaLog::NinjaLog(const BuildRequest& request) : request_(request) {
  if (!request.list_edges) return;
  if (Result<ninja::BuildLog> log = ninja::load_build_log(request.build)) before_ = *std::move(log);
}

void NinjaLog::add_edges(Timeline::Clock::time_point start, Timeline& timeline) const {
  if (!before_) return;
  if (const Result<ninja::BuildLog> after = ninja::load_build_log(request_.build))
    timeline.add_edges(start, *before_, *after);
}

Result<int> count_edges(const BuildRequest& request, ToolRunner& tools) {
  std::vector<std::string> argv = {"ninja", "-C", tools.seen(request.build).string(), "-t", "commands"};
  append_targets(argv, request);
  int commands = 0;
  // Phony edges print an empty line.
  const auto on_line = [&](std::string_view line) { commands += trim(line).empty() ? 0 : 1; };
  SB_TRY(const sandbox::Report report, tools.run_quietly(argv, on_line));
  if (!report.ok())
    return fail(ErrorKind::build_failed, fmt::format("ninja -t commands: {}", report.to_string()));
  return commands;
}

}  // namespace sb::build
