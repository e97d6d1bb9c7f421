// The record of a configure, and the comparison that spares the next one.
#include "build/configuration.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "cache/stage_listing.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 2;
constexpr std::size_t kMostPresetFiles = 64;

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> result;
  for (const Json& item : list.is_array() ? list : Json::array()) {
    if (item.is_string()) result.push_back(item.get<std::string>());
  }
  return result;
}

// The path as a person knows it: relative to the source when inside.
std::string shown(const std::string& path, const fs::path& source) {
  const std::string prefix = source.string() + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

std::vector<std::string> included_by(const fs::path& preset_file) {
  std::error_code code;
  if (!fs::is_regular_file(preset_file, code)) return {};
  const auto text = os::read_file(preset_file, kMaxJsonBytes);
  if (!text) return {};
  const auto json = parse_json(*text);
  // What cannot be read here is CMake's to complain about.
  if (!json || !json->is_object() || !json->contains("include")) return {};
  return texts((*json)["include"]);
}

Result<Input> input_from(const Json& json) {
  Input input;
  SB_TRY(input.path, json_string(json, "path"));
  SB_TRY(input.size, json_integer(json, "size"));
  SB_TRY(input.mtime_ns, json_integer(json, "mtime_ns"));
  return input;
}

Result<Configuration> configuration_from(const Json& json) {
  SB_TRY(const long long format, json_integer(json, "format"));
  if (format != kFormat)
    return fail(ErrorKind::usage, fmt::format("format {} instead of {}", format, kFormat));
  Configuration result;
  SB_TRY(result.source, json_string(json, "source"));
  SB_TRY(result.preset, json_string(json, "preset"));
  result.options = texts(json.value("options", Json::array()));
  SB_TRY(result.paths, json_string(json, "paths"));
  SB_TRY(result.compiler, json_string(json, "compiler"));
  SB_TRY(result.options_json, json_string(json, "options_json"));
  for (const Json& item : json.value("inputs", Json::array())) {
    SB_TRY(Input input, input_from(item));
    result.inputs.push_back(std::move(input));
  }
  const Json counts = json.value("edge_counts", Json::object());  // items() must not outlive it
  for (const auto& [targets, count] : counts.items()) {
    if (count.is_number_integer()) result.edge_counts[targets] = count.get<int>();
  }
  return result;
}

}  // namespace

Input look_at(const fs::path& path) {
  Input input{.path = path.string()};
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    input.size = info.st_size;
    input.mtime_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  }
  return input;
}

std::string digest_of_paths(const fs::path& source) {
  std::vector<std::string> paths =
      cache::source_paths({.source = source.string(), .build = {}, .view = std::nullopt});
  std::erase_if(paths, [](const std::string& path) { return path.ends_with('/'); });  // folders
  return xxh3_128_hex(join(paths, std::string_view("\0", 1)));
}

std::vector<fs::path> preset_files(const fs::path& source) {
  std::vector<fs::path> files = {source / "CMakePresets.json", source / "CMakeUserPresets.json"};
  for (std::size_t i = 0; i < files.size() && files.size() < kMostPresetFiles; ++i) {
    for (const std::string& name : included_by(files[i])) {
      const fs::path path = (files[i].parent_path() / name).lexically_normal();
      if (std::ranges::find(files, path) == files.end()) files.push_back(path);
    }
  }
  return files;
}

std::string options_json(const BuildRequest& request, const FileApiReply& reply) {
  return dump_json(Json{{"preset", request.preset},
                        {"options", request.options},
                        {"build_type", reply.cache.build_type},
                        {"cxx_flags", reply.cache.cxx_flags},
                        {"cmake", reply.cmake}});
}

Configuration make_configuration(const BuildRequest& request, const FileApiReply& reply) {
  Configuration result;
  result.source = request.source.string();
  result.preset = request.preset;
  result.options = request.options;
  result.paths = digest_of_paths(request.source);
  result.compiler = reply.compiler;
  result.options_json = options_json(request, reply);
  for (const fs::path& path : reply.inputs) result.inputs.push_back(look_at(path));
  // A compiler that was upgraded in place would otherwise go on with the old one's answers.
  for (const fs::path& path : reply.compilers) result.inputs.push_back(look_at(path));
  if (!request.preset.empty()) {
    for (const fs::path& path : preset_files(request.source)) result.inputs.push_back(look_at(path));
  }
  return result;
}

Status save(const Configuration& configuration, const fs::path& build) {
  Json inputs = Json::array();
  for (const Input& input : configuration.inputs) {
    inputs.push_back({{"path", input.path}, {"size", input.size}, {"mtime_ns", input.mtime_ns}});
  }
  const Json json = {{"format", kFormat},
                     {"source", configuration.source},
                     {"preset", configuration.preset},
                     {"options", configuration.options},
                     {"paths", configuration.paths},
                     {"compiler", configuration.compiler},
                     {"options_json", configuration.options_json},
                     {"inputs", std::move(inputs)},
                     {"edge_counts", configuration.edge_counts}};
  return os::RealFileSystem().write_durably(build / kConfigurationFile, dump_json(json), 0644);
}

Result<Configuration> load_configuration(const fs::path& build) {
  const fs::path file = build / kConfigurationFile;
  std::error_code code;
  const fs::file_type type = fs::symlink_status(file, code).type();
  if (type == fs::file_type::not_found)
    return fail(ErrorKind::not_found, fmt::format("no {}", file.string()));
  if (type != fs::file_type::regular)
    return fail(ErrorKind::corrupt, fmt::format("{} is no file", file.string()));
  SB_TRY(const std::string text, os::read_file(file, kMaxJsonBytes));
  const Result<Json> json = parse_json(text);
  if (!json) return fail(ErrorKind::corrupt, fmt::format("{}: {}", file.string(), json.error().what));
  if (!json->is_object()) return fail(ErrorKind::corrupt, fmt::format("{} is not an object", file.string()));
  Result<Configuration> result = configuration_from(*json);
  if (!result) result.error().kind = ErrorKind::corrupt;
  return result;
}

Decision decide(const BuildRequest& request, const Result<Configuration>& last) {
  std::error_code code;
  const bool has_cache = fs::exists(request.build / "CMakeCache.txt", code);
  if (!last) {
    return {has_cache ? "the last configure did not finish, or its record is lost" : "first time", true};
  }
  // A cache keeps the values of options that are no longer given: a changed request starts without it.
  if (last->source != request.source.string()) return {"the source folder changed", true};
  if (last->preset != request.preset) return {"the preset changed", true};
  if (last->options != request.options) return {"the options changed", true};
  if (!has_cache) return {"CMakeCache.txt is missing", true};
  if (!fs::exists(request.build / "build.ninja", code)) return {"build.ninja is missing", false};
  const std::vector<fs::path> presets = preset_files(request.source);
  for (const Input& input : last->inputs) {
    const Input now = look_at(input.path);
    if (now == input) continue;
    const std::string_view how = now.size < 0 ? "was removed" : input.size < 0 ? "is new" : "changed";
    const bool is_preset = std::ranges::find(presets, fs::path(input.path)) != presets.end();
    return {fmt::format("{} {}", shown(input.path, request.source), how), is_preset};
  }
  // A plain file(GLOB) is only evaluated by a configure; without it an added file would be left out of the
  // build, and a removed one looked for.
  if (last->paths != digest_of_paths(request.source)) return {"files were added or removed", false};
  return {};
}

}  // namespace sb::build
