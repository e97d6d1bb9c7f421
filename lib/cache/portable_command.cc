#include "cache/portable_command.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "cache/command.h"

namespace sb::cache {
namespace {

using Words = std::vector<std::string>;

// Compilers' and linkers' flags without a path in them; a last "*" stands for anything. What is not here is
// not known, and binds the result to its stage: -flto and -gz compress, a profile's names are hashed, …
constexpr auto kFlags = std::to_array<std::string_view>({"-c",
                                                         "-O",
                                                         "-O0",
                                                         "-O1",
                                                         "-O2",
                                                         "-O3",
                                                         "-Os",
                                                         "-Og",
                                                         "-Oz",
                                                         "-Ofast",
                                                         "-g",
                                                         "-g0",
                                                         "-g1",
                                                         "-g2",
                                                         "-g3",
                                                         "-ggdb",
                                                         "-ggdb1",
                                                         "-ggdb2",
                                                         "-ggdb3",
                                                         "-gdwarf",
                                                         "-gdwarf-2",
                                                         "-gdwarf-3",
                                                         "-gdwarf-4",
                                                         "-gdwarf-5",
                                                         "-gno-*",
                                                         "-std=*",
                                                         "-stdlib=*",
                                                         "-ansi",
                                                         "-pedantic",
                                                         "-pedantic-errors",
                                                         "-w",
                                                         "-W*",
                                                         "-pipe",
                                                         "-pthread",
                                                         "-MD",
                                                         "-MP",
                                                         "-m*",
                                                         "-D*",
                                                         "-U*",
                                                         "-nostdinc",
                                                         "-nostdinc++",
                                                         "-nostdlib",
                                                         "-nostdlib++",
                                                         "-nodefaultlibs",
                                                         "-nostartfiles",
                                                         "-s",
                                                         "-shared",
                                                         "-static",
                                                         "-static-*",
                                                         "-rdynamic",
                                                         "-pie",
                                                         "-no-pie",
                                                         "-l*",
                                                         "-fuse-ld=*",
                                                         "--target=*",
                                                         "-fno-*",
                                                         "-fPIC",
                                                         "-fpic",
                                                         "-fPIE",
                                                         "-fpie",
                                                         "-fplt",
                                                         "-fvisibility=*",
                                                         "-fvisibility-inlines-hidden",
                                                         "-fexceptions",
                                                         "-frtti",
                                                         "-fstack-protector*",
                                                         "-fstack-clash-protection",
                                                         "-fcf-protection*",
                                                         "-fomit-frame-pointer",
                                                         "-fstrict-aliasing",
                                                         "-fstrict-overflow",
                                                         "-fwrapv",
                                                         "-ffast-math",
                                                         "-ffp-contract=*",
                                                         "-ffunction-sections",
                                                         "-fdata-sections",
                                                         "-fdiagnostics-*",
                                                         "-fcolor-diagnostics",
                                                         "-fansi-escape-codes",
                                                         "-fmax-errors=*",
                                                         "-fconcepts",
                                                         "-fcoroutines",
                                                         "-fchar8_t",
                                                         "-fpermissive",
                                                         "-ftemplate-depth=*",
                                                         "-fconstexpr-*",
                                                         "-fsigned-char",
                                                         "-funsigned-char",
                                                         "-fcommon",
                                                         "-funroll-loops",
                                                         "-ftree-vectorize",
                                                         "-ftls-model=*",
                                                         "-fasynchronous-unwind-tables"});

// What the linker gets: words that end up in the file as they are, or nowhere.
constexpr auto kLinkerFlags = std::to_array<std::string_view>({"-rpath",
                                                               "-rpath-link",
                                                               "-soname",
                                                               "-h",
                                                               "--as-needed",
                                                               "--no-as-needed",
                                                               "--start-group",
                                                               "--end-group",
                                                               "--whole-archive",
                                                               "--no-whole-archive",
                                                               "--push-state",
                                                               "--pop-state",
                                                               "--no-undefined",
                                                               "--gc-sections",
                                                               "--no-gc-sections",
                                                               "-z",
                                                               "--version-script",
                                                               "--dynamic-list",
                                                               "--export-dynamic",
                                                               "--hash-style",
                                                               "--enable-new-dtags",
                                                               "--disable-new-dtags",
                                                               "-Bsymbolic",
                                                               "-Bsymbolic-functions",
                                                               "-Bstatic",
                                                               "-Bdynamic",
                                                               "--exclude-libs"});

constexpr auto kFolderFlags =
    std::to_array<std::string_view>({"-I", "-isystem", "-iquote", "-idirafter", "-L"});
constexpr auto kMapFlags =
    std::to_array<std::string_view>({"-ffile-prefix-map=", "-fdebug-prefix-map=", "-fmacro-prefix-map="});

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_c_family(std::string_view driver) {
  std::string_view name = name_of(driver);
  return is_compiler_driver(name) && name.find("fortran") == std::string_view::npos &&
         name.find("flang") == std::string_view::npos;
}

bool is_known(std::string_view word) {
  if (word.starts_with("-Wa,") || word.starts_with("-Wp,") || word.starts_with("-Wl,") ||
      word.starts_with("-mllvm") || word.starts_with("-mmlir"))
    return false;
  return std::ranges::any_of(kFlags, [&](std::string_view flag) {
    return flag.ends_with('*') ? word.starts_with(flag.substr(0, flag.size() - 1)) : word == flag;
  });
}

bool is_c_source(std::string_view word) {
  static constexpr std::array kSuffixes = {".c", ".cc", ".cpp", ".cxx", ".c++", ".C"};
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return word.ends_with(suffix); });
}

