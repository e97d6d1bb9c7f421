// What we read is what the installed Ninja reads: edges, inputs and commands, and the hashes in its log.
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "ninja/build_log.h"
#include "ninja/deps_log.h"
#include "ninja/manifest.h"
#include "samples.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::ninja {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// An edge as `ninja -t compdb` tells it: those with inputs, in the order of the manifest.
struct Told {
  std::string command;
  std::string output;
  std::string input;
  friend bool operator==(const Told&, const Told&) = default;
};
void PrintTo(const Told& told, std::ostream* out) {
  *out << told.input << " -> " << told.output << ": " << told.command;
}

std::vector<Told> told_by_ninja(const std::string& compdb) {
  std::vector<Told> edges;
  const Result<Json> json = parse_json(compdb);
  EXPECT_TRUE(json.has_value()) << compdb;
  for (const Json& edge : json.value_or(Json::array()))
    edges.push_back({.command = edge.at("command"), .output = edge.at("output"), .input = edge.at("file")});
  return edges;
}

std::vector<Told> told_by_us(const Manifest& manifest) {
  std::vector<Told> edges;
  for (EdgeId id = 0; id < manifest.edge_count(); ++id) {
    const Edge edge = manifest.edge(id);
    for (const auto inputs : {edge.explicit_inputs, edge.implicit_inputs, edge.order_only_inputs}) {
      if (inputs.empty()) continue;
      const NodeId output =
          edge.explicit_outputs.empty() ? edge.implicit_outputs.front() : edge.explicit_outputs.front();
      edges.push_back({.command = manifest.value(id, "command"),
                       .output = std::string(manifest.path(output)),
                       .input = std::string(manifest.path(inputs.front()))});
      break;
    }
  }
  return edges;
}

// What `ninja -t query` prints of a node above "outputs:".
std::string queried(const Manifest& manifest, NodeId node) {
  std::string text = std::string(manifest.path(node)) + ":\n";
  const EdgeId producer = manifest.producer(node);
  if (producer == kNoEdge) return text;
  const Edge edge = manifest.edge(producer);
  const auto add = [&](std::string_view label, std::span<const NodeId> nodes) {
    for (const NodeId input : nodes) text += fmt::format("    {}{}\n", label, manifest.path(input));
  };
  text += fmt::format("  input: {}\n", edge.rule);
  add("", edge.explicit_inputs);
  add("| ", edge.implicit_inputs);
  add("|| ", edge.order_only_inputs);
  if (!edge.validations.empty()) text += "  validations:\n";
  add("", edge.validations);
  return text;
}

