#include "tool/selfbuild/completion_script.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::tool {
namespace {

struct Word {
  std::string text;
  std::string meaning;
};

struct Flag {
  std::vector<std::string> names;  // "-C", "--directory"
  std::string meaning;
  std::string value;  // its type name, or empty when it takes none
};

// One place in the tree: what may be typed there.
struct Place {
  std::string path;  // "" at the top, "conductor", "conductor start"
  std::vector<Word> words;
  std::vector<Flag> flags;
  bool paths = false;  // a positional wants a path
};

std::vector<std::string> choices(const std::string& type) {
  std::string lines = type;
  if (lines.find('|') == std::string::npos) return {};
  std::ranges::replace(lines, '|', '\n');
  std::vector<std::string> words;
  for (const std::string_view line : split_lines(lines)) words.emplace_back(line);
  return words;
}

bool wants_path(const std::string& type) {
  return type == "DIR" || type == "FILE";
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

void collect(const CLI::App& root, const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  Place place{.path = path, .words = {}, .flags = {}, .paths = false};
  for (const CLI::App* command : commands_of(app)) {
    place.words.push_back({.text = command->get_name(), .meaning = command->get_description()});
  }
  for (const CLI::Option* option : app.get_options()) {
    // Without the validators that CLI11 appends: "N:INT in [1 - 9]".
    const std::string full = option->get_type_size() != 0 ? option->get_type_name() : "";
    const std::string type = full.substr(0, full.find(':'));
    if (option->nonpositional()) {
      Flag flag{.names = {}, .meaning = option->get_description(), .value = type};
      for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
      place.flags.push_back(std::move(flag));
      continue;
    }
    place.paths = place.paths || wants_path(type) || wants_path(option->get_name(true));
    for (const std::string& choice : choices(type)) place.words.push_back({.text = choice, .meaning = ""});
    if (option->get_name(true) != "COMMAND") continue;
    for (const CLI::App* command : commands_of(root)) {
      place.words.push_back({.text = command->get_name(), .meaning = command->get_description()});
    }
  }
  places.push_back(std::move(place));
  for (const CLI::App* command : commands_of(app)) {
    collect(root, *command, path.empty() ? command->get_name() : path + ' ' + command->get_name(), places);
  }
}

// 'it'\''s', which every POSIX shell and zsh read as one word.
std::string shell_word(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += R"('\'')";
    } else {
      result += c;
    }
  }
  return result + '\'';
}

// The same walk in bash and zsh: `at` becomes the path of the commands typed so far.
std::string walk(const std::vector<Place>& places, std::string_view words) {
  std::string text = fmt::format("  for word in {}; do\n    case \"$at/$word\" in\n", words);
  for (const Place& place : places) {
    if (place.path.empty()) continue;
    const std::size_t blank = place.path.rfind(' ');
    const std::string_view path = place.path;
    const std::string_view parent = blank == std::string::npos ? "" : path.substr(0, blank);
    const std::string_view name = blank == std::string::npos ? path : path.substr(blank + 1);
    text += fmt::format("      {}) at={} ;;\n", shell_word(fmt::format("{}/{}", parent, name)),
                        shell_word(place.path));
  }
  return text + "    esac\n  done\n";
}

// What comes after an option that takes a value: a path, one of some words, or something that nobody can
// guess.
template <typename Answer>
std::string values(const std::vector<Place>& places, std::string_view previous, const Answer& answer) {
  std::string text = fmt::format("  case \"$at {}\" in\n", previous);
  for (const Place& place : places) {
    for (const Flag& flag : place.flags) {
      if (flag.value.empty()) continue;
      std::vector<std::string> patterns;
      patterns.reserve(flag.names.size());
      // -C and its like may stand behind any command, so those of the top are looked for everywhere.
      for (const std::string& name : flag.names) {
        patterns.push_back(place.path.empty() ? "*' " + name + "'" : shell_word(place.path + ' ' + name));
      }
      text += fmt::format("    {}) {}; return ;;\n", join(patterns, "|"), answer(flag.value));
    }
  }
  return text + "  esac\n";
}

std::vector<std::string> all_texts(const Place& place) {
  std::vector<std::string> texts;
  texts.reserve(place.words.size());
  for (const Word& word : place.words) texts.push_back(word.text);
  for (const Flag& flag : place.flags) texts.insert(texts.end(), flag.names.begin(), flag.names.end());
  return texts;
}

