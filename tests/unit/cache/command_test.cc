// What command lines say, and what they are refused for.
#include "cache/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sb::cache {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

CommandFacts read(std::string_view command) {
  return read_command(command, "/b", {"/b/main.cc.o"});
}

TEST(Command, reads_a_shells_words) {
  EXPECT_THAT(shell_commands("a 'b c' \"d \\\" e\" f\\ g"),
              ElementsAre(ElementsAre("a", "b c", "d \" e", "f g")));
  EXPECT_THAT(shell_commands("cd /x && a > out; (b | c)\nd ''"),
              ElementsAre(ElementsAre("cd", "/x"), ElementsAre("a", "out"), ElementsAre("b"),
                          ElementsAre("c"), ElementsAre("d", "")));
  EXPECT_THAT(shell_commands("a 'b"), IsEmpty());
  EXPECT_FALSE(read("a 'b").refusal.empty());
}

TEST(Command, knows_compiler_drivers) {
  for (const char* name :
       {"c++", "/usr/bin/g++", "g++-12", "x86_64-linux-gnu-gcc", "clang++-19", "cc", "x-cc-4.9"})
    EXPECT_TRUE(is_compiler_driver(name)) << name;
  for (const char* name : {"ccache", "cmake", "gcc-ar", "clang-format-19", "mycc", "ld", ""})
    EXPECT_FALSE(is_compiler_driver(name)) << name;
}

TEST(Command, finds_the_driver_behind_launchers) {
  for (const char* command :
       {"c++ -Ix -c a.cc", "ccache c++ -Ix -c a.cc", "cmake -E env A=b c++ -Ix -c a.cc",
        "A=b nice c++ -Ix -c a.cc", "/opt/launch --now c++ -Ix -c a.cc", ": && c++ -Ix -c a.cc && :"}) {
    EXPECT_EQ(read(command).driver, "c++") << command;
    EXPECT_THAT(read(command).programs, Contains("c++")) << command;
    EXPECT_THAT(read(command).include_dirs, ElementsAre("/b/x")) << command;
    EXPECT_TRUE(read(command).compiles) << command;
  }
}

TEST(Command, reads_search_folders) {
  const CommandFacts facts =
      read("c++ -I/a -I b -iquote c -isystem /d -isystem=e -idirafter f -L/g -L h -lz -l:x.a -B/p x.o");
  EXPECT_THAT(facts.include_dirs, ElementsAre("/a", "/b/b", "/b/c", "/d", "/b/e", "/b/f"));
  EXPECT_THAT(facts.library_dirs, ElementsAre("/g", "/b/h"));
  EXPECT_THAT(facts.libraries, ElementsAre("z", ":x.a"));
  EXPECT_THAT(facts.driver_flags, ElementsAre("-B/p"));
  EXPECT_FALSE(facts.compiles);
}

TEST(Command, reads_the_files_that_words_name) {
  const CommandFacts facts =
      read("c++ -Wl,--version-script=/s/v -Wl,-T,/s/t -T/s/u @x.rsp -fplugin=/s/p.so -DX=/s/no -I/s/dir");
  for (const char* path : {"/s/v", "/s/t", "/s/u", "/b/x.rsp", "/s/p.so"})
    EXPECT_THAT(facts.mentioned, Contains(path));
  for (const char* path : {"/s/no", "/s/dir"}) EXPECT_THAT(facts.mentioned, Not(Contains(path)));
  EXPECT_THAT(read("sh -c 'cat /s/a /s/b'").mentioned, Contains("/s/b"));
  EXPECT_THAT(read("cd /w && cat a").mentioned, ElementsAre("/w/a"));
  EXPECT_THAT(read("cat main.cc.o").mentioned, IsEmpty()) << "its own output";
}

TEST(Command, knows_files_that_flags_make) {
  EXPECT_THAT(read("c++ --coverage -gsplit-dwarf -c main.cc").side_outputs,
              ElementsAre("/b/main.cc.gcno", "/b/main.cc.dwo"));
  EXPECT_THAT(read("c++ --coverage -gsplit-dwarf main.cc.o").side_outputs, IsEmpty()) << "linking makes none";
}

TEST(Command, refuses_what_reads_or_writes_unsaid) {
  for (const char* flags : {"-save-temps",
                            "-ftime-trace",
                            "-fdump-tree-all",
                            "-fmodules-ts",
                            "-MJ x",
                            "-Wl,-Map=x",
                            "-fprofile-use",
                            "-fprofile-use=/dir",
                            "-fprofile-use=x.gcda",
                            "-fauto-profile",
                            "-iprefix /x",
                            "-iwithprefix y",
                            "--include-directory=/x",
                            "-ivfsoverlay x",
                            "-Wp,-I/x",
                            "-Wp,-MD,x",
                            "@flags",
                            "-fplugin=name",
                            "-fsave-optimization-record",
                            "-Wa,-ahl=x",
                            "-Xpreprocessor -Ix",
                            "-stack-usage -fstack-usage"})
    EXPECT_FALSE(read(std::string("c++ -c main.cc ") + flags).refusal.empty()) << flags;
  for (const char* flags : {"-O2 -g -Wall", "-Wp,-D_FORTIFY_SOURCE=2", "-fprofile-use=/x.profdata",
                            "-fplugin=/x.so", "-Wl,-rpath,'$ORIGIN'", "-DX=\\\"a*b\\\"", "-include x.h"})
    EXPECT_EQ(read(std::string("c++ -c main.cc ") + flags).refusal, "") << flags;
}

TEST(Command, refuses_what_the_shell_expands) {
  for (const char* command : {"cat *.txt", "cat a?", "cat [ab]", "echo $(x)", "echo `x`", "echo \"$(x)\"",
                              "cat $F", "cat ${F}", "for f in a b; do cat $f; done"})
    EXPECT_FALSE(read(command).refusal.empty()) << command;
  for (const char* command :
       {"cat '*.txt'", "cat \\*", "[ -f x ] && cat x", "echo '$(x)'", "echo a$", "echo \\$x"})
    EXPECT_EQ(read(command).refusal, "") << command;
}

TEST(Command, knows_what_writes_its_outputs_only) {
  EXPECT_TRUE(read(": && cmake -E rm -f x.a && ar qc x.a a.o && ranlib x.a && :").writes_only_outputs);
  EXPECT_TRUE(read("c++ -c main.cc").writes_only_outputs);
  EXPECT_FALSE(read("c++ main.cc.o -o x && cp x y").writes_only_outputs);
  EXPECT_FALSE(read("cmake -E copy a b").writes_only_outputs);
  EXPECT_FALSE(read("ar qcT x.a a.o").refusal.empty()) << "thin";
  EXPECT_TRUE(read("c++ -march=native -c main.cc").asks_cpu);
}

}  // namespace
}  // namespace sb::cache
