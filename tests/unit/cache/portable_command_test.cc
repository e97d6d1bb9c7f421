// Which commands make the same wherever the stage lies, as far as their words tell.
#include "cache/portable_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sb::cache {
namespace {

std::optional<std::vector<std::string>> words(std::string_view command, const std::string& stage = "/s/1") {
  const Places places{.source = stage + "/tree", .build = stage + "/build", .view = std::nullopt};
  return portable_words(command, places, NormalForm(places));
}

TEST(PortableCommand, is_a_compile_a_link_or_an_archive_as_cmake_writes_them) {
  for (const char* command :
       {"/usr/bin/c++ -DNDEBUG -I/s/1/tree/lib -isystem /s/1/build/gen -O2 -std=gnu++23 -Wall -Wconversion "
        "-fPIC "
        "-MD -MT x.o -MF x.o.d -o x.o -c /s/1/tree/x.cc",
        ": && /usr/bin/c++ -O2 -s a.o b.o -o tool lib.a -lz -Wl,--as-needed -Wl,-rpath,/s/1/build:/opt/lib: "
        "&& :",
        ": && /usr/bin/g++ -fPIC -shared -Wl,-soname,libx.so.1 -o libx.so.1.2 x.o && :",
        ": && /usr/bin/cmake -E rm -f libx.a && /usr/bin/ar qc libx.a x.o && /usr/bin/ranlib libx.a && :",
        "/usr/bin/cmake -E cmake_symlink_library libx.so.1.2 libx.so.1 libx.so && :",
        "c++ -ffile-prefix-map=/s/1/tree=. -g -MD -MF d -o x.o -c ../tree/x.cc"})
    EXPECT_TRUE(words(command)) << command;
}

TEST(PortableCommand, has_the_same_words_in_every_stage) {
  EXPECT_EQ(words("c++ -I/s/1/tree/inc -o x.o -c /s/1/tree/x.cc", "/s/1"),
            words("c++ -I/home/me/2/tree/inc -o x.o -c /home/me/2/tree/x.cc", "/home/me/2"));
  EXPECT_NE(words("c++ -I/s/1/tree/inc -o x.o -c /s/1/tree/x.cc", "/s/1"),
            words("c++ -I/s/1/tree -o x.o -c /s/1/tree/x.cc", "/s/1"));
}

TEST(PortableCommand, is_none_that_may_do_more_with_the_path_than_name_a_file) {
  for (const char* command :
       {"c++ -DROOT=\"/s/1/tree\" -c /s/1/tree/x.cc -o x.o",
        "c++ -D ROOT=/s/1/build -c /s/1/tree/x.cc -o x.o", "c++ -ffile-prefix-map=a=/s/1/tree -c x.cc -o x.o",
        "c++ -frandom-seed=/s/1/tree/x.cc -c x.cc -o x.o", "c++ -Wl,--defsym=x=1 x.o -o x",
        "c++ -Wl,-b,binary x.png -o x.o", "c++ -c x.cc -o x.o -I/x/s/1/tree"})
    EXPECT_FALSE(words(command)) << command;
}

TEST(PortableCommand, is_none_that_packs_or_hashes_what_it_makes) {
  for (const char* flag :
       {"-flto", "-gz", "-gsplit-dwarf", "-fprofile-use=x", "--coverage", "-fsanitize=address",
        "-funique-internal-linkage-names", "-Wl,--compress-debug-sections=zlib",
        "-Wa,--compress-debug-sections", "-mllvm", "-x", "-emit-llvm", "-fplugin=/x.so"})
    EXPECT_FALSE(words(std::string("c++ -c /s/1/tree/x.cc -o x.o ") + flag)) << flag;
}

TEST(PortableCommand, is_none_of_a_program_that_we_do_not_know) {
  for (const char* command :
       {"sh /s/1/tree/gen.sh", "ccache c++ -c x.cc -o x.o", "cd /s/1/build && c++ -c x.cc -o x.o",
        "A=b c++ -c x.cc -o x.o", "cmake -P x.cmake", "cmake -E copy a b", "gfortran -c x.f90 -o x.o",
        "c++ -c x.s -o x.o", "c++ -c x.cc -o x.o | tee x", "c++ -c x.cc -o x.o > y",
        "c++ -c x.cc -o x.o & c++", "/s/1/build/c++ -c x.cc -o x.o",
        "c++ -x c++-header -c /s/1/tree/x.h -o x.gch"})
    EXPECT_FALSE(words(command)) << command;
}

TEST(PortableCommand, is_none_that_leaves_the_stage_by_dots) {
  EXPECT_TRUE(words("c++ -I../tree/inc -c ../tree/x.cc -o x.o"));
  EXPECT_TRUE(words("c++ -I/s/1/tree/a/../b -c ../tree/x.cc -o x.o"));
  EXPECT_FALSE(words("c++ -I../../inc -c ../tree/x.cc -o x.o"));
  EXPECT_FALSE(words("c++ -I/s/1/tree/../../inc -c ../tree/x.cc -o x.o"));
  EXPECT_FALSE(words("c++ -I.. -c ../tree/x.cc -o x.o"));
}

TEST(PortableCommand, is_none_that_names_files_of_the_host_as_stages_files_are_named) {
  EXPECT_FALSE(words("c++ -I/selfbuild/tree -c x.cc -o x.o"));
}

TEST(PortableCommand, shows_its_definitions) {
  EXPECT_EQ(definitions_in("c++ -DA=1 -D B -UC x.cc -I/D && d++ -DE"), "-DA=1\n-D\nB\n-DE\n");
}

}  // namespace
}  // namespace sb::cache
