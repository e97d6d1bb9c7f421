// Manifests written by hand: what each piece of syntax means, and what is refused, at which line.
#include "ninja/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::ninja {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kRule = "rule cc\n  command = cc $in -o $out\n";

class ManifestFile : public testing::Test {
 protected:
  void file(const std::string& name, std::string_view text) { tests::write(folder_.path() / name, text); }
  Result<Manifest> load(std::string_view text) {
    file("build.ninja", text);
    return Manifest::load(folder_.path());
  }
  // The error of a manifest that starts with kRule, so that `text` is line 3 and on.
  std::string error(std::string_view text, ErrorKind kind = ErrorKind::corrupt) {
    const Result<Manifest> loaded = load(std::string(kRule) + std::string(text));
    if (loaded) return "loaded";
    EXPECT_EQ(loaded.error().kind, kind) << format_error(loaded.error());
    return loaded.error().what;
  }
  // The command of the edge that makes `output`, after kRule.
  std::string command(std::string_view text, std::string_view output = "out") {
    const Result<Manifest> manifest = load(std::string(kRule) + std::string(text));
    if (!manifest) return one_line(manifest.error());
    const auto node = manifest->find(output);
    return node ? manifest->value(manifest->producer(*node), "command") : "no such output";
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

std::vector<std::string> names(const Manifest& manifest, std::span<const NodeId> nodes) {
  std::vector<std::string> names;
  for (const NodeId node : nodes) names.emplace_back(manifest.path(node));
  return names;
}

// The first outputs of the edges that a build needs, in order.
std::vector<std::string> needed(const Manifest& manifest, const std::vector<std::string>& targets) {
  const auto edges = manifest.needed(targets);
  if (!edges) return {one_line(edges.error())};
  std::vector<std::string> result;
  for (const EdgeId edge : *edges)
    result.emplace_back(manifest.path(manifest.edge(edge).explicit_outputs.front()));
  return result;
}

TEST_F(ManifestFile, an_empty_file_has_no_edges) {
  ASSERT_OK(const Manifest manifest, load(""));
  EXPECT_EQ(manifest.edge_count(), 0U);
  EXPECT_THAT(needed(manifest, {}), IsEmpty());
  EXPECT_EQ(manifest.builddir(), "");
}

TEST_F(ManifestFile, the_parts_of_a_build_statement) {
  ASSERT_OK(const Manifest manifest,
            load("rule r\n command = c\nbuild a b | c: r d e | f || g h |@ i\nbuild i: phony\n"));
  ASSERT_EQ(manifest.edge_count(), 2U);
  const Edge edge = manifest.edge(0);
  EXPECT_EQ(edge.rule, "r");
  EXPECT_FALSE(edge.is_phony());
  EXPECT_THAT(names(manifest, edge.explicit_outputs), ElementsAre("a", "b"));
  EXPECT_THAT(names(manifest, edge.implicit_outputs), ElementsAre("c"));
  EXPECT_THAT(names(manifest, edge.explicit_inputs), ElementsAre("d", "e"));
  EXPECT_THAT(names(manifest, edge.implicit_inputs), ElementsAre("f"));
  EXPECT_THAT(names(manifest, edge.order_only_inputs), ElementsAre("g", "h"));
  EXPECT_THAT(names(manifest, edge.validations), ElementsAre("i"));
  EXPECT_TRUE(manifest.edge(1).is_phony());
  EXPECT_EQ(manifest.producer(*manifest.find("c")), 0U);
  EXPECT_EQ(manifest.producer(*manifest.find("d")), kNoEdge);
  EXPECT_EQ(manifest.find("z"), std::nullopt);
  EXPECT_EQ(manifest.node_count(), 9U);
}

TEST_F(ManifestFile, escapes_and_continued_lines) {
  EXPECT_EQ(command("build out: cc a$ b c$:d e$$f $\n    g$\n  h\n"), "cc 'a b' 'c:d' 'e$f' gh -o out");
  EXPECT_EQ(command("x = 1 # not a comment\nrule r\n  command = a $x $$ $\n      b:|c\nbuild out: r\n"),
            "a 1 # not a comment $ b:|c");
  EXPECT_EQ(command("build out: cc it's\n"), "cc 'it'\\''s' -o out");
}

TEST_F(ManifestFile, comments_blank_lines_and_carriage_returns) {
  EXPECT_EQ(command("# one\n\n   \n  # two\r\nx = 1\r\nbuild out: cc a $\r\n  b\r\n  # three\n  y = 2\r\n"),
            "cc a b -o out");
}

TEST_F(ManifestFile, variables_are_evaluated_where_they_stand_and_rules_at_the_end) {
  EXPECT_EQ(command("x = 1\ny = $x\nrule r\n  command = $x ${y} $z.q $none|\nbuild out: r\n"
                    "x = 2\nz = 3\n"),
            "2 1 3.q |");
  EXPECT_EQ(command("x = 1\nrule r\n  command = $x\nbuild out: r\n  x = $x$x\nx = 2\n"), "11");
  EXPECT_EQ(command("a.b = 1\nrule r\n  command = ${a.b} $a.b\nbuild out: r\n"), "1 .b");
}

TEST_F(ManifestFile, paths_see_the_bindings_of_their_edge) {
  EXPECT_EQ(command("d = x\nbuild out: cc $d/a\n  d = y\n"), "cc y/a -o out");
}

TEST_F(ManifestFile, a_rule_variable_may_use_another) {
  EXPECT_EQ(command("rule r\n  depfile = $out.d\n  command = cc -MF $depfile $depfile\nbuild out: r\n"),
            "cc -MF out.d out.d");
  EXPECT_EQ(command("rule r\n  depfile = $out.d\n  command = cc -MF $depfile\nbuild out: r\n  depfile = z\n"),
            "cc -MF z");
}

TEST_F(ManifestFile, an_edge_without_bindings_sees_its_file_before_its_rule) {
  const std::string head = "depfile = file\nrule r\n  depfile = rule\n  command = $depfile\n";
  EXPECT_EQ(command(head + "build out: r\n"), "file");
  EXPECT_EQ(command(head + "build out: r\n  x = 1\n"), "rule");
}

TEST_F(ManifestFile, quotes_for_a_shell_only_what_a_shell_reads) {
  ASSERT_OK(const Manifest manifest,
            load("rule r\n  command = c $in_newline\n  depfile = $out.d\n  rspfile = $out.rsp\n"
                 "  rspfile_content = $in\nbuild a$ b: r c$ d e+f\n"));
  EXPECT_EQ(manifest.value(0, "depfile"), "a b.d");
  EXPECT_EQ(manifest.value(0, "rspfile"), "a b.rsp");
  EXPECT_EQ(manifest.value(0, "rspfile_content"), "'c d' e+f");
  EXPECT_EQ(manifest.value(0, "command"), "c 'c d'\ne+f");
  EXPECT_EQ(manifest.logged_command(0), "c 'c d'\ne+f;rspfile='c d' e+f");
  EXPECT_EQ(manifest.value(0, "restat"), "");
}

TEST_F(ManifestFile, included_files_share_a_scope_and_subninjas_have_their_own) {
  file("sub/a.ninja", "x = sub\nrule r\n  command = $x $y\nbuild sub: r\nbuild sub2: cc in\n");
  file("b.ninja", "y = included\n");
  ASSERT_OK(const Manifest manifest,
            load(std::string(kRule) + "x = top\nname = sub/a\nsubninja ${name}.ninja\ninclude b.ninja\n"
                                      "rule r\n  command = $x $y\nbuild top: r\n"));
  const auto command_of = [&](std::string_view output) {
    return manifest.value(manifest.producer(*manifest.find(output)), "command");
  };
  EXPECT_EQ(command_of("sub"), "sub included");
  EXPECT_EQ(command_of("sub2"), "cc in -o sub2");
  EXPECT_EQ(command_of("top"), "top included");
  EXPECT_THAT(manifest.files(), ElementsAre("build.ninja", "sub/a.ninja", "b.ninja"));
}

TEST_F(ManifestFile, builddir_is_what_it_is_at_the_end) {
  file("a.ninja", "builddir = other\n");
  ASSERT_OK(const Manifest manifest, load("builddir = a\nsubninja a.ninja\nbuilddir = $builddir/b\n"));
  EXPECT_EQ(manifest.builddir(), "a/b");
}

TEST_F(ManifestFile, paths_are_canonical) {
  ASSERT_OK(const Manifest manifest, load("build ./a//b/../c: phony d/. ../e /f/../g ./../h\n"));
  EXPECT_THAT(names(manifest, manifest.edge(0).explicit_outputs), ElementsAre("a/c"));
  EXPECT_THAT(names(manifest, manifest.edge(0).explicit_inputs), ElementsAre("d", "../e", "/g", "../h"));
}

TEST(CanonicalPath, is_that_of_ninja) {
  for (const auto& [path, canonical] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"a", "a"},
                                                        {"a/", "a"},
                                                        {".", "."},
                                                        {"./", "."},
                                                        {"a/..", "."},
                                                        {"a/../b/./c//d", "b/c/d"},
                                                        {"..", ".."},
                                                        {"../", ".."},
                                                        {"../../a/../b", "../../b"},
                                                        {"a/../../b", "../b"},
                                                        {"/", ""},
                                                        {"/a/..", ""},
                                                        {"/..", "/.."},
                                                        {"/../a", "/../a"},
                                                        {"//a", "/a"},
                                                        {".a/..b/...", ".a/..b/..."}}) {
    EXPECT_EQ(canonical_path(path), canonical) << path;
  }
}

