// selfbuild init: a new project from a template, or the first selfbuild.yaml of a CMake project. Writes, runs
// nothing.
#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/suggestion.h"
#include "base/text.h"
#include "os/file_system.h"
#include "project/rules.h"
#include "staging-templates/templates.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/starter_manifest.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string template_name;
  std::string name;
  std::string directory;
};

struct NewFile {
  fs::path path;  // relative to the project
  std::string text;
  bool executable = false;
};

std::vector<std::string> template_names() {
  std::vector<std::string> names;
  for (const templates::TemplateFile& file : templates::template_files()) {
    const std::string name(file.template_name);
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

Result<std::vector<NewFile>> from_template(const std::string& wanted, const std::string& name) {
  std::vector<NewFile> files;
  for (const templates::TemplateFile& file : templates::template_files()) {
    if (file.template_name != wanted) continue;
    files.push_back({.path = templates::fill(file.path, name),
                     .text = templates::fill(file.content, name),
                     .executable = file.executable});
  }
  if (!files.empty()) return files;
  const std::vector<std::string> known = template_names();
  const auto near = nearest(wanted, known);
  Error error =
      make_error(ErrorKind::usage, fmt::format("there is no template {}", wanted),
                 "selfbuild init --template " + near.value_or(known.empty() ? "service" : known.front()));
  error.expected = join(known, " or ");
  error.found = wanted;
  return fail(std::move(error));
}

Result<std::vector<NewFile>> for_existing(const fs::path& root, const std::string& name) {
  const Result<std::string> lists = os::read_file(root / "CMakeLists.txt");
  if (!lists) {
    if (lists.error().kind != ErrorKind::not_found) return fail(lists.error());
    return fail(ErrorKind::usage,
                fmt::format("{} has no CMakeLists.txt: name a template to start from ({})", root.string(),
                            join(template_names(), ", ")),
                "selfbuild init --template service");
  }
  const std::string presets = os::read_file(root / "CMakePresets.json").value_or(std::string());
  return std::vector<NewFile>{{.path = std::string(project::kFileName),
                               .text = starter_manifest(name, *lists, presets),
                               .executable = false}};
}

// Nothing is overwritten, and nothing written before it is known that nothing would be.
Status refuse_to_overwrite(const fs::path& root, const std::vector<NewFile>& files) {
  for (const NewFile& file : files) {
    struct stat there{};
    if (::lstat((root / file.path).c_str(), &there) != 0) continue;
    const bool project = file.path == fs::path(project::kFileName);
    return fail(ErrorKind::conflict,
                fmt::format("{} exists already; nothing was written", (root / file.path).string()),
                project ? "selfbuild update" : "selfbuild init --template service NEW-FOLDER");
  }
  return {};
}

Status write_new(const fs::path& path, const NewFile& file) {
  SB_CHECK(os::make_folders(path.parent_path()));
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           file.executable ? 0755 : 0644));
  if (!fd) return fail(errno_error(fmt::format("cannot create {}", path.string())));
  std::string_view rest = file.text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(fmt::format("cannot write {}", path.string())));
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

std::string next_commands(const fs::path& root, const fs::path& here, const std::vector<NewFile>& files) {
  std::string text = "\nnext:\n";
  if (root != here) text += fmt::format("  cd {}\n", root.lexically_proximate(here).string());
  const Result<staging::Repository> repository = staging::Repository::open(root);
  std::error_code code;
  const bool has_repository = repository && fs::equivalent(repository->root(), root, code);
  if (!has_repository) text += "  git init -b main\n";
  text += files.size() == 1 && has_repository ? fmt::format("  git add {}\n", files.front().path.string())
                                              : std::string("  git add -A\n");
  return text + "  git commit -m \"Start with selfbuild\"\n  selfbuild update";
}

Result<int> run(Program& program, const Options& options) {
  const fs::path here = program.directory().lexically_normal();
  fs::path root = (options.directory.empty() ? here : here / options.directory).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // "hello/" is the folder hello
  const std::string name = options.name.empty() ? name_from(root.filename().string()) : options.name;
  if (const std::string wrong = project::rule_name(name); !wrong.empty()) {
    return fail(ErrorKind::usage, fmt::format("the name {} {}", name, wrong),
                "selfbuild init --name " + name_from(name));
  }
  SB_TRY(const std::vector<NewFile> files, options.template_name.empty()
                                               ? for_existing(root, name)
                                               : from_template(options.template_name, name));
  SB_CHECK(refuse_to_overwrite(root, files));
  for (const NewFile& file : files) {
    SB_CHECK(write_new(root / file.path, file));
    Console::data(file.path.string() + '\n');
  }
  Console::say(next_commands(root, here, files));
  return kDone;
}

}  // namespace

void add_init(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "init", "Update",
      {.sentence = "Start a project from a template, or write its selfbuild.yaml.",
       .examples = {{"selfbuild init --template service hello",
                     "a small HTTP service in the new folder hello"},
                    {"selfbuild init --template tool --name greet", "a command-line tool in this folder"},
                    {"selfbuild init", "in a folder with a CMakeLists.txt: a commented selfbuild.yaml"}},
       .changes = "the new files, which it lists; nothing is overwritten and nothing is run",
       .exits = {kDone, kRefused, kUsage}},
      [&program, options] { return run(program, *options); });
  command.add_option("DIR", options->directory, "The folder (default: this one)")->type_name("");
  command.add_option("--template", options->template_name, "What to start from")
      ->type_name("service|counter|tool");
  command.add_option("--name", options->name, "The project's name (default: the folder's)")
      ->type_name("NAME");
}

}  // namespace sb::tool
