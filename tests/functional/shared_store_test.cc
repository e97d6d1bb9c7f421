// Two builds of different commits at once, in one home: they share the build cache, and each makes what it
// would have made alone.
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/files.h"
#include "support/installation.h"

namespace sb {
namespace {

namespace fs = std::filesystem;
using tests::Background;
using tests::Finished;
using tests::Installation;

constexpr int kParts = 8;
constexpr std::size_t kProducts = kParts + 3;  // and main.cc, the archive, the program
constexpr int kEdges = static_cast<int>(kProducts);
constexpr int kAttempts = 20;

class SharedStore : public testing::Test {
 protected:
  void SetUp() override {
    std::string sources;
    for (int i = 0; i < kParts; ++i) {
      sources += fmt::format(" part{}.cc", i);
      write(fmt::format("part{}.cc", i),
            fmt::format("#include <string>\n#include \"parts.h\"\nstd::string part{0}() {{ return "
                        "std::string(base, '{0}'); }}\n",
                        i));
    }
    write("parts.h", "constexpr int base = 40;\n");
    write("main.cc", "#include \"parts.h\"\nint main() { return base - 40; }\n");
    write("CMakeLists.txt",
          "cmake_minimum_required(VERSION 3.25)\nproject(shared CXX)\nadd_library(parts STATIC" + sources +
              ")\nadd_executable(program main.cc)\ntarget_link_libraries(program parts)\n");
    write("selfbuild.yaml",
          "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: shared}\nspec:\n  build:\n    outputs: "
          "[program]\n---\napiVersion: selfbuild/v1\nkind: Service\nmetadata: {name: shared}\nspec:\n  "
          "command: [program]\n  swap: drain-first\n");
    (void)host_.git({"init", "--quiet", "--initial-branch", "main"});
    commit("first");
    host_.edit("part3.cc", "'3'", "'x'");
    commit("second");
    host_.edit("parts.h", "40", "41");
    commit("third");
    host_.edit("part5.cc", "part5", "piece5");
    commit("fourth");
  }
  void write(const std::string& path, const std::string& text) const {
    tests::write(host_.repository() / path, text);
  }
  void commit(const std::string& name) {
    host_.commit(name);
    std::string id = host_.git({"rev-parse", "HEAD"}).out;
    id.pop_back();
    commits_.push_back(std::move(id));
  }

  struct Built {
    Json report;
    std::map<std::string, std::string> files;  // bytes by path
  };
  static Json report_of(const Finished& finished) {
    EXPECT_EQ(finished.code, 0) << finished.all();
    return parse_json(finished.out).value_or(Json{{"build", ""}});
  }
  static Built read(Json report) {
    const fs::path folder = report["build"].get<std::string>();
    Built built{.report = std::move(report), .files = {}};
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().lexically_relative(folder).string();
      const bool made = path.ends_with(".cc.o") && path.find(".dir/") != std::string::npos;
      if (made || path == "libparts.a" || path == "program") built.files[path] = tests::read(entry.path());
    }
    EXPECT_EQ(built.files.size(), kProducts);
    return built;
  }
  // One after the other they would share a stage: then the first had ended before the second began, and both
  // are started once more.
  std::array<Built, 2> build_at_once(const std::string& first, const std::string& second) {
    std::array<Json, 2> reports;
    for (int attempt = 0; attempt < kAttempts && reports[0] == reports[1]; ++attempt) {
      Background one = host_.selfbuild_in_background({"build", first, "--json"});
      Background other = host_.selfbuild_in_background({"build", second, "--json"});
      reports = {report_of(one.wait()), report_of(other.wait())};
      if (reports[0]["build"] == reports[1]["build"]) reports = {};
    }
    if (reports[0] == reports[1]) {
      ADD_FAILURE() << "two builds were never under way at once";
      return {};
    }
    return {read(reports[0]), read(reports[1])};
  }
  // In a home of its own.
  Built build_alone(const std::string& commit) {
    const tests::Environment before = host_.environment;
    host_.environment["SELFBUILD_HOME"] = (host_.scratch() / ("alone-" + commit)).string();
    Built built = read(report_of(host_.selfbuild({"build", commit, "--json"})));
    host_.environment = before;
    return built;
  }

  Installation host_;
  std::vector<std::string> commits_;
};

TEST_F(SharedStore, gives_two_builds_at_once_what_each_makes_alone) {
  std::map<std::string, Built> alone;
  for (const std::string& commit : commits_) alone[commit] = build_alone(commit);
  const std::pair<int, int> rounds[] = {{0, 1}, {2, 3}, {1, 2}, {3, 0}, {0, 0}, {2, 1}};
  std::size_t compared = 0;
  for (const auto& [left, right] : rounds) {
    const std::string& first = commits_[static_cast<std::size_t>(left)];
    const std::string& second = commits_[static_cast<std::size_t>(right)];
    const std::array<Built, 2> built = build_at_once(first, second);
    if (HasFailure()) return;
    EXPECT_EQ(built[0].files, alone[first].files) << left;
    EXPECT_EQ(built[1].files, alone[second].files) << right;
    for (const Built& each : built) {
      EXPECT_EQ(each.report["edges_total"], kEdges);
      EXPECT_GE(each.report["cache_lock_wait_ms"], 0);
      compared += each.files.size();
    }
  }
  EXPECT_EQ(compared, std::size(rounds) * 2 * kProducts);
  EXPECT_NE(alone[commits_[0]].files, alone[commits_[1]].files) << "the commits differ in what they make";

  // What any of them made, all have.
  for (const std::string& commit : commits_) {
    const Built again = read(report_of(host_.selfbuild({"build", commit, "--json"})));
    if (again.report["cache_note"] != "") continue;  // this host gives stages no common path
    EXPECT_EQ(again.report["edges_run"], 0) << commit;
    EXPECT_EQ(again.report["edges_cached"], kEdges);
  }
}

}  // namespace
}  // namespace sb