TEST_F(ManifestFile, needed_edges_come_after_what_makes_their_inputs) {
  ASSERT_OK(const Manifest manifest, load("rule r\n  command = c\n"
                                          "build all: phony b\nbuild b: r a | c || d\nbuild a: r s\n"
                                          "build c: r a\nbuild d: r s\nbuild other: r d\n"));
  EXPECT_THAT(needed(manifest, {"b"}), ElementsAre("a", "c", "d", "b"));
  EXPECT_THAT(needed(manifest, {"./x/../c", "d"}), ElementsAre("a", "c", "d"));
  EXPECT_THAT(needed(manifest, {}), ElementsAre("a", "c", "d", "b", "all", "other"));
  EXPECT_THAT(needed(manifest, {"s"}), IsEmpty());
  EXPECT_THAT(needed(manifest, {"nobody"}), ElementsAre("unknown target 'nobody'"));
  EXPECT_ERROR(ErrorKind::not_found, manifest.needed(std::vector<std::string>{"nobody"}));
}

TEST_F(ManifestFile, defaults_replace_the_roots) {
  ASSERT_OK(const Manifest manifest, load("build a: phony\nbuild b: phony\nx = b\ndefault ./$x\n"));
  EXPECT_THAT(names(manifest, manifest.defaults()), ElementsAre("b"));
  EXPECT_THAT(needed(manifest, {}), ElementsAre("b"));
}

