// What one build leaves to the next, so that it need not be found out again.

#include <gtest/gtest.h>

#include "cache/action_store.h"
#include "cache/facts_memo.h"
#include "cache/memo_files.h"
#include "cache/results_memo.h"
#include "support/files.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

class Memos : public testing::Test {
 protected:
  [[nodiscard]] FileTable table() { return {places_, store_}; }
  [[nodiscard]] MemoFiles memos(bool writes = true) const { return {folder_.path() / "memos", writes}; }
  static FactsMemo memo_of(FileTable& files) {
    FactsMemo memo;
    memo.asked.files = {{files.number("/lib/libz.so"), FileTable::Type::regular},
                        {files.number("/stage/optional"), FileTable::Type::missing}};
    memo.asked.programs = {
        {.name = "c++", .flags = {"-m32"}, .path = "/usr/bin/c++", .identity = key_of("gcc")},
        {.name = "echo", .flags = {}, .path = "", .identity = {}}};
    memo.asked.processor = key_of("cpu");
    memo.searches = {{.folders = {"/stage/include", "/usr/include"}, .anywhere = true}};
    EdgeFacts compile{.refusal = "",
                      .action = key_of("compile"),
                      .command_hash = ~std::uint64_t{0},
                      .discovers = true,
                      .deps_in_log = true,
                      .depfile = "x.d",
                      .outputs = {files.number("/stage/x.o")},
                      .inputs = {files.number("/stage/x.cc"), files.number("/lib/libz.so")},
                      .search = 0,
                      .only_links = true,
                      .writes_only_outputs = true};
    EdgeFacts refused;
    refused.refusal = "it talks to the terminal";
    compile.portable = key_of("compile anywhere");
    memo.facts = {std::move(compile), std::move(refused)};
    return memo;
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
  Places places_{.source = "/stage", .build = "/stage/build", .view = std::nullopt};
  ActionStore store_ = *ActionStore::open(folder_.path() / "actions.db");
};

TEST_F(Memos, of_facts_come_back_as_they_were) {
  FileTable then = table();
  const std::string bytes = to_bytes(memo_of(then), then);
  FileTable now = table();
  (void)now.number("/another/file");  // so that the numbers are others
  const std::optional<FactsMemo> memo = facts_memo_from(bytes, now);
  ASSERT_TRUE(memo.has_value());
  ASSERT_EQ(memo->asked.files.size(), 2U);
  EXPECT_EQ(now.path(memo->asked.files[1].first), "/stage/optional");
  EXPECT_EQ(memo->asked.files[1].second, FileTable::Type::missing);
  ASSERT_EQ(memo->asked.programs.size(), 2U);
  EXPECT_EQ(memo->asked.programs[0].flags, std::vector<std::string>{"-m32"});
  EXPECT_EQ(memo->asked.programs[0].identity, key_of("gcc"));
  EXPECT_EQ(memo->asked.programs[1].identity, std::nullopt);
  EXPECT_EQ(memo->asked.processor, key_of("cpu"));
  ASSERT_EQ(memo->searches.size(), 1U);
  EXPECT_TRUE(memo->searches[0].anywhere);
  EXPECT_EQ(memo->searches[0].folders.back(), "/usr/include");
  ASSERT_EQ(memo->facts.size(), 2U);
  const EdgeFacts& compile = memo->facts[0];
  EXPECT_EQ(compile.action, key_of("compile"));
  EXPECT_EQ(compile.portable, key_of("compile anywhere"));
  EXPECT_EQ(memo->facts[1].portable, std::nullopt);
  EXPECT_EQ(compile.command_hash, ~std::uint64_t{0});
  EXPECT_TRUE(compile.discovers && compile.deps_in_log && compile.only_links && compile.writes_only_outputs);
  EXPECT_EQ(compile.depfile, "x.d");
  ASSERT_EQ(compile.inputs.size(), 2U);
  EXPECT_EQ(now.path(compile.inputs[0]), "/stage/x.cc");
  EXPECT_EQ(now.path(compile.outputs.at(0)), "/stage/x.o");
  EXPECT_EQ(memo->facts[1].refusal, "it talks to the terminal");
  EXPECT_FALSE(memo->facts[1].discovers);
}

ResultsMemo some_results() {
  ResultsMemo memo{.removed = -7, .paths = {{9, "../x.h"}, {70'000, "/usr/include/y.h"}}, .edges = {}};
  memo.edges.resize(2);
  memo.edges[1] = {.known = true,
                   .list = 5,
                   .discovered = {70'000, 9, 70'000},
                   .key = key_of("result"),
                   .portable = true,
                   .result = {.outputs = {{.kind = Output::Kind::shared,
                                           .executable = false,
                                           .path = "x.o",
                                           .id = {.digest = key_of("object"), .size = 12}}},
                              .printed = "x.cc:1: warning\n",
                              .took_ms = 40}};
  return memo;
}

TEST_F(Memos, of_results_come_back_as_they_were) {
  const std::optional<ResultsMemo> memo = results_memo_from(to_bytes(some_results()));
  ASSERT_TRUE(memo.has_value());
  EXPECT_EQ(memo->removed, -7);
  EXPECT_EQ(memo->paths, some_results().paths);
  ASSERT_EQ(memo->edges.size(), 2U);
  EXPECT_FALSE(memo->edges[0].known);
  const ResultsMemo::Edge& edge = memo->edges[1];
  EXPECT_TRUE(edge.known);
  EXPECT_EQ(edge.list, 5);
  EXPECT_EQ(edge.discovered, (std::vector<ActionStore::PathId>{70'000, 9, 70'000}));
  EXPECT_EQ(edge.key, key_of("result"));
  EXPECT_TRUE(edge.portable);
  EXPECT_EQ(edge.result.outputs, some_results().edges[1].result.outputs);
  EXPECT_EQ(edge.result.printed, "x.cc:1: warning\n");
  EXPECT_EQ(edge.result.took_ms, 40);
}

TEST_F(Memos, that_are_cut_off_are_none) {
  FileTable files = table();
  const std::string facts = to_bytes(memo_of(files), files);
  for (std::size_t size = 0; size < facts.size(); ++size)
    EXPECT_FALSE(facts_memo_from(std::string_view(facts).substr(0, size), files).has_value()) << size;
  const std::string results = to_bytes(some_results());
  for (std::size_t size = 0; size < results.size(); ++size)
    EXPECT_FALSE(results_memo_from(std::string_view(results).substr(0, size)).has_value()) << size;
}

TEST_F(Memos, of_an_untrusted_build_are_not_kept) {
  memos(false).save("a", "one");
  EXPECT_EQ(memos().load("a"), std::nullopt);
}

TEST_F(Memos, that_are_damaged_anywhere_count_as_missing) {
  memos().save("a", "one");
  EXPECT_EQ(memos().load("a"), "one");
  EXPECT_EQ(memos().load("b"), std::nullopt);
  const fs::path file = folder_.path() / "memos/a";
  const std::string whole = tests::read(file);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    tests::write(file, damaged);
    EXPECT_EQ(memos().load("a"), std::nullopt) << i;
    tests::write(file, whole.substr(0, i));
    EXPECT_EQ(memos().load("a"), std::nullopt) << i;
  }
  memos().save("a", "two");
  EXPECT_EQ(memos().load("a"), "two");
}

}  // namespace
}  // namespace sb::cache
