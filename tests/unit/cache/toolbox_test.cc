// What a program consists of: the same files as the compilers of this machine and its loader name themselves.
#include "cache/toolbox.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "support/files.h"
#include "support/program.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAreArray;
using testing::IsSupersetOf;
using testing::Not;

// A question for each name, as slow as it is thorough. Of the linkers, the one that is used.
constexpr std::string_view kAskedOneByOne = R"(p=$1; shift
linker=
for f in "$@"; do case $f in -fuse-ld=*) linker=ld.${f#-fuse-ld=} ;; esac; done
for n in cc1 cc1plus lto1 lto-wrapper collect2 as ld $linker; do
  f=$("$p" "$@" -print-prog-name=$n 2>/dev/null) || continue
  case $f in /*) ;; *) f=$(command -v "$f") ;; esac
  [ -n "$f" ] && [ -e "$f" ] || continue
  echo "file $f"
  ldd "$f" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\).*/file \1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/file \1/p'
done
for n in liblto_plugin.so specs crt1.o Scrt1.o crti.o crtn.o crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o \
         libgcc.a libgcc_eh.a libgcc_s.so libgcc_s.so.1 libstdc++.so libstdc++.a libc++.so libc.so libc.a libc.so.6 \
         libc_nonshared.a libm.so libm.so.6 libmvec.so.1 libpthread.a ld-linux-x86-64.so.2; do
  f=$("$p" "$@" -print-file-name=$n 2>/dev/null) && [ -e "$f" ] && echo "file $f"
done
ldd "$p" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\).*/file \1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/file \1/p'
"$p" "$@" -print-search-dirs 2>/dev/null | sed -n 's/^libraries: =*/libraries /p'
for l in c++ c; do
  "$p" "$@" -E -v -x $l /dev/null 2>&1 >/dev/null | sed -n '/search starts here:/,/^End of search/s/^ /include /p'
done
)";

std::set<std::string> real_files(const std::vector<std::string>& paths) {
  std::set<std::string> real;
  for (const std::string& path : paths) real.insert(fs::canonical(path).string());
  return real;
}

