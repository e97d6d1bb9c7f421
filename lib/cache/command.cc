#include "cache/command.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_set>

#include <fmt/format.h>

#include "cache/places.h"

namespace sb::cache {
namespace {

using Words = std::vector<std::string>;

struct Refusal {
  std::string_view flag;  // a prefix
  std::string_view why;
};

constexpr std::string_view kSearch = "it searches headers in a way that we do not read";

// Flags whose effect on the file system is not described by the edge.
constexpr std::array kRefusals = {
    Refusal{"-save-temps", "-save-temps leaves files that the edge does not declare"},
    Refusal{"--save-temps", "--save-temps leaves files that the edge does not declare"},
    Refusal{"-ftime-trace", "-ftime-trace writes a file that the edge does not declare"},
    Refusal{"-fdump-", "-fdump-… writes files that the edge does not declare"},
    Refusal{"-fstack-usage", "-fstack-usage writes a file that the edge does not declare"},
    Refusal{"-fcallgraph-info", "-fcallgraph-info writes a file that the edge does not declare"},
    Refusal{"-MJ", "-MJ writes a file that the edge does not declare"},
    Refusal{"-fmodules", "what modules read is not in the depfile"},
    Refusal{"-fmodule", "what modules read is not in the depfile"},
    Refusal{"-Wl,-Map", "the linker's map is a file that the edge does not declare"},
    Refusal{"-Wl,--Map", "the linker's map is a file that the edge does not declare"},
    Refusal{"-Wl,--thinlto-cache-dir", "the linker keeps a cache of its own"},
    Refusal{"-Wl,--cref", "the linker's table depends on more than its inputs"},
    Refusal{"-Wl,--out-implib", "the import library is a file that the edge does not declare"},
    Refusal{"-Wl,--dependency-file", "the linker's dependency file is not declared"},
    Refusal{"-fsave-optimization-record",
            "-fsave-optimization-record writes a file that the edge does not declare"},
    Refusal{"-foptimization-record", "-foptimization-record… writes a file that the edge does not declare"},
    Refusal{"-fopt-info", "-fopt-info writes a file that the edge may not declare"},
    Refusal{"-Wa,-a", "the assembler's listing is a file that the edge may not declare"},
    Refusal{"-fprebuilt-module", "what modules read is not in the depfile"},
    // Searches in ways that include_dirs does not tell.
    Refusal{"-iprefix", kSearch},
    Refusal{"-iwith", kSearch},
    Refusal{"-imultilib", kSearch},
    Refusal{"-ivfsoverlay", kSearch},
    Refusal{"-cxx-isystem", kSearch},
    Refusal{"--include-", kSearch},
    Refusal{"--embed-dir", kSearch},
    Refusal{"-I-", kSearch},
    Refusal{"-Wp,-I", kSearch},
    Refusal{"-Wp,-i", kSearch},
    Refusal{"-Wp,-M", "-Wp,-M… writes a file that the edge may not declare"},
    Refusal{"-Xpreprocessor", kSearch},
    Refusal{"-fprofile-dir", "profiles are read from a folder that the edge does not declare"},
    Refusal{"-dumpdir", "-dumpdir moves files that the edge does not declare"},
    Refusal{"-dumpbase", "-dumpbase moves files that the edge does not declare"},
    Refusal{"-aux-info", "-aux-info writes a file that the edge does not declare"},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The words of one shell line, cut at the operators that end a simple command.
class ShellReader {
 public:
  explicit ShellReader(std::string_view line) : line_(line) {}

  // Something in the line is a pattern, a variable or a command whose text the shell puts in.
  [[nodiscard]] bool expands() const { return expands_; }

  std::vector<Words> read() {
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (c == ' ' || c == '\t' || c == '\n') {
        end_word();
        if (c == '\n') end_command();
        ++at_;
      } else if (c == '&' || c == ';' || c == '|' || c == '(' || c == ')') {
        end_word();
        end_command();
        ++at_;
      } else if (c == '>' || c == '<') {
        end_word();  // the file after it is a word like others
        ++at_;
      } else if (!quoted(c)) {
        return {};
      }
    }
    end_word();
    end_command();
    return std::move(commands_);
  }

 private:
  // One character or one quoted piece of a word. False at an open quote.
  bool quoted(char c) {
    in_word_ = true;
    if (c == '\\') {
      if (at_ + 1 < line_.size()) word_ += line_[at_ + 1];
      at_ += 2;
      return true;
    }
    if (c != '\'' && c != '"') {
      has_pattern_ = has_pattern_ || c == '*' || c == '?' || c == '[';
      note_expansion();
      word_ += c;
      ++at_;
      return true;
    }
    for (++at_; at_ < line_.size() && line_[at_] != c; ++at_) {
      if (c == '"') note_expansion();
      if (c == '"' && line_[at_] == '\\' && at_ + 1 < line_.size()) ++at_;
      word_ += line_[at_];
    }
    return at_++ < line_.size();
  }
  void note_expansion() {
    const char next = at_ + 1 < line_.size() ? line_[at_ + 1] : ' ';
    if (line_[at_] == '`') expands_ = true;
    if (line_[at_] == '$' && (std::isalnum(static_cast<unsigned char>(next)) != 0 ||
                              std::string_view("_({@*").find(next) != std::string_view::npos))
      expands_ = true;
  }
  void end_word() {
    // No file's name begins like a flag.
    if (has_pattern_ && word_ != "[" && word_ != "[[" && !word_.starts_with('-')) expands_ = true;
    has_pattern_ = false;
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }
  void end_command() {
    if (!words_.empty()) commands_.push_back(std::move(words_));
    words_.clear();
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::string word_;
  bool in_word_ = false;
  bool has_pattern_ = false;
  bool expands_ = false;
  Words words_;
  std::vector<Words> commands_;
};

std::string_view name_of(std::string_view program) {
  return program.substr(program.rfind('/') + 1);  // npos + 1 is 0
}

bool is_launcher(std::string_view program) {
  static constexpr std::array kLaunchers = {"ccache", "sccache", "distcc", "icecc", "env", "nice"};
  return std::ranges::find(kLaunchers, name_of(program)) != kLaunchers.end();
}

bool is_archiver(std::string_view program) {
  const std::string_view name = name_of(program);
  return name == "ar" || name == "ranlib" || name.ends_with("-ar") || name.ends_with("-ranlib") ||
         name.find("-ar-") != std::string_view::npos || name.find("-ranlib-") != std::string_view::npos;
}

// What CMake does itself around a link.
bool is_link_step(const Words& words) {
  return words.size() > 2 && name_of(words[0]) == "cmake" && words[1] == "-E" &&
         (words[2] == "rm" || words[2] == "true" || words[2] == "echo" ||
          words[2].starts_with("cmake_symlink_"));
}

bool is_source(std::string_view word) {
  static constexpr std::array kSuffixes = {".c",   ".cc",  ".cpp",  ".cxx", ".c++", ".C",  ".m",   ".mm",
                                           ".cu",  ".s",   ".S",    ".sx",  ".i",   ".ii", ".f",   ".F",
                                           ".f90", ".F90", ".cppm", ".ixx", ".h",   ".hh", ".hpp", ".hxx"};
  return word.front() != '-' &&
         std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return word.ends_with(suffix); });
}

std::string with_suffix(const std::string& path, std::string_view suffix) {
  return std::filesystem::path(path).replace_extension(suffix).string();
}

// Reads the words of one simple command after the other into the facts.
class FactReader {
 public:
  FactReader(std::string directory, const std::vector<std::string>& outputs)
      : directory_(std::move(directory)),
        outputs_(outputs.begin(), outputs.end()),
        first_output_(outputs.empty() ? "" : outputs[0]) {}

