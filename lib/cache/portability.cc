#include "cache/portability.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unordered_set>

#include "cache/path_traces.h"
#include "cache/portable_command.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

constexpr std::size_t kLargestText = 16 << 20;

bool is_archive(const std::filesystem::path& file) {
  std::string start(8, '\0');
  std::ifstream stream(file, std::ios::binary);
  return stream.read(start.data(), static_cast<std::streamsize>(start.size())) && start == "!<arch>\n";
}

bool is_precompiled(std::string_view path) {
  return path.ends_with(".gch") || path.ends_with(".pch");
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// Everything that the edge read, as far as it is known.
template <typename Visit>
bool all_inputs(const Portability::Made& made, const Visit& visit) {
  return std::ranges::all_of(made.edge->facts.inputs, visit) && std::ranges::all_of(made.discovered, visit);
}

}  // namespace

Portability::Portability(const BuildCache::State& state)
    : state_(state), traces_(path_traces(state.request.places, state.request.environment)) {}

Result<std::vector<bool>> Portability::of(const std::vector<Made>& made) {
  std::vector<bool> portable(made.size(), false);
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (!made[i].edge->facts.portable) continue;
    SB_TRY(const bool clean, is_clean(made[i]));
    portable[i] =
        clean && (!made[i].edge->facts.discovers || (is_found_by_name(made[i]) && read_host_texts(made[i])));
  }
  questions_.close();
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (portable[i] && made[i].edge->facts.discovers) portable[i] = are_silent(made[i]);
  }
  return portable;
}

// No path in what it made and printed.
Result<bool> Portability::is_clean(const Made& made) const {
  if (has_trace(made.result->printed, traces_)) return false;
  for (const Output& output : made.result->outputs) {
    if (!has_bytes(output)) {
      if (has_trace(state_.normal.of(output.link), traces_)) return false;
      continue;
    }
    const std::string bytes = state_.pool.path_of(output.id).string();
    if (!is_open_elf(bytes) && (made.edge->facts.discovers || !is_archive(bytes))) return false;
    SB_TRY(const bool found, file_has_trace(bytes, traces_));
    if (found) return false;
  }
  return true;
}

bool Portability::is_of_stage(const std::string& path) const {
  const Places& places = state_.request.places;
  return places.in_stage(path) || path == places.source || path == places.build;
}

// What lies outside of the stage was found in a folder that is searched for headers, not on the way up from
// the stage, which leads elsewhere from another one.
bool Portability::is_found_by_name(const Made& made) const {
  const Places& places = state_.request.places;
  std::vector<std::string> folders;
  for (const std::string& folder : state_.keys.search_folders(made.edge->facts)) {
    if (!is_of_stage(folder) && !is_below(places.source, folder) && !is_below(places.build, folder))
      folders.push_back(folder);
  }
  return std::ranges::all_of(made.discovered, [&](FileTable::Number file) {
    const std::string& path = state_.files.path(file);
    return places.in_stage(path) ||
           std::ranges::any_of(folders, [&](const std::string& folder) { return is_below(path, folder); });
  });
}

bool Portability::read_host_texts(const Made& made) {
  return all_inputs(made, [&](FileTable::Number file) {
    const std::string& path = state_.files.path(file);
    if (is_precompiled(path)) return false;
    if (state_.request.places.in_stage(path)) return true;
    const auto [known, fresh] = host_texts_.try_emplace(file, false);
    if (!fresh) return known->second;
    const Result<std::string> text = os::read_file(state_.request.places.real(path), kLargestText);
    known->second = text && questions_.add_host(path, *text);
    return known->second;
  });
}

const Portability::StageText& Portability::stage_text(FileTable::Number file) {
  const auto [known, fresh] = stage_texts_.try_emplace(file);
  if (!fresh) return known->second;
  const Result<std::string> text =
      os::read_file(state_.request.places.real(state_.files.path(file)), kLargestText);
  if (text) known->second = {.asks = questions_.asks(*text), .climbing = climbing_names(*text)};
  return known->second;
}

bool Portability::are_silent(const Made& made) {
  const std::string definitions = definitions_in(state_.manifest.logged_command(made.edge->id));
  if (questions_.asks(definitions) || definitions.find("..") != std::string::npos) return false;
  return all_inputs(made, [&](FileTable::Number file) {
    if (!state_.request.places.in_stage(state_.files.path(file))) return true;
    const StageText& text = stage_text(file);
    return !text.asks && stays_inside(made, file, text.climbing);
  });
}

// Its "../x.h" mean files of the stage, from wherever they are searched.
bool Portability::stays_inside(const Made& made, FileTable::Number file,
                               const std::vector<std::string>& climbing) const {
  for (const std::string& name : climbing) {
    if (name.starts_with('/')) continue;
    const std::string folder = folder_of(state_.files.path(file));
    const std::string beside = Places::absolute(name, folder);
    const bool found =
        !all_inputs(made, [&](FileTable::Number input) { return state_.files.path(input) != beside; });
    if (!is_of_stage(beside)) return false;
    if (found) continue;
    for (const std::string& each : state_.keys.search_folders(made.edge->facts)) {
      if (is_of_stage(each) && !is_of_stage(Places::absolute(name, each))) return false;
    }
  }
  return true;
}

}  // namespace sb::cache
