// Files that a project, a crash or a bad disk has spoilt: they are read or refused, and nothing else.
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "ninja/build_log.h"
#include "ninja/deps_log.h"
#include "ninja/manifest.h"
#include "samples.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::ninja {
namespace {

namespace fs = std::filesystem;

// Cuts the file short at every `step`-th byte, and flips bits of it, and calls read each time.
void damage(const fs::path& file, std::size_t step, const std::function<void()>& read) {
  const std::string good = tests::read(file);
  ASSERT_FALSE(good.empty());
  const auto write = [&](std::string_view bytes) {
    fs::remove(file);  // a new file: some file systems wait for the disk when an old one is written over
    tests::write(file, bytes);
  };
  for (std::size_t size = 0; size < good.size(); size += step) {
    write(std::string_view(good).substr(0, size));
    read();
  }
  std::mt19937 random(11);  // the same damage every time
  for (int i = 0; i < 1000; ++i) {
    std::string bad = good;
    for (auto flips = 1 + random() % 3; flips > 0; --flips)
      bad[random() % bad.size()] ^= static_cast<char>(1U << (random() % 8));
    write(bad);
    read();
  }
  write(good);
}

// Asks for everything that a manifest can tell.
std::size_t ask_everything(const Manifest& manifest) {
  std::size_t bytes = manifest.builddir().size();
  for (EdgeId id = 0; id < manifest.edge_count(); ++id) {
    for (const char* variable : {"command", "depfile", "deps", "rspfile", "description", "pool", "dyndep"})
      bytes += manifest.value(id, variable).size();
    bytes += manifest.logged_command(id).size();
    const Edge edge = manifest.edge(id);
    for (const auto nodes : {edge.explicit_outputs, edge.implicit_outputs, edge.explicit_inputs,
                             edge.implicit_inputs, edge.order_only_inputs, edge.validations}) {
      for (const NodeId node : nodes) {
        EXPECT_EQ(manifest.find(manifest.path(node)), node);
        bytes += manifest.producer(node) == id ? 1 : 0;
      }
    }
  }
  const auto needed = manifest.needed({});
  return bytes + (needed ? needed->size() : needed.error().what.size());
}

TEST(Damage, of_a_manifest_is_survived) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  samples::write_tricky_manifest(folder.path());
  for (const char* file : {"build.ninja", "more.ninja", "sub/sub.ninja"}) {
    std::size_t bytes = 0;
    damage(folder.path() / file, 1, [&] {
      const Result<Manifest> manifest = Manifest::load(folder.path());
      if (manifest) bytes += ask_everything(*manifest);
    });
    EXPECT_GT(bytes, 0U);
  }
}

TEST(Damage, of_a_log_is_survived) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  BuildLog written;
  for (int i = 0; i < 50; ++i)
    written.entries["some/output " + std::to_string(i)] = {i, i + 1, 1LL << 60, 1ULL << i};
  ASSERT_GOOD(save(written, folder.path()));
  std::size_t entries = 0;
  damage(folder.path() / ".ninja_log", 1, [&] {
    const Result<BuildLog> log = load_build_log(folder.path());
    if (log) entries += log->entries.size();
  });
  EXPECT_GT(entries, 0U);
}

TEST(Damage, of_a_deps_log_is_survived) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  DepsLog written;
  for (int i = 0; i < 50; ++i) {
    DepsLog::Deps deps{.mtime_ns = 1LL << 60, .paths = {}};
    for (int header = 0; header < i; ++header)
      deps.paths.push_back(written.intern("h" + std::to_string(header)));
    written.set("some/output " + std::to_string(i), std::move(deps));
  }
  ASSERT_GOOD(written.save(folder.path()));
  std::size_t characters = 0;
  damage(folder.path() / ".ninja_deps", 3, [&] {
    const Result<DepsLog> log = DepsLog::load(folder.path());
    for (int i = 0; log && i < 50; ++i) {
      const DepsLog::Deps* const deps = log->find("some/output " + std::to_string(i));
      for (const DepsLog::PathId path : deps != nullptr ? deps->paths : std::vector<DepsLog::PathId>())
        characters += log->path(path).size();
    }
  });
  EXPECT_GT(characters, 0U);
}

}  // namespace
}  // namespace sb::ninja