class RealNinja : public testing::Test {
 protected:
  // All nodes, all edges and all commands of folder/build.ninja are the same for us and for Ninja.
  void compare(const fs::path& folder) {
    ASSERT_OK(const Manifest manifest, Manifest::load(folder));
    const tests::Finished compdb = samples::ninja(folder, {"-t", "compdb"});
    ASSERT_EQ(compdb.code, 0) << compdb.all();
    EXPECT_EQ(told_by_us(manifest), told_by_ninja(compdb.out));

    std::string targets;
    for (EdgeId id = 0; id < manifest.edge_count(); ++id) {
      const Edge edge = manifest.edge(id);
      for (const auto outputs : {edge.explicit_outputs, edge.implicit_outputs}) {
        for (const NodeId output : outputs)
          targets += fmt::format("{}: {}\n", manifest.path(output), edge.rule);
      }
    }
    EXPECT_EQ(targets, samples::ninja(folder, {"-t", "targets", "all"}).out);

    for (NodeId node = 0; node < manifest.node_count(); ++node) {
      const std::string path(manifest.path(node));
      const std::string query = samples::ninja(folder, {"-t", "query", path}).out;
      EXPECT_EQ(query.substr(0, query.find("  outputs:\n")), queried(manifest, node));
      const EdgeId edge = manifest.producer(node);
      if (edge == kNoEdge || manifest.edge(edge).is_phony()) continue;
      EXPECT_EQ(samples::ninja(folder, {"-t", "commands", "-s", path}).out,
                manifest.value(edge, "command") + "\n");
    }

    // The edges that a build of the defaults needs; Ninja goes through inputs in the same order.
    std::string commands;
    ASSERT_OK(const std::vector<EdgeId> needed, manifest.needed({}));
    for (const EdgeId edge : needed) {
      if (!manifest.edge(edge).is_phony()) commands += manifest.value(edge, "command") + "\n";
    }
    EXPECT_THAT(commands, HasSubstr(samples::ninja(folder, {"-t", "commands"}).out));
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

TEST_F(RealNinja, reads_the_tricky_manifest_as_we_do) {
  samples::write_tricky_manifest(folder_.path());
  compare(folder_.path());
}

TEST_F(RealNinja, and_we_agree_on_damaged_manifests) {
  samples::write_tricky_manifest(folder_.path());
  std::mt19937 random(7);  // the same damage every time
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  constexpr std::string_view kBytes =
      "\n \t$|:={}\r.#a/\0@"
      "r";
  int agreed_to_refuse = 0;
  for (int i = 0; i < 200; ++i) {
    std::string text(samples::tricky_text());
    const std::size_t at = below(text.size());
    if (i % 3 == 0) text.erase(at, 1 + below(3));
    if (i % 3 == 1) text.insert(at, 1, kBytes[below(kBytes.size())]);
    if (i % 3 == 2) text[at] = kBytes[below(kBytes.size())];
    fs::remove(folder_.path() / "build.ninja");  // writing over it may wait for the disk
    tests::write(folder_.path() / "build.ninja", text);
    const Result<Manifest> manifest = Manifest::load(folder_.path());
    const tests::Finished compdb = samples::ninja(folder_.path(), {"-t", "compdb"});
    ASSERT_EQ(manifest.has_value(), compdb.code == 0)
        << compdb.err << (manifest ? "" : format_error(manifest.error())) << text;
    if (manifest)
      ASSERT_EQ(told_by_us(*manifest), told_by_ninja(compdb.out)) << text;
    else
      ++agreed_to_refuse;
  }
  EXPECT_GT(agreed_to_refuse, 30);
}

// One project, configured and built once.
class RealBuild : public RealNinja {
 protected:
  void SetUp() override {
    ASSERT_TRUE(samples::configure_project(folder_.path()));
    const tests::Finished built = samples::ninja(build(), {});
    ASSERT_EQ(built.code, 0) << built.all();
  }
  [[nodiscard]] fs::path build() const { return folder_.path() / "b"; }
  // Of the program only: CMake's custom target is never up to date.
  [[nodiscard]] std::string explain() const {
    return samples::ninja(build(), {"-n", "-d", "explain", "program"}).all();
  }
};

TEST_F(RealBuild, cmake_s_manifest_is_read_as_ninja_reads_it) {
  compare(build());
}

TEST_F(RealBuild, the_log_has_the_hash_of_every_command_that_ran) {
  ASSERT_OK(const Manifest manifest, Manifest::load(build()));
  ASSERT_OK(const BuildLog log, load_build_log(build()));
  bool response_file = false;
  for (const auto& [output, entry] : log.entries) {
    const auto node = manifest.find(output);
    ASSERT_TRUE(node.has_value()) << output;
    const EdgeId edge = manifest.producer(*node);
    EXPECT_EQ(entry.command_hash, command_hash(manifest.logged_command(edge))) << output;
    response_file = response_file || !manifest.value(edge, "rspfile_content").empty();
  }
  EXPECT_TRUE(response_file);
  // Of what `all` needs, everything has run.
  ASSERT_OK(const std::vector<EdgeId> needed, manifest.needed({}));
  for (const EdgeId id : needed) {
    const Edge edge = manifest.edge(id);
    if (edge.is_phony()) continue;
    EXPECT_TRUE(log.entries.contains(std::string(manifest.path(edge.explicit_outputs.front()))));
  }
}

TEST_F(RealBuild, logs_that_we_write_leave_ninja_nothing_to_do) {
  EXPECT_THAT(explain(), HasSubstr("no work to do"));
  ASSERT_OK(BuildLog log, load_build_log(build()));
  ASSERT_OK(DepsLog deps, DepsLog::load(build()));
  ASSERT_GOOD(save(log, build()));
  ASSERT_GOOD(deps.save(build()));
  EXPECT_EQ(explain(), "ninja: no work to do.\n");
  ASSERT_OK(const BuildLog same_log, load_build_log(build()));
  EXPECT_EQ(same_log.entries, log.entries);
  EXPECT_FALSE(fs::exists(build() / ".ninja_log.recompact"));

  // And Ninja believes them: it does the edges again whose entries we spoil.
  log.entries.at("libpart.a").command_hash ^= 1;
  deps.erase("CMakeFiles/program.dir/main.c.o");
  ASSERT_GOOD(save(log, build()));
  ASSERT_GOOD(deps.save(build()));
  EXPECT_THAT(explain(), testing::AllOf(HasSubstr("command line changed for libpart.a"),
                                        HasSubstr("deps for 'CMakeFiles/program.dir/main.c.o' are missing")));
}

TEST_F(RealBuild, the_deps_log_has_the_headers_that_gcc_reported) {
  ASSERT_OK(const DepsLog deps, DepsLog::load(build()));
  const DepsLog::Deps* const found = deps.find("CMakeFiles/part.dir/part.c.o");
  ASSERT_NE(found, nullptr);
  std::string listing = fmt::format("CMakeFiles/part.dir/part.c.o: #deps {}, deps mtime {} (VALID)\n",
                                    found->paths.size(), found->mtime_ns);
  for (const DepsLog::PathId path : found->paths) listing += fmt::format("    {}\n", deps.path(path));
  EXPECT_EQ(samples::ninja(build(), {"-t", "deps", "CMakeFiles/part.dir/part.c.o"}).out, listing + "\n");
  EXPECT_THAT(listing, HasSubstr("/part.h\n"));
}

}  // namespace
}  // namespace sb::ninja