TEST_F(ManifestFile, what_validates_a_needed_edge_is_needed_too) {
  ASSERT_OK(const Manifest manifest, load("build a: phony |@ check\nbuild check: phony a tool\n"
                                          "build tool: phony\n"));
  EXPECT_THAT(needed(manifest, {"a"}), ElementsAre("a", "tool", "check"));
}

TEST_F(ManifestFile, a_cycle_is_named) {
  ASSERT_OK(const Manifest manifest, load("build a a2: phony b\nbuild b: phony c\nbuild c: phony a2\n"));
  EXPECT_THAT(needed(manifest, {"a"}), ElementsAre("dependency cycle: a2 -> b -> c -> a2"));
  EXPECT_ERROR(ErrorKind::corrupt, manifest.needed({}));
}

TEST_F(ManifestFile, a_phony_edge_that_names_itself_loses_that_input) {
  ASSERT_OK(const Manifest manifest, load("build a: phony a b || c |@ a d\nbuild e: phony f || e g\n"));
  EXPECT_THAT(names(manifest, manifest.edge(0).explicit_inputs), ElementsAre("b"));
  EXPECT_THAT(names(manifest, manifest.edge(0).order_only_inputs), ElementsAre("c"));
  EXPECT_THAT(names(manifest, manifest.edge(0).validations), ElementsAre("a", "d"));
  // As Ninja has it: there were two order-only inputs, so the last two still are.
  EXPECT_THAT(names(manifest, manifest.edge(1).explicit_inputs), IsEmpty());
  EXPECT_THAT(names(manifest, manifest.edge(1).order_only_inputs), ElementsAre("f", "g"));
}