  void read(const Words& words) {
    if (words.front() == "cd" && words.size() == 2) {
      directory_ = absolute(words[1]);
      return;
    }
    std::size_t first = 0;
    while (first < words.size() && words[first].find('=') != std::string::npos &&
           words[first].front() != '-' && words[first].find('/') == std::string::npos) {
      ++first;  // NAME=value before the program
    }
    if (first == words.size() || words[first] == ":" || words[first] == "true") return;
    facts_.programs.push_back(words[first]);
    while (first < words.size() && is_launcher(words[first])) {
      if (++first < words.size()) facts_.programs.push_back(words[first]);
    }
    if (first == words.size()) return;
    // A driver behind a launcher that we do not know, or that has arguments: "cmake -E env NAME=value c++".
    const auto driver = std::find_if(words.begin() + static_cast<std::ptrdiff_t>(first), words.end(),
                                     [](const std::string& word) { return is_compiler_driver(word); });
    drives_ = driver != words.end();
    const auto position = static_cast<std::size_t>(driver - words.begin());
    if (drives_) facts_.driver = *driver;
    if (drives_ && position > first) facts_.programs.push_back(*driver);
    archives_ = is_archiver(words[first]);
    if (archives_ && first + 1 < words.size() && words[first + 1].find('T') != std::string::npos)
      facts_.refusal = "a thin archive has only the names of its members";
    only_outputs_ = only_outputs_ && (drives_ || archives_ || is_link_step(words));
    for (std::size_t i = first + 1; i < words.size(); ++i) {
      mention(words[i]);
      if (drives_ && i > position) i += flag(words, i);
    }
  }

