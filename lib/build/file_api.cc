// Query and reply files of CMake's file API, as version 1 of it defines them.
#include "build/file_api.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kClient = "client-selfbuild";
constexpr std::string_view kQuery =
    R"({"requests":[{"kind":"cmakeFiles","version":1},{"kind":"cache","version":2},)"
    R"({"kind":"toolchains","version":1}]})";

fs::path api_folder(const fs::path& build) {
  return build / ".cmake" / "api" / "v1";
}

std::unexpected<Error> unusable(const fs::path& file, std::string_view why) {
  return fail(ErrorKind::corrupt,
              fmt::format("CMake's file API reply {} is not usable: {}", file.string(), why));
}

Result<Json> read_json(const fs::path& file) {
  std::error_code code;
  // Opening a FIFO that the project left there would wait for ever.
  if (fs::symlink_status(file, code).type() != fs::file_type::regular)
    return unusable(file, "not a regular file");
  const Result<std::string> text = os::read_file(file, kMaxJsonBytes);
  if (!text) return unusable(file, text.error().what);
  Result<Json> json = parse_json(*text);
  if (!json) return unusable(file, json.error().what);
  if (!json->is_object()) return unusable(file, "not an object");
  return json;
}

Result<fs::path> newest_index(const fs::path& folder) {
  std::error_code code;
  fs::path newest;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    // "the file whose name is last in lexicographic order is the current one"
    if (name.starts_with("index-") && name.ends_with(".json") && name > newest.filename().string()) {
      newest = it->path();
    }
  }
  if (newest.empty()) return unusable(folder, "there is no index file");
  return newest;
}

// A member of a member …, or null.
const Json& at(const Json& json, std::initializer_list<std::string_view> keys) {
  static const Json kNothing;
  const Json* value = &json;
  for (const std::string_view key : keys) {
    if (!value->is_object()) return kNothing;
    const auto found = value->find(key);
    if (found == value->end()) return kNothing;
    value = &*found;
  }
  return *value;
}

std::string text_at(const Json& json, std::initializer_list<std::string_view> keys) {
  const Json& value = at(json, keys);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Result<Json> read_response(const fs::path& index_file, const Json& index, std::string_view kind) {
  const Json& responses = at(index, {"reply", kClient, "query.json", "responses"});
  for (const Json& response : responses.is_array() ? responses : Json::array()) {
    if (text_at(response, {"kind"}) != kind) continue;
    const std::string name = text_at(response, {"jsonFile"});
    if (name.empty() || name.find('/') != std::string::npos || !name.ends_with(".json")) {
      return unusable(index_file, fmt::format("it has no file for {}", kind));
    }
    return read_json(index_file.parent_path() / name);
  }
  return unusable(index_file, fmt::format("it has no answer for {}", kind));
}

Status read_inputs(const Json& files, const fs::path& source, FileApiReply& reply) {
  const Json& inputs = at(files, {"inputs"});
  if (!inputs.is_array())
    return fail(ErrorKind::corrupt, "CMake's file API reply for cmakeFiles has no inputs");
  std::set<fs::path> seen;
  for (const Json& input : inputs) {
    const std::string path = text_at(input, {"path"});
    // What CMake generates in the build folder follows from the other inputs.
    const Json& generated = at(input, {"isGenerated"});
    if (path.empty() || (generated.is_boolean() && generated.get<bool>())) continue;
    seen.insert((source / path).lexically_normal());  // an absolute path replaces the source
  }
  reply.inputs.assign(seen.begin(), seen.end());
  return {};
}

void read_toolchains(const Json& toolchains, FileApiReply& reply) {
  const Json& list = at(toolchains, {"toolchains"});
  for (const Json& toolchain : list.is_array() ? list : Json::array()) {
    const std::string path = text_at(toolchain, {"compiler", "path"});
    if (!path.empty()) reply.compilers.emplace_back(path);
    reply.languages.push_back(text_at(toolchain, {"language"}));
    const std::string name = fmt::format("{} {}", text_at(toolchain, {"compiler", "id"}),
                                         text_at(toolchain, {"compiler", "version"}));
    if (reply.compiler.empty() || text_at(toolchain, {"language"}) == "CXX") reply.compiler = trim(name);
  }
}

std::string cache_value(const Json& cache, std::string_view name) {
  const Json& entries = at(cache, {"entries"});
  for (const Json& entry : entries.is_array() ? entries : Json::array()) {
    if (text_at(entry, {"name"}) == name) return text_at(entry, {"value"});
  }
  return {};
}

CacheEntries read_cache(const Json& cache) {
  CacheEntries result;
  result.build_type = cache_value(cache, "CMAKE_BUILD_TYPE");
  std::string flags = cache_value(cache, "CMAKE_CXX_FLAGS");
  if (!result.build_type.empty()) {
    std::string upper = result.build_type;
    std::ranges::transform(upper, upper.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    flags += " " + cache_value(cache, "CMAKE_CXX_FLAGS_" + upper);
  }
  result.cxx_flags = trim(flags);
  return result;
}

}  // namespace

Status write_query(const fs::path& build) {
  const fs::path file = api_folder(build) / "query" / kClient / "query.json";
  std::error_code code;
  if (fs::symlink_status(file, code).type() == fs::file_type::regular) {
    if (const auto text = os::read_file(file, kMaxJsonBytes); text && *text == kQuery) return {};
  }
  SB_CHECK(os::make_folders(file.parent_path()));
  return os::RealFileSystem().write_durably(file, kQuery, 0644);
}

Result<FileApiReply> read_reply(const fs::path& build, const fs::path& source) {
  SB_TRY(const fs::path index_file, newest_index(api_folder(build) / "reply"));
  SB_TRY(const Json index, read_json(index_file));
  FileApiReply reply;
  reply.cmake = text_at(index, {"cmake", "version", "string"});
  reply.generator = text_at(index, {"cmake", "generator", "name"});
  SB_TRY(const Json files, read_response(index_file, index, "cmakeFiles"));
  SB_CHECK(read_inputs(files, source, reply));
  SB_TRY(const Json toolchains, read_response(index_file, index, "toolchains"));
  read_toolchains(toolchains, reply);
  SB_TRY(const Json cache, read_response(index_file, index, "cache"));
  reply.cache = read_cache(cache);
  return reply;
}

}  // namespace sb::build
