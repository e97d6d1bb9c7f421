// What a command line says about the files that it reads and writes. The shell's words are read as sh(1)
// would, without expansion: what a command computes stays hidden, and is reason enough to say so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sb::cache {

struct CommandFacts {
  // First words of the simple commands, as written: "/usr/bin/c++", "cmake". A compiler behind a launcher
  // (ccache, distcc) follows it.
  std::vector<std::string> programs;
  std::string driver;                     // the compiler driver among them, or empty
  std::vector<std::string> driver_flags;  // those that change what it searches: --sysroot=…, -m32, -stdlib=…
  std::vector<std::string> include_dirs;  // absolute: -I, -iquote, -isystem, -idirafter, -iframework
  std::vector<std::string> library_dirs;  // absolute: -L
  std::vector<std::string> libraries;     // "z" of -lz
  // Absolute paths that appear in words ("x", "-flag=x", "-Wl,x", "@x"): those that are files when the
  // command starts are read by it, as far as anybody can know.
  std::vector<std::string> mentioned;
  // Of those, what other programs than compilers and archivers get: a folder among them is read whole.
  std::vector<std::string> named_to_tools;
  // Files beside the outputs that known flags make: ".gcno", ".dwo". Absolute.
  std::vector<std::string> side_outputs;
  bool compiles = false;             // a driver gets sources
  bool asks_cpu = false;             // -march=native
  bool writes_only_outputs = false;  // it runs nothing but compilers, archivers and CMake's own link steps
  // Why this command's result cannot be taken from a cache; empty: it can.
  std::string refusal;
};

// `directory` is where the command starts; `outputs` are its outputs, absolute. A response file's content
// stands in its place.
[[nodiscard]] CommandFacts read_command(std::string_view command, const std::string& directory,
                                        const std::vector<std::string>& outputs);

// "c++", "g++-12", "x86_64-linux-gnu-gcc", "clang++-19", …
[[nodiscard]] bool is_compiler_driver(std::string_view program);

// The simple commands of a shell line, each as its words. Empty when the line cannot be read (an open quote).
[[nodiscard]] std::vector<std::vector<std::string>> shell_commands(std::string_view line);

}  // namespace sb::cache