  CommandFacts take() {
    facts_.mentioned.assign(mentioned_.begin(), mentioned_.end());
    std::ranges::sort(facts_.mentioned);
    facts_.named_to_tools.assign(named_to_tools_.begin(), named_to_tools_.end());
    std::ranges::sort(facts_.named_to_tools);
    facts_.writes_only_outputs = only_outputs_;
    if (!facts_.compiles) facts_.side_outputs.clear();
    return std::move(facts_);
  }

 private:
  [[nodiscard]] std::string absolute(std::string_view path) const {
    return Places::absolute(path, directory_);
  }

  // Returns how many words after this one belong to it.
  std::size_t flag(const Words& words, std::size_t i) {
    const std::string& word = words[i];
    for (const Refusal& refusal : kRefusals) {
      if (word.starts_with(refusal.flag)) facts_.refusal = refusal.why;
    }
    // With a folder, or with GCC, the profile's name follows from that of the object.
    if ((word.starts_with("-fprofile-use") || word.starts_with("-fprofile-instr-use")) &&
        !word.ends_with(".profdata"))
      facts_.refusal = "the profile that is read is not named";
    if (word == "-fauto-profile" || word == "-fbranch-probabilities")
      facts_.refusal = "the profile that is read is not named";
    if (word.starts_with('@')) facts_.refusal = "its flags are in a file";
    if (word.starts_with("-fplugin=") && word.find('/') == std::string::npos)
      facts_.refusal = "its plug-in is searched by the compiler";
    if (word.starts_with("-m") && word.ends_with("=native")) facts_.asks_cpu = true;
    if (word.starts_with("-T") && word.size() > 2) mention(std::string_view(word).substr(2));
    if (is_source(word)) facts_.compiles = true;
    if (word == "--coverage" || word == "-coverage" || word == "-ftest-coverage") side(".gcno");
    if (word.starts_with("-gsplit-dwarf")) side(".dwo");
    for (const std::string_view name : {"-I", "-iquote", "-isystem", "-idirafter", "-iframework", "-F"}) {
      if (std::size_t taken = 0; value_of(words, i, name, taken, facts_.include_dirs)) return taken;
    }
    if (std::size_t taken = 0; value_of(words, i, "-L", taken, facts_.library_dirs)) return taken;
    if (word.starts_with("-l") && word.size() > 2) facts_.libraries.push_back(word.substr(2));
    return driver_flag(words, i);
  }

  // "-Ix", "-I x", "-isystem x", "-isystem=x".
  bool value_of(const Words& words, std::size_t i, std::string_view name, std::size_t& taken, Words& to) {
    const std::string& word = words[i];
    if (!word.starts_with(name)) return false;
    if (word.size() > name.size()) {
      // "-F" must not take "-Fsomething" of other tools, but a folder that is not there does no harm.
      std::string_view value = std::string_view(word).substr(name.size());
      if (value.starts_with('=')) value.remove_prefix(1);
      to.push_back(absolute(value));
      return true;
    }
    if (i + 1 < words.size()) {
      to.push_back(absolute(words[i + 1]));
      taken = 1;
    }
    return true;
  }

