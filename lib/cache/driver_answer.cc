#include "cache/driver_answer.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::cache {
namespace {

// The folders for headers, which only the compilers behind it know; where it searches; the command lines of a
// build that is only shown, from two sources to a program. C++ searches wherever C does, but for what
// C_INCLUDE_PATH names (GCC, "Environment Variables Affecting GCC"; its incpath.cc, cppdefault.cc).
constexpr std::string_view kQuestion = R"(p=$1; shift; LC_ALL=C; export LC_ALL
headers() { "$p" "$@" /dev/null 2>&1 >/dev/null; }
{ headers "$@" -E -v -x c++ && [ -z "${C_INCLUDE_PATH-}" ] || headers "$@" -E -v -x c; } &
rest=$("$p" "$@" -print-search-dirs 2>/dev/null
"$p" "$@" '-###' -x c++ /dev/null -x c /dev/null 2>&1)
wait
printf '%s\n' "$rest"
)";

// Of the linkers, only that which is asked for: another one is not run, and some are larger than the
// compiler.
constexpr std::string_view kPrograms[] = {"cc1", "cc1plus", "lto1",    "lto-wrapper", "collect2",
                                          "as",  "ld",      "real-ld", "collect-ld"};
constexpr std::string_view kFiles[] = {"liblto_plugin.so",
                                       "specs",
                                       "crt1.o",
                                       "Scrt1.o",
                                       "crti.o",
                                       "crtn.o",
                                       "crtbegin.o",
                                       "crtbeginS.o",
                                       "crtbeginT.o",
                                       "crtend.o",
                                       "crtendS.o",
                                       "crtfastmath.o",
                                       "libgcc.a",
                                       "libgcc_eh.a",
                                       "libgcc_s.so",
                                       "libgcc_s.so.1",
                                       "libgcov.a",
                                       "libstdc++.so",
                                       "libstdc++.a",
                                       "libc++.so",
                                       "libc.so",
                                       "libc.a",
                                       "libc.so.6",
                                       "libc_nonshared.a",
                                       "libm.so",
                                       "libm.so.6",
                                       "libmvec.so.1",
                                       "libpthread.a",
                                       "ld-linux-x86-64.so.2"};

// "programs: =a:b" → a, b. The "=" stands for the folder of --sysroot, which is in the paths already.
std::optional<std::vector<std::string>> list_of(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return std::nullopt;
  line.remove_prefix(name.size());
  if (line.starts_with('=')) line.remove_prefix(1);
  return split(line, ':');
}

// A command line as -v and -### show it: some words in quotation marks.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  bool any = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c != ' ' || quoted) {
      word += c;
    } else if (any || !word.empty()) {
      words.push_back(std::exchange(word, {}));
      any = false;
    }
  }
  if (any || !word.empty()) words.push_back(std::move(word));
  return words;
}

void add_once(std::vector<std::string>& list, std::string text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
}

void add_command(DriverAnswer& answer, std::string_view line) {
  const std::vector<std::string> words = words_of(line);
  if (words.empty()) return;
  add_once(answer.runs, words.front());
  for (const std::string& word : words) {
    if (word.starts_with('/')) add_once(answer.names, word);
    if (word.starts_with("-fuse-ld=")) add_once(answer.flags, word);
  }
}

// GCC's "--with-ld=/opt/bin/ld" is shown nowhere else.
void add_configured(DriverAnswer& answer, std::string_view line) {
  for (const std::string& word : split(line, ' ')) {
    for (const std::string_view option : {"--with-as=", "--with-ld="}) {
      if (word.starts_with(option)) add_once(answer.runs, word.substr(option.size()));
    }
  }
}

// The value of "-specs=x", "--specs=x", "-fuse-ld=x".
std::string value_of(std::string_view flag, std::string_view name) {
  if (flag.starts_with("--")) flag.remove_prefix(1);
  return flag.starts_with(name) ? std::string(flag.substr(name.size())) : std::string();
}

template <typename List>
std::vector<std::string> names_from(const List& list) {
  return {std::begin(list), std::end(list)};
}

}  // namespace

std::vector<std::string> driver_question(const std::string& driver, const std::vector<std::string>& flags) {
  std::vector<std::string> argv = {"/bin/sh", "-c", std::string(kQuestion), "sh", driver};
  argv.insert(argv.end(), flags.begin(), flags.end());
  return argv;
}

DriverAnswer read_driver_answer(std::string_view said) {
  DriverAnswer answer;
  bool headers = false;
  for (const std::string_view line : split_lines(said)) {
    if (auto programs = list_of(line, "programs: ")) {
      answer.programs = *std::move(programs);
    } else if (auto libraries = list_of(line, "libraries: ")) {
      answer.libraries = *std::move(libraries);
    } else if (line.starts_with("Target: ")) {
      answer.target = std::string(trim(line.substr(8)));
    } else if (line.starts_with("Configured with: ")) {
      add_configured(answer, line);
    } else if (line.ends_with(" search starts here:")) {
      headers = true;
    } else if (line.starts_with("End of search")) {
      headers = false;
    } else if (line.starts_with(' ') && headers) {
      // "/System/Library (framework directory)"
      add_once(answer.include_dirs, std::string(trim(line.substr(0, line.find(" (")))));
    } else if (line.starts_with(' ')) {
      add_command(answer, line);
    }
  }
  return answer;
}

std::vector<std::string> driver_programs(const DriverAnswer& answer, const std::vector<std::string>& flags) {
  std::vector<std::string> names = names_from(kPrograms);
  names.insert(names.end(), answer.runs.begin(), answer.runs.end());
  for (const std::vector<std::string>& list : {answer.flags, flags}) {
    for (const std::string& flag : list) {
      const std::string linker = value_of(flag, "-fuse-ld=");
      if (!linker.empty()) add_once(names, linker.starts_with('/') ? linker : "ld." + linker);
    }
  }
  return names;
}

std::vector<std::string> driver_files(const std::vector<std::string>& flags) {
  std::vector<std::string> names = names_from(kFiles);
  for (const std::string& flag : flags) {
    const std::string specs = value_of(flag, "-specs=");
    if (!specs.empty()) add_once(names, specs);
  }
  return names;
}

std::vector<std::string> candidates(const std::vector<std::string>& prefixes, std::string_view name) {
  std::vector<std::string> paths;
  if (name.starts_with('/')) return {std::string(name)};
  paths.reserve(prefixes.size() * 2);
  for (const std::string& prefix : prefixes) {
    // GCC puts it before the name as it is, so that "-B/opt/my-" finds /opt/my-as; Clang names folders.
    if (!prefix.ends_with('/')) paths.push_back(fmt::format("{}/{}", prefix, name));
    paths.push_back(fmt::format("{}{}", prefix, name));
  }
  return paths;
}

}  // namespace sb::cache
