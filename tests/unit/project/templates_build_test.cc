// Every template builds as `selfbuild update` would build it, with warnings as errors, and passes its own
// tests.
#include <gtest/gtest.h>

#include "build/builder.h"
#include "project/project_file.h"
#include "sandbox/run.h"
#include "staging-templates/templates.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::templates {
namespace {

class TemplateBuild : public testing::TestWithParam<const char*> {};

TEST_P(TemplateBuild, builds_without_warnings_and_passes_its_tests) {
  const auto folder = tests::temporary_folder();
  build::BuildRequest request;
  request.source = folder.path() / "tree";
  request.build = folder.path() / "build";
  request.log = folder.path() / "log";
  for (const TemplateFile& file : template_files()) {
    if (file.template_name != GetParam()) continue;
    tests::write(request.source / fill(file.path, "hello-world"), fill(file.content, "hello-world"));
  }
  ASSERT_OK(const project::ProjectFile project,
            project::parse_project_file(tests::read(request.source / project::kFileName), GetParam()));
  request.preset = project.build.preset;
  request.options = {"-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"};
  request.envelope = project.build.envelope;
  ASSERT_OK(const build::BuildReport report, build::build(request, {}));
  EXPECT_TRUE(report.warnings.empty()) << report.warnings.front().message;
  for (const std::string& output : project.build.outputs) {
    EXPECT_TRUE(std::filesystem::exists(request.build / output)) << output;
  }

  const sandbox::Command command{.argv = {"ctest", "--output-on-failure", "--no-tests=error"},
                                 .environment = sandbox::clean_environment(folder.path().string()),
                                 .directory = request.build.string(),
                                 .sockets = {},
                                 .socket_names = {}};
  std::string output;
  ASSERT_OK(const sandbox::Report tested,
            sandbox::run(command, project.test.envelope, [&](std::string_view piece) { output += piece; }));
  EXPECT_TRUE(tested.ok()) << tested.to_string() << "\n" << output;
}

INSTANTIATE_TEST_SUITE_P(All, TemplateBuild, testing::Values("counter", "service", "tool"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace sb::templates