  std::size_t driver_flag(const Words& words, std::size_t i) {
    const std::string& word = words[i];
    for (const std::string_view name : {"-isysroot", "-target", "-B", "-gcc-toolchain"}) {
      if (word == name && i + 1 < words.size()) {
        facts_.driver_flags.push_back(word);
        facts_.driver_flags.push_back(words[i + 1]);
        return 1;
      }
    }
    for (const std::string_view name :
         {"--sysroot", "-stdlib=", "--target=", "--gcc-toolchain=", "-B", "-m32", "-m64", "-mx32",
          "-nostdinc", "-specs=", "--specs=", "-fuse-ld="}) {
      if (word.starts_with(name)) facts_.driver_flags.push_back(word);
    }
    return 0;
  }

  void side(std::string_view suffix) {
    if (first_output_.empty()) return;
    std::string path = with_suffix(first_output_, suffix);
    if (std::ranges::find(facts_.side_outputs, path) == facts_.side_outputs.end() && !outputs_.contains(path))
      facts_.side_outputs.push_back(std::move(path));
  }

  void mention(std::string_view word) {
    // A compiler's "-DNAME=value", "-I…", "-L…" are folders and texts.
    if (drives_ && (word.starts_with("-D") || word.starts_with("-U") || word.starts_with("-I") ||
                    word.starts_with("-L")))
      return;
    // "-Wl,--version-script=x", "@x", "first.txt;second.txt", "cat x > y" in a word for another shell.
    pieces(word, "=,:@");
    if (!drives_) pieces(word, "=,:@; \t\n\"'()<>|&");
  }

  void pieces(std::string_view word, const char* separators) {
    while (!word.empty()) {
      const std::size_t end = word.find_first_of(separators);
      std::string_view piece = word.substr(0, end);
      // "-T/x.ld": the path in it.
      if (piece.starts_with('-')) piece.remove_prefix(std::min(piece.find('/'), piece.size()));
      const bool may_be_path = !piece.empty() && piece.size() < 4096 &&
                               (piece.find('/') != std::string_view::npos ||
                                piece.find('.') != std::string_view::npos || !drives_);
      if (may_be_path) {
        std::string path = absolute(piece);
        if (!drives_ && !archives_) named_to_tools_.insert(path);
        if (!outputs_.contains(path)) mentioned_.insert(std::move(path));
      }
      if (end == std::string_view::npos) return;
      word.remove_prefix(end + 1);
    }
  }

  std::string directory_;
  std::unordered_set<std::string> outputs_;
  std::string first_output_;
  std::unordered_set<std::string> mentioned_;
  std::unordered_set<std::string> named_to_tools_;
  bool drives_ = false;  // the simple command that is being read
  bool archives_ = false;
  bool only_outputs_ = true;
  CommandFacts facts_;
};

}  // namespace

bool is_compiler_driver(std::string_view program) {
  std::string_view name = name_of(program);
  // A version at the end: -12, -19, -4.9.
  const std::size_t dash = name.rfind('-');
  if (dash != std::string_view::npos && dash + 1 < name.size() && is_digit(name[dash + 1]))
    name = name.substr(0, dash);
  for (const std::string_view driver : {"c++", "cc", "gcc", "g++", "clang", "clang++", "gfortran", "flang"}) {
    if (name == driver) return true;
    // A target triple before it: x86_64-linux-gnu-gcc.
    if (name.ends_with(driver) && name.size() > driver.size() && name[name.size() - driver.size() - 1] == '-')
      return true;
  }
  return false;
}

std::vector<std::vector<std::string>> shell_commands(std::string_view line) {
  return ShellReader(line).read();
}

CommandFacts read_command(std::string_view command, const std::string& directory,
                          const std::vector<std::string>& outputs) {
  FactReader reader(directory, outputs);
  ShellReader shell(command);
  const std::vector<Words> commands = shell.read();
  for (const Words& words : commands) reader.read(words);
  CommandFacts facts = reader.take();
  if (shell.expands()) facts.refusal = "what its shell puts into the command is not known";
  if (commands.empty() && !command.empty()) facts.refusal = "its command line cannot be read";
  return facts;
}

}  // namespace sb::cache
