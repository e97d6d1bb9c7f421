#include "samples.h"

#include <gtest/gtest.h>

#include "support/files.h"

namespace sb::ninja::samples {
namespace {

constexpr std::string_view kTricky = R"(# comment: a | b $
ninja_required_version = 1.3
builddir = logs/$none.
root = .
flags = -O2 $
    -g   -D'q w'
early = $late
late = 1

pool heavy
  depth = $late
pool other_pool
  depth = 0

rule cc
  command = cc $flags -MD -MF $depfile -DX=$late$$HOME ${x.y}$x.y -c $in -o $out   $
      # not a comment
  depfile = $out.d
  deps = gcc
  description = CC $out
rule link
  command = ld @$rspfile -o $out $tail
  rspfile = $out.rsp
  rspfile_content = $in_newline
  pool = heavy
  restat = 1
rule empty_depfile
  command = x $depfile|$early|$undefined| $in : $out
  depfile =
rule build
  command = generate $in > $out
  generator = 1
  description = $
    late description
rule with.dots-and_more
  command = $in

x.y = dotted
x = plain
build $root/a.o: cc src/./a.c | gen.h h$ 1.h || order ../up.h
build b$:b.o | side//effect b.map: cc src/b.c$$ it's.c sp$ ace.c "quoted".c a~b.c a+b.c | gen.h
  flags = -O0 $late $flags
  pool = other_pool
build $
    lib.a $
    lib2.a : $
    link a.o b$:b.o |@ checked
  late = edge
  tail = $late
build ${late}/$x.$x: link lib.a $
lib2.a
  rspfile = other$ $$ $:rsp
build gen.h | gen.list: build gen.in
depfile = from the file
build order: phony
build checked: with.dots-and_more x.sh -a || /abs/../b///c/
build e1: empty_depfile a b
build e2: empty_depfile a b
  y = 1
build no_inputs: empty_depfile
build only_order: cc || order
build |only_implicit: cc no_inputs
build self: phony self e1 || self e2
build dyn: cc d.c || dyn.dd
  dyndep = dyn.dd
include more.ninja
subninja sub/sub.ninja
late = 2
default self only_order
default lib.a
)";

constexpr std::string_view kMore =
    "included = 1\r\nrule from_more\r\n  command = more $sub $included $in\r\n"
    "build more.out: from_more $\r\n   a.o\r\n  sub = $late\r\n";

constexpr std::string_view kSub = R"(rule cc
  command = subcc $flags $sub $in $out
rule phony2
  command = $description$
     !
  description = $pool $in
  pool = $sub
sub = heavy
flags = $flags -sub
build sub/a.o: cc a.o
build sub/b: phony2 sub/a.o
subninja sub/deeper.ninja
build sub/c: from_more sub/a.o sub/deeper
)";

constexpr std::string_view kDeeper = "sub = deep\nbuild sub/deeper: cc a.o\n";

constexpr std::string_view kLists = R"(cmake_minimum_required(VERSION 3.25)
project(sample LANGUAGES C)
set(CMAKE_NINJA_FORCE_RESPONSE_FILE ON)
add_custom_command(OUTPUT made.h COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/made.txt made.h
                   DEPENDS made.txt VERBATIM)
add_library(part STATIC part.c "sp ace.c" made.h)
target_include_directories(part PUBLIC ${CMAKE_BINARY_DIR})
target_compile_definitions(part PRIVATE "TEXT=\"a b\\$c\"")
add_executable(program main.c)
target_link_libraries(program PRIVATE part)
add_custom_target(note ALL COMMAND ${CMAKE_COMMAND} -E echo "it's; $<1:done>" BYPRODUCTS note.txt VERBATIM)
)";

}  // namespace

std::string_view tricky_text() {
  return kTricky;
}

void write_tricky_manifest(const std::filesystem::path& folder) {
  tests::write(folder / "build.ninja", kTricky);
  tests::write(folder / "more.ninja", kMore);
  tests::write(folder / "sub/sub.ninja", kSub);
  tests::write(folder / "sub/deeper.ninja", kDeeper);
}

bool configure_project(const std::filesystem::path& folder) {
  tests::write(folder / "s/CMakeLists.txt", kLists);
  tests::write(folder / "s/made.txt", "#define MADE 0\n");
  tests::write(folder / "s/part.h", "int part(void);\nint space(void);\n");
  tests::write(folder / "s/part.c",
               "#include \"part.h\"\n#include \"made.h\"\nint part(void) { return MADE; }\n");
  tests::write(folder / "s/sp ace.c", "#include \"part.h\"\nint space(void) { return sizeof TEXT > 1; }\n");
  tests::write(folder / "s/main.c",
               "#include \"part.h\"\n#include <stdio.h>\n"
               "int main(void) { puts(\"\"); return part() + space(); }\n");
  const tests::Finished configured =
      tests::run_program({"cmake", "-G", "Ninja", "-S", "s", "-B", "b"}, folder, {});
  EXPECT_EQ(configured.code, 0) << configured.all();
  return configured.code == 0;
}

tests::Finished ninja(const std::filesystem::path& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ninja");
  return tests::run_program(arguments, folder, {});
}

}  // namespace sb::ninja::samples