// Rewrites the words of one command after the other.
class Rewriter {
 public:
  Rewriter(const Places& places, const NormalForm& normal) : places_(places), normal_(normal) {
    for (const std::string& folder : {places.source, places.build}) {
      own_.push_back(folder);
      std::error_code code;
      const std::string resolved = std::filesystem::weakly_canonical(places.real(folder), code).string();
      if (!code && resolved != folder) own_.push_back(resolved);
    }
  }

  std::optional<Words> run(const std::vector<Words>& commands) {
    for (const Words& words : commands) {
      result_.emplace_back("command");
      if (!command(words)) return std::nullopt;
    }
    return std::move(result_);
  }

 private:
  bool command(const Words& words) {
    const std::string_view program = name_of(words.front());
    if (words.size() == 1 && (program == ":" || program == "true")) return true;
    if (names_stage(words.front())) return false;
    result_.push_back(words.front());
    if (is_c_family(program)) return driver(words);
    const bool archiver =
        program == "ar" || program == "ranlib" || program.ends_with("-ar") || program.ends_with("-ranlib");
    const bool link_step = words.size() > 2 && program == "cmake" && words[1] == "-E" &&
                           (words[2] == "rm" || words[2] == "true" || words[2].starts_with("cmake_symlink_"));
    if (!archiver && !link_step) return false;
    return std::ranges::all_of(words.begin() + 1, words.end(), [&](const auto& word) { return path(word); });
  }

