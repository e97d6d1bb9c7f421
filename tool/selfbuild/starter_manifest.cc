#include "tool/selfbuild/starter_manifest.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace sb::tool {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '+';
}

// The plain first arguments of every add_executable(): no comments, no variables, no imported or alias
// targets.
std::vector<std::string> executables(std::string_view lists) {
  constexpr std::string_view kCall = "add_executable(";
  std::vector<std::string> names;
  for (std::string_view line : split_lines(lists)) {
    line = line.substr(0, line.find('#'));
    const std::size_t call = line.find(kCall);
    if (call == std::string_view::npos) continue;
    const std::string_view rest = trim(line.substr(call + kCall.size()));
    const std::size_t end = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_word) - rest.begin());
    const bool plain = end == rest.size() || rest[end] == ' ' || rest[end] == ')';
    const bool built =
        rest.find("IMPORTED") == std::string_view::npos && rest.find("ALIAS") == std::string_view::npos;
    if (end > 0 && plain && built && rest.front() != '-') names.emplace_back(rest.substr(0, end));
  }
  return names;
}

// "release" when there is such a configure preset, else the first that is not hidden, else nothing.
std::string preset_of(std::string_view presets) {
  const Result<Json> file = parse_json(presets);
  if (!file || !file->is_object()) return {};
  std::string first;
  for (const Json& preset : file->value("configurePresets", Json::array())) {
    if (!preset.is_object() || json_bool_or(preset, "hidden", false).value_or(true)) continue;
    const std::string name = json_string_or(preset, "name", "").value_or("");
    if (name == "release") return name;
    if (first.empty() && !name.empty() && std::ranges::all_of(name, is_word) && name.front() != '-')
      first = name;
  }
  return first;
}

}  // namespace

std::string name_from(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (name.size() > 63) name.resize(63);
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "project" : name;
}

std::string starter_manifest(const std::string& name, std::string_view lists, std::string_view presets) {
  const std::vector<std::string> programs = executables(lists);
  const std::string preset = preset_of(presets);
  const std::string output = programs.empty() ? name : programs.front();
  std::string text = fmt::format(
      "# How selfbuild builds, tests and runs this project.\n"
      "apiVersion: selfbuild/v1\n"
      "kind: Project\n"
      "metadata: {{name: \"{}\"}}\n"
      "spec:\n"
      "  # branch: main             # what `selfbuild nightly` follows; without it, the branch of HEAD\n"
      "  build:\n",
      name);
  text += preset.empty()
              ? "    options: [-DCMAKE_BUILD_TYPE=Release]   # or preset: one of CMakePresets.json\n"
              : fmt::format("    preset: {}           # or options: [-DCMAKE_BUILD_TYPE=Release]\n", preset);
  text += "    # targets: [" + output + "]      # without it, everything\n";
  text += fmt::format(
      "    # Files or folders of the build folder that make a version{}:\n"
      "    outputs: [{}]\n"
      "    # timeout: 30m  memory: 4G  processes: 4096  log: 64M  cpu: 2h\n"
      "  test:\n"
      "    ctest: []                # arguments for ctest, like [-L, unit]; or command: [./smoke.sh]\n"
      "    # timeout: 10m  memory: 2G  processes: 512  log: 64M  cpu: 20m\n",
      programs.empty() ? "; please check this one" : "", output);
  return text + fmt::format(
                    "\n"
                    "# A program that the conductor keeps up. Remove the marks when this project is one.\n"
                    "# ---\n"
                    "# apiVersion: selfbuild/v1\n"
                    "# kind: Service\n"
                    "# metadata: {{name: \"{0}\"}}\n"
                    "# spec:\n"
                    "#   command: [{1}]\n"
                    "#   sockets: [{{name: http, listen: \"127.0.0.1:8080\"}}]   # passed by LISTEN_FDS\n"
                    "#   ready: {{notify: true}}     # or {{http: \"http:/ready\"}} {{tcp: http}} {{command: "
                    "[...]}}\n"
                    "#   health: {{http: \"http:/health\", interval: 1s, timeout: 2s, failures: 3}}\n"
                    "#   swap: overlap             # or drain-first, for a program that cannot run twice\n",
                    name, output);
}

}  // namespace sb::tool
