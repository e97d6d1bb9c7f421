#include "unit/cache/remote_build.h"

#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "support/files.h"
#include "support/program.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNinja = R"(rule copy
  command = cp $in $out
rule cxx
  command = g++ -I. -I../source -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule archive
  command = rm -f $out && ar qcD $out $in
rule link
  command = g++ $in -o $out
build made.h: copy ../source/made.in
build one.o: cxx ../source/one.cc || made.h
build two.o: cxx ../source/two.cc
build libtwo.a: archive two.o
build app: link one.o libtwo.a
default app
)";

template <typename T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "{}", format_error(result.error()));
  std::abort();
}

void make_old(const fs::path& folder) {
  const timespec old[] = {{.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0},
                          {.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0}};
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    (void)::utimensat(AT_FDCWD, entry.path().c_str(), old, 0);
}

}  // namespace

RemoteLimits RemoteBuild::patient() {
  constexpr std::chrono::seconds kLong{60};
  return {.connect = kLong, .silence = kLong, .bringing = kLong, .sending = kLong};
}

RemoteBuild::RemoteBuild() : folder_(tests::temporary_folder()) {
  edit("made.in", "#define MADE 40\n");
  edit("common.h", "int two();\n");
  edit("one.cc", "#include \"common.h\"\n#include \"made.h\"\nint main() { return MADE + two() - 42; }\n");
  edit("two.cc", "#include \"common.h\"\nint two() { return 2; }\n");
}

void RemoteBuild::edit(const std::string& file, const std::string& text) const {
  tests::write(folder() / "stage/source" / file, text);
}

Machine RemoteBuild::machine(const std::string& name) const {
  return {.cache = folder() / name};
}

Built RemoteBuild::build(const Machine& machine, const RemoteSettings& settings, const RemoteLimits& limits,
                         const std::function<void()>& before_keep) const {
  const fs::path build = folder() / "stage/build";
  fs::remove_all(build);
  tests::write(build / "build.ninja", kNinja);
  make_old(folder() / "stage");
  auto store = must(ActionStore::open(machine.cache / "actions.db"));
  const artifacts::OutputPool pool(machine.cache / "outputs");
  RemoteTier tier(settings, machine.cache, pool, machine.now_ms, limits);
  const std::string path = "/usr/local/bin:/usr/bin:/bin";
  auto cache = must(BuildCache::open(
      store, pool,
      {.places = {.source = (folder() / "stage/source").string(), .build = build.string(), .view = {}},
       .memos = machine.cache / "memos",
       .targets = {},
       .environment = {"PATH=" + path},
       .owner = machine.owner,
       .ask = [&](const std::vector<std::string>& argv) -> Result<std::string> {
         return tests::run_program(argv, build, {{"PATH", path}}).all();
       },
       .now_ms = machine.now_ms,
       .remote = settings.url.empty() ? nullptr : &tier}));
  Built built;
  built.taken = must(cache.take());
  const tests::Finished ninja = tests::run_program({"ninja"}, build, {{"PATH", path}});
  if (ninja.code != 0) {
    fmt::print(stderr, "{}", ninja.all());
    std::abort();
  }
  const std::size_t at = ninja.out.rfind("\n[") == std::string::npos ? 0 : ninja.out.rfind("\n[") + 1;
  built.ran = ninja.out.starts_with('[') ? std::atoi(ninja.out.c_str() + at + 1) : 0;
  if (before_keep) before_keep();
  (void)must(cache.keep({}));
  built.use = tier.use();
  for (const char* name : {"made.h", "one.o", "two.o", "libtwo.a", "app"})
    built.files[name] = tests::read(build / name);
  return built;
}

}  // namespace sb::cache