  bool driver(const Words& words) {
    const bool compiles = std::ranges::find(words, "-c") != words.end();
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::string& word = words[i];
      const std::string next = i + 1 < words.size() ? words[i + 1] : std::string();
      if (takes_path(word)) {
        result_.push_back(word);
        ++i;
        if (!path(next)) return false;
      } else if (word == "-x") {
        if (next != "c" && next != "c++") return false;
        result_.insert(result_.end(), {word, next});
        ++i;
      } else if (word == "-D" || word == "-U" || word == "-target") {
        result_.push_back(word);
        ++i;
        if (!plain(next)) return false;
      } else if (!word.starts_with('-')) {
        if (compiles && !is_c_source(word)) return false;
        if (!path(word)) return false;
      } else if (!flag(word)) {
        return false;
      }
    }
    return true;
  }

  static bool takes_path(std::string_view word) {
    return word == "-o" || word == "-MF" || word == "-MT" || word == "-MQ" || word == "-include" ||
           word == "-imacros" || std::ranges::find(kFolderFlags, word) != kFolderFlags.end();
  }

  bool flag(const std::string& word) {
    for (const std::string_view name : kFolderFlags) {
      if (word.starts_with(name)) return path(std::string_view(word).substr(name.size()), name);
    }
    for (const std::string_view name : kMapFlags) {
      if (!word.starts_with(name)) continue;
      const std::size_t split = word.rfind('=');
      return split >= name.size() &&
             path(std::string_view(word).substr(name.size(), split - name.size()), name) &&
             plain(std::string_view(word).substr(split));
    }
    if (word.starts_with("-Wl,")) return linker_words(std::string_view(word).substr(4));
    return is_known(word) && plain(word);
  }

  // "-rpath,/a:/b", "--version-script=/x".
  bool linker_words(std::string_view words) {
    result_.emplace_back("-Wl");
    while (!words.empty()) {
      const std::size_t end = std::min(words.find(','), words.size());
      std::string_view word = words.substr(0, end);
      words.remove_prefix(std::min(end + 1, words.size()));
      if (word.starts_with('-')) {
        const std::size_t split = std::min(word.find('='), word.size());
        const std::string_view name = word.substr(0, split);
        const bool optimizes = name.size() == 3 && name.starts_with("-O");
        const bool is_id = word == "--build-id" || word == "--build-id=sha1" || word == "--build-id=none";
        if (!optimizes && !is_id && std::ranges::find(kLinkerFlags, name) == kLinkerFlags.end()) return false;
        result_.emplace_back(name);
        word.remove_prefix(std::min(split + 1, word.size()));
      }
      while (!word.empty()) {
        const std::size_t colon = std::min(word.find(':'), word.size());
        if (!path(word.substr(0, colon))) return false;
        word.remove_prefix(std::min(colon + 1, word.size()));
      }
    }
    return true;
  }

  // A word that is the name of a file, or is no name at all.
  bool path(std::string_view word, std::string_view before = {}) {
    if (normal_.is_ambiguous(word)) return false;
    // "../x" of a stage is somewhere else in another one, unless it stays inside.
    if (climbs(word)) {
      const std::string absolute = places_.absolute(word);
      if (!places_.in_stage(absolute) && absolute != places_.source && absolute != places_.build)
        return false;
    }
    std::string rewritten = normal_.of(word);
    if (names_stage(rewritten)) return false;
    result_.push_back(fmt::format("{}{}", before, rewritten));
    return true;
  }

  // A word that names no file of the stage.
  bool plain(std::string_view word) {
    if (names_stage(word)) return false;
    result_.emplace_back(word);
    return true;
  }

  [[nodiscard]] bool names_stage(std::string_view word) const {
    return std::ranges::any_of(
        own_, [&](const std::string& folder) { return word.find(folder) != std::string_view::npos; });
  }

  static bool climbs(std::string_view word) {
    return word == ".." || word.starts_with("../") || word.find("/..") != std::string_view::npos;
  }

  const Places& places_;
  const NormalForm& normal_;
  std::vector<std::string> own_;  // the stage's folders, and what they really are
  Words result_;
};

// Commands that follow one another, and nothing else.
bool is_plain_sequence(std::string_view command) {
  for (std::size_t at = 0; at < command.size(); ++at) {
    if (std::string_view("<>|;()\n").find(command[at]) != std::string_view::npos) return false;
    if (command[at] == '&' && (at + 1 == command.size() || command[++at] != '&')) return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> portable_words(std::string_view command, const Places& places,
                                                       const NormalForm& normal) {
  if (!is_plain_sequence(command)) return std::nullopt;
  return Rewriter(places, normal).run(shell_commands(command));
}

std::string definitions_in(std::string_view command) {
  std::string definitions;
  for (const Words& words : shell_commands(command)) {
    bool follows = false;
    for (const std::string& word : words) {
      if (follows || word.starts_with("-D")) definitions.append(word).append("\n");
      follows = word == "-D";
    }
  }
  return definitions;
}

}  // namespace sb::cache