std::string bash_script(const std::vector<Place>& places) {
  std::string text =
      "# Completes selfbuild in bash. Load it with: source <(selfbuild completions bash)\n"
      "_selfbuild() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at= word words=\n"
      "  COMPREPLY=()\n";
  text += walk(places, "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"");
  text += values(places, "$previous", [](const std::string& type) -> std::string {
    if (wants_path(type))
      return fmt::format(
          "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -{} -- \"$current\")",
          type == "DIR" ? "d" : "f");
    const auto words = choices(type);
    return words.empty() ? ":"
                         : fmt::format("mapfile -t COMPREPLY < <(compgen -W {} -- \"$current\")",
                                       shell_word(join(words, " ")));
  });
  text += "  case $at in\n";
  for (const Place& place : places) {
    text += fmt::format("    {}) words={}{} ;;\n", shell_word(place.path),
                        shell_word(join(all_texts(place), " ")),
                        place.paths ? "; compopt -o default 2>/dev/null" : "");
  }
  return text +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -F _selfbuild selfbuild\n";
}

// _describe reads "word:meaning" and takes a backslash before a colon of the word or meaning.
std::string described(const std::string& word, const std::string& meaning) {
  std::string text = word + ':';
  for (const char c : meaning) {
    if (c == ':' || c == '\\') text += '\\';
    text += c;
  }
  return shell_word(text);
}

std::string zsh_script(const std::vector<Place>& places) {
  std::string text =
      "#compdef selfbuild\n"
      "# Completes selfbuild in zsh. Load it, after compinit, with: source <(selfbuild completions zsh)\n"
      "_selfbuild() {\n"
      "  local at= word\n"
      "  local -a names flags\n";
  text += walk(places, "\"${(@)words[2,CURRENT-1]}\"");
  text += values(places, "${words[CURRENT-1]}", [](const std::string& type) -> std::string {
    if (wants_path(type)) return type == "DIR" ? "_files -/" : "_files";
    const auto words = choices(type);
    return words.empty() ? ":" : "compadd -- " + join(words, " ");
  });
  text += "  case $at in\n";
  for (const Place& place : places) {
    text += fmt::format("    {})\n", shell_word(place.path));
    std::string names;
    for (const Word& word : place.words) names += ' ' + described(word.text, word.meaning);
    std::string flags;
    for (const Flag& flag : place.flags) {
      for (const std::string& name : flag.names) flags += ' ' + described(name, flag.meaning);
    }
    text +=
        fmt::format("      names=({})\n      flags=({})\n{}      ;;\n", names.empty() ? "" : names.substr(1),
                    flags.empty() ? "" : flags.substr(1), place.paths ? "      _files\n" : "");
  }
  return text +
         "  esac\n"
         "  _describe command names\n"
         "  _describe -o option flags\n"
         "}\n"
         "compdef _selfbuild selfbuild\n";
}

// fish reads \' and \\ inside single quotes.
std::string fish_word(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + '\'';
}

std::string fish_condition(const std::string& path) {
  if (path.empty()) return "__fish_use_subcommand";
  std::string names = path;
  std::ranges::replace(names, ' ', '\n');
  std::vector<std::string> seen;
  for (const std::string_view name : split_lines(names)) {
    seen.push_back(fmt::format("__fish_seen_subcommand_from {}", name));
  }
  return join(seen, "; and ");
}

std::string fish_script(const std::vector<Place>& places) {
  std::string text =
      "# Completes selfbuild in fish. Load it with: selfbuild completions fish | source\n"
      "complete -c selfbuild -f\n";
  for (const Place& place : places) {
    const std::string condition = fish_word(fish_condition(place.path));
    for (const Word& word : place.words) {
      text += fmt::format("complete -c selfbuild -n {} -a {}{}\n", condition, word.text,
                          word.meaning.empty() ? "" : " -d " + fish_word(word.meaning));
    }
    if (place.paths) text += fmt::format("complete -c selfbuild -n {} -F\n", condition);
    for (const Flag& flag : place.flags) {
      text += place.path.empty() ? "complete -c selfbuild"
                                 : fmt::format("complete -c selfbuild -n {}", condition);
      for (const std::string& name : flag.names) {
        const bool is_long = name.starts_with("--");
        text += fmt::format(" -{} {}", is_long ? 'l' : 's', name.substr(is_long ? 2 : 1));
      }
      if (!flag.value.empty()) text += wants_path(flag.value) ? " -r -F" : " -x";
      if (const auto words = choices(flag.value); !words.empty())
        text += " -a " + fish_word(join(words, " "));
      text += fmt::format(" -d {}\n", fish_word(flag.meaning));
    }
  }
  return text;
}

}  // namespace

std::optional<std::string> completion_script(const CLI::App& app, std::string_view shell) {
  std::vector<Place> places;
  collect(app, app, "", places);
  if (shell == "bash") return bash_script(places);
  if (shell == "zsh") return zsh_script(places);
  if (shell == "fish") return fish_script(places);
  return std::nullopt;
}

}  // namespace sb::tool