TEST_F(ManifestFile, a_chain_of_a_hundred_thousand_edges_is_no_deep_recursion) {
  std::string text;
  for (int i = 0; i < 100'000; ++i)
    text += "build n" + std::to_string(i) + ": phony n" + std::to_string(i + 1) + "\n";
  ASSERT_OK(const Manifest manifest, load(text));
  ASSERT_OK(const std::vector<EdgeId> edges, manifest.needed({}));
  EXPECT_EQ(edges.size(), 100'000U);
  EXPECT_EQ(edges.front(), 99'999U);
}

TEST_F(ManifestFile, errors_name_file_and_line) {
  EXPECT_EQ(error("x 3\n"), "build.ninja:3: expected '=', found a name");
  EXPECT_EQ(error("\n\nx = $-\n"), "loaded");
  EXPECT_EQ(error("\n\nx = $;\n"), "build.ninja:5: bad $-escape (a literal $ is written as $$)");
  EXPECT_EQ(error("x = ${a\n"), "build.ninja:3: bad $-escape (a literal $ is written as $$)");
  EXPECT_EQ(error("x = 1"), "build.ninja:3: the file ends inside a line");
  EXPECT_EQ(error("x = 1\r2\n"), "build.ninja:3: a carriage return inside a line");
  EXPECT_EQ(error("# a comment that does not end"), "build.ninja:3: lexing error");
  EXPECT_EQ(error("\tx = 1\n"), "build.ninja:3: tabs are not allowed, use spaces");
  EXPECT_EQ(error("\n  x = 1\n"), "build.ninja:4: unexpected an indented line");
  EXPECT_EQ(error("build a cc\n"),
            "build.ninja:3: expected ':', found the end of the line ($ also escapes ':')");
  EXPECT_EQ(error("build : cc\n"), "build.ninja:3: expected a path");
  EXPECT_EQ(error("build a: \n"), "build.ninja:3: expected a rule's name");
  EXPECT_EQ(error("build a: dd\n"), "build.ninja:3: unknown rule 'dd'");
  EXPECT_EQ(error("build a: cc b || c | d\n"), "build.ninja:3: expected the end of the line, found '|'");
  EXPECT_EQ(error("build a: cc\nbuild b $\n  ./a: cc\n"), "build.ninja:5: multiple rules generate a");
  EXPECT_EQ(error("build a a: cc\n"), "build.ninja:3: multiple rules generate a");
  EXPECT_EQ(error("build a: cc $none\n"), "build.ninja:3: empty path");
  EXPECT_EQ(error("build a: cc\n  pool = deep\n"), "build.ninja:3: unknown pool 'deep'");
  EXPECT_EQ(error("build a: cc\n  dyndep = dd\n"), "build.ninja:3: dyndep 'dd' is not an input");
  EXPECT_EQ(error("build a: cc\n  x\n"), "build.ninja:4: expected '=', found the end of the line");
  EXPECT_EQ(error("default nobody\n"), "build.ninja:3: unknown target 'nobody'");
  EXPECT_EQ(error("default\n"), "build.ninja:3: expected a target's name");
  EXPECT_EQ(error("rule cc\n  command = c\n"), "build.ninja:3: rule 'cc' is there already");
  EXPECT_EQ(error("rule r\n"), "build.ninja:3: expected 'command =' for the rule");
  EXPECT_EQ(error("rule r\n  command = c\n  x = 1\n"), "build.ninja:5: unexpected variable 'x'");
  EXPECT_EQ(error("rule r\n  command = c\n  rspfile = x\n"),
            "build.ninja:3: rspfile and rspfile_content go together");
  EXPECT_EQ(error("pool p\n"), "build.ninja:3: expected 'depth =' for the pool");
  EXPECT_EQ(error("pool p\n  depth = -1\n"), "build.ninja:4: a pool's depth is not negative");
  EXPECT_EQ(error("pool console\n  depth = 1\n"), "build.ninja:3: pool 'console' is there already");
  EXPECT_EQ(error("include\n"), "build.ninja:3: expected a file's name");
}

TEST_F(ManifestFile, errors_in_an_included_file_name_it_and_where_it_is_read) {
  file("a.ninja", "\nx\n");
  const Result<Manifest> loaded = load("\ninclude a.ninja\n");
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().what, "a.ninja:2: expected '=', found the end of the line");
  EXPECT_THAT(loaded.error().while_doing, ElementsAre("build.ninja:2: is read from here"));
}

TEST_F(ManifestFile, files_that_are_not_there_or_no_files) {
  EXPECT_ERROR(ErrorKind::not_found, Manifest::load(folder_.path()));
  EXPECT_ERROR(ErrorKind::not_found, load("include nobody.ninja\n"));
  ASSERT_EQ(::mkfifo((folder_.path() / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::corrupt, load("include pipe\n"));
  EXPECT_ERROR(ErrorKind::corrupt, load("include .\n"));
}

TEST_F(ManifestFile, pools_and_dyndep_are_bindings) {
  ASSERT_OK(const Manifest manifest, load("pool p\n  depth = 2\nrule r\n  command = c\n  pool = $which\n"
                                          "build a: r || dd\n  which = p\n  dyndep = ./dd\n"));
  EXPECT_EQ(manifest.value(0, "pool"), "p");
  EXPECT_EQ(manifest.value(0, "dyndep"), "./dd");
}

TEST_F(ManifestFile, a_newer_language_is_refused) {
  EXPECT_EQ(error("ninja_required_version = 1.11.9\n"), "loaded");
  EXPECT_EQ(error("ninja_required_version = 1.5\n"), "loaded");
  EXPECT_EQ(error("ninja_required_version = 1.12\nsyntax of the future\n", ErrorKind::refused),
            "build.ninja:3: this needs Ninja 1.12, and files for up to 1.11 are known");
  EXPECT_THAT(error("ninja_required_version = 2\n", ErrorKind::refused), HasSubstr("needs Ninja 2"));
}

TEST_F(ManifestFile, files_that_include_each_other_are_refused) {
  EXPECT_THAT(error("include build.ninja\n"), HasSubstr("rule 'cc' is there already"));
  EXPECT_ERROR(ErrorKind::refused, load("include build.ninja\n"));
  EXPECT_ERROR(ErrorKind::refused, load("subninja build.ninja\n"));
  // Sixty levels that each read the next one twice: not deep, but without end.
  for (int i = 0; i < 60; ++i) {
    const std::string next = std::to_string(i + 1);
    file(std::to_string(i), "subninja " + next + "\nsubninja " + next + "\n");
  }
  file("60", "");
  EXPECT_ERROR(ErrorKind::refused, load("include 0\n"));
}

TEST_F(ManifestFile, variables_that_grow_without_end_are_refused) {
  std::string text = "x = 0123456789\n";
  for (int i = 0; i < 60; ++i) text += "x = $x$x\n";
  EXPECT_ERROR(ErrorKind::refused, load(text));
}

TEST_F(ManifestFile, a_rule_whose_variables_name_each_other_is_refused_where_it_is_used) {
  const std::string rule = "rule r\n  command = $depfile\n  depfile = x$command\n";
  EXPECT_EQ(error(rule), "loaded");
  EXPECT_EQ(error(rule + "build a: r\n"), "build.ninja:6: the variables of rule 'r' name each other");
  EXPECT_EQ(command(rule + "build out: r\n  depfile = d\n"), "d");
}

TEST_F(ManifestFile, a_command_of_no_possible_length_has_no_value) {
  std::string text = "rule r\n  command = ";
  constexpr std::string_view kNames[] = {"depfile",   "deps",    "description",     "restat",
                                         "generator", "rspfile", "msvc_deps_prefix"};
  for (const std::string_view name : kNames) {
    for (int i = 0; i < 1000; ++i) text += "${" + std::string(name) + "}";
    text += "\n  " + std::string(name) + " = ";
  }
  text += "x\n  rspfile_content = y\nbuild out: r\n";
  EXPECT_EQ(command(text), "");
}

}  // namespace
}  // namespace sb::ninja