class ToolboxFacts : public testing::Test {
 protected:
  // What `find` says in a build of its own. The store is the builds' common one.
  Tool find(const std::string& program, const std::vector<std::string>& flags = {}) {
    FileTable files(places_, store_);
    Toolbox tools(places_, files, store_,
                  [&](const std::vector<std::string>& argv) -> Result<std::string> {
                    ++asked_;
                    return tests::run_program(argv, folder_.path(), environment()).all();
                  },
                  {fmt::format("PATH={}", path_)});
    const Result<const Tool*> tool = tools.find(program, flags);
    EXPECT_TRUE(tool) << program;
    EXPECT_TRUE(store_.begin_writing());
    EXPECT_TRUE(files.remember());
    EXPECT_TRUE(tools.remember());
    EXPECT_TRUE(store_.end_writing());
    return tool ? **tool : Tool();
  }
  [[nodiscard]] tests::Environment environment() const { return {{"PATH", path_}}; }
  [[nodiscard]] std::vector<std::string> lines(const std::vector<std::string>& argv,
                                               std::string_view prefix) const {
    std::vector<std::string> found;
    const tests::Finished said = tests::run_program(argv, folder_.path(), environment());
    for (const std::string_view line : split_lines(said.out)) {
      if (line.starts_with(prefix)) found.emplace_back(line.substr(prefix.size()));
    }
    return found;
  }
  void program(const fs::path& path, const std::string& text) const {
    tests::write(path, text);
    fs::permissions(path, fs::perms::owner_all);
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  Places places_{.source = (folder_.path() / "source").string(),
                 .build = (folder_.path() / "build").string(),
                 .view = {}};
  ActionStore store_ = ActionStore::open(folder_.path() / "actions.db").value();
  std::string path_ = "/usr/local/bin:/usr/bin:/bin";
  int asked_ = 0;
};

struct Asked {
  const char* driver;
  std::vector<std::string> flags;
};

class Drivers : public ToolboxFacts, public testing::WithParamInterface<Asked> {};

TEST_P(Drivers, consist_of_all_that_they_name_when_asked_one_by_one) {
  const auto& [driver, flags] = GetParam();
  const Tool tool = find(driver, flags);
  std::vector<std::string> argv = {"/bin/sh", "-c", std::string(kAskedOneByOne), "sh",
                                   "/usr/bin/" + std::string(driver)};
  argv.insert(argv.end(), flags.begin(), flags.end());
  const std::vector<std::string> named = lines(argv, "file ");
  EXPECT_GT(named.size(), 30U);
  EXPECT_THAT(real_files(tool.parts), IsSupersetOf(real_files(named)));
  EXPECT_EQ(asked_, 1);

  std::vector<std::string> folders;
  for (const std::string& folder : lines(argv, "include ")) {
    std::string absolute = places_.absolute(folder);
    if (std::ranges::find(folders, absolute) == folders.end()) folders.push_back(std::move(absolute));
  }
  EXPECT_THAT(tool.include_dirs, ElementsAreArray(folders));
  folders.clear();
  for (const std::string& folder : split(lines(argv, "libraries ").at(0), ':'))
    folders.push_back(places_.absolute(folder));
  EXPECT_THAT(tool.library_dirs, ElementsAreArray(folders));
}

std::vector<Asked> installed_drivers() {
  std::vector<Asked> all;
  for (const char* driver : {"gcc", "g++", "clang++", "clang++-19"}) {
    if (::access(fmt::format("/usr/bin/{}", driver).c_str(), X_OK) == 0)
      all.push_back({.driver = driver, .flags = {}});
  }
  all.push_back({.driver = "g++", .flags = {"-fuse-ld=gold", "-B/usr/bin", "--sysroot=/"}});
  return all;
}

INSTANTIATE_TEST_SUITE_P(OfThisMachine, Drivers, testing::ValuesIn(installed_drivers()),
                         [](const auto& one) { return fmt::format("driver_{}", one.index); });

TEST_F(ToolboxFacts, a_program_consists_of_what_the_loader_loads) {
  int compared = 0;
  for (const char* program : {"cmake", "ninja", "ar", "git", "python3", "perl", "ld", "sh", "ldd"}) {
    const fs::path path = fs::path("/usr/bin") / program;
    if (!fs::exists(path)) continue;
    const Tool tool = find(program);
    std::vector<std::string> named = {path.string()};
    for (const std::string& line : lines({"ldd", path.string()}, "\t")) {
      const std::size_t at = line.find('/');
      if (at != std::string::npos) named.push_back(line.substr(at, line.rfind(" (") - at));
    }
    EXPECT_EQ(real_files(tool.parts), real_files(named)) << program;
    ++compared;
  }
  EXPECT_GE(compared, 5);
  EXPECT_EQ(asked_, 0) << "the files themselves say it";
}

TEST_F(ToolboxFacts, a_driver_is_asked_once_for_each_environment) {
  const Key before = find("g++").identity;
  EXPECT_EQ(find("g++").identity, before);
  EXPECT_EQ(asked_, 1);
  path_ += ":/usr/games";
  EXPECT_EQ(find("g++").identity, before);
  EXPECT_EQ(asked_, 2) << "another PATH may lead to other parts";
}

TEST_F(ToolboxFacts, a_part_that_comes_first_now_is_seen_without_asking_again) {
  const fs::path own = folder_.path() / "own";
  fs::create_directories(own);
  path_ = own.string() + ":" + path_;
  const Tool before = find("g++");
  EXPECT_THAT(before.parts, Contains("/usr/bin/as"));
  program(own / "as", "#!/bin/sh\nexec /usr/bin/as \"$@\"\n");
  const Tool after = find("g++");
  EXPECT_EQ(asked_, 1);
  EXPECT_THAT(after.parts, Contains((own / "as").string()));
  EXPECT_THAT(after.parts, Not(Contains("/usr/bin/as")));
  EXPECT_NE(after.identity, before.identity);
}

TEST_F(ToolboxFacts, a_linker_is_a_part_where_it_is_asked_for) {
  const fs::path own = folder_.path() / "own";
  program(own / "ld.lld", "#!/bin/sh\nexec /usr/bin/ld \"$@\"\n");
  path_ = own.string() + ":" + path_;
  EXPECT_THAT(find("g++").parts, Not(Contains((own / "ld.lld").string())));
  EXPECT_THAT(find("g++", {"-fuse-ld=lld"}).parts, Contains((own / "ld.lld").string()));
}

// Each is a file of the other, under another name.
TEST_F(ToolboxFacts, parts_that_change_places_make_another_tool) {
  const fs::path own = folder_.path() / "own";
  program(own / "one", "#!/bin/sh\nexec /usr/bin/as --one \"$@\"\n");
  program(own / "two", "#!/bin/sh\nexec /usr/bin/ld --two \"$@\"\n");
  path_ = own.string() + ":" + path_;
  const auto link = [&](const char* as, const char* ld) {
    fs::remove(own / "as");
    fs::remove(own / "ld");
    fs::create_symlink(as, own / "as");
    fs::create_symlink(ld, own / "ld");
  };
  link("one", "two");
  const Key before = find("g++").identity;
  link("two", "one");
  EXPECT_NE(find("g++").identity, before);
}

TEST_F(ToolboxFacts, a_library_that_is_found_first_now_makes_another_tool) {
  const fs::path own = folder_.path() / "own";
  tests::write(own / "main.c", "int f(void);\nint main(void) { return f(); }\n");
  tests::write(own / "f.c", "int f(void) { return 0; }\n");
  const auto run = [&](const std::string& command) {
    const tests::Finished done = tests::run_program({"/bin/sh", "-c", command}, own, environment());
    ASSERT_EQ(done.code, 0) << done.all();
  };
  run("mkdir first second && gcc -shared -fPIC f.c -o second/libf.so && "
      "gcc main.c -o tool -Lsecond -lf -Wl,-rpath,'$ORIGIN/first:$ORIGIN/second'");
  const std::string tool = (own / "tool").string();
  const Tool before = find(tool);
  EXPECT_THAT(before.parts, Contains((own / "second/libf.so").string()));
  run("cp second/libf.so first/");
  const Tool after = find(tool);
  EXPECT_THAT(after.parts, Contains((own / "first/libf.so").string()));
  EXPECT_NE(after.identity, before.identity);
  EXPECT_EQ(asked_, 0);

  run("rm first/libf.so second/libf.so");
  EXPECT_NE(find(tool).identity, after.identity);
  EXPECT_EQ(asked_, 1) << "where we find nothing, the loader is asked";
}

TEST_F(ToolboxFacts, a_damaged_program_is_no_more_than_its_bytes) {
  const fs::path own = folder_.path() / "own";
  const std::string whole = tests::read("/usr/bin/ninja");
  ASSERT_GT(whole.size(), 4096U);
  for (std::size_t at = 0; at < 4096; at += 16) {
    std::string bytes = whole.substr(0, 8192);
    for (std::size_t i = at; i < at + 8; ++i) bytes[i] = '\xff';
    program(own / "tool", bytes);
    EXPECT_THAT(find((own / "tool").string()).parts, Contains((own / "tool").string()));
  }
}

}  // namespace
}  // namespace sb::cache
