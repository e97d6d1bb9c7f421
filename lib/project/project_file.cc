// The documents of selfbuild.yaml: one Project, and the Services that its versions can run as.
#include "project/project_file.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <unistd.h>

#include "project/fields.h"
#include "project/rules.h"
#include "project/service_reader.h"
#include "project/yaml_tree.h"

namespace sb::project {
namespace {

enum class DocumentKind { project, service };

constexpr std::string_view kApiVersion = "selfbuild/v1";
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kMostProcesses = 4'194'304;  // the largest pid_max of Linux

std::uint64_t three_quarters_of_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 2048 * kMiB;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) / 4 * 3;
}

ProjectFile with_defaults() {
  ProjectFile project;
  project.build.envelope.memory_bytes = three_quarters_of_memory();
  project.build.envelope.processes = 4096;
  project.build.envelope.wall = std::chrono::minutes(30);
  project.test.envelope.memory_bytes = 2048 * kMiB;
  project.test.envelope.processes = 512;
  project.test.envelope.wall = std::chrono::minutes(10);
  // More than any log that a person reads: what prints without end must not fill the disk that holds the
  // state.
  for (sandbox::Envelope* envelope : {&project.build.envelope, &project.test.envelope, &project.candidate}) {
    envelope->output_bytes = 64 * kMiB;
  }
  project.candidate.memory_bytes = 256 * kMiB;
  project.candidate.processes = 64;
  return project;
}

void read_limits(Fields& fields, sandbox::Envelope& envelope) {
  fields.bytes("memory", envelope.memory_bytes);
  fields.count("processes", envelope.processes, kMostProcesses);
  fields.bytes("log", envelope.output_bytes);
  std::optional<std::chrono::milliseconds> cpu;
  fields.duration("cpu", cpu);
  if (cpu) envelope.cpu = std::chrono::ceil<std::chrono::seconds>(*cpu);
}

void read_cache(Fields& fields, cache::RemoteSettings& cache) {
  fields.require("remote");
  fields.text("remote", cache.url);
  // Not by a rule: its complaint would show the text, and there may be a password in that.
  if (const std::string complaint = rule_remote(cache.url); !cache.url.empty() && !complaint.empty())
    fields.wrong("remote", "\"remote\" " + complaint);
  fields.truth("write", cache.write);
  fields.text("secret_environment", cache.secret_environment, rule_secret_variable);
  fields.text("secret_file", cache.secret_file, rule_absolute_path);
  if (fields.has("secret_environment") && fields.has("secret_file"))
    fields.wrong("secret_file", R"(cache has both "secret_environment" and "secret_file"; keep one)");
}

void read_build(Fields& fields, ProjectFile& project) {
  auto& build = project.build;
  fields.text("preset", build.preset, rule_word);
  fields.list("options", build.options, rule_cmake_option);
  fields.list("targets", build.targets, rule_word);
  fields.require("outputs");
  fields.list("outputs", build.outputs, rule_relative_path, Fields::Size::filled);
  fields.section("cache", [&](Fields& cache) { read_cache(cache, build.cache); });
  fields.duration("timeout", build.envelope.wall);
  read_limits(fields, build.envelope);
  for (std::string& output : build.outputs) {
    output = std::filesystem::path(output).lexically_normal().string();
    if (output.ends_with('/')) output.pop_back();
  }
  std::vector<std::string> sorted = build.outputs;
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
    fields.wrong("outputs", fmt::format("\"{}\" is listed twice in outputs", *twice));
  }
}

void read_test(Fields& fields, ProjectFile& project) {
  fields.list("ctest", project.test.ctest, rule_not_empty);
  fields.list("command", project.test.command, {}, Fields::Size::filled);
  fields.duration("timeout", project.test.envelope.wall);
  read_limits(fields, project.test.envelope);
  if (fields.has("command") && fields.has("ctest")) {
    fields.wrong("command", R"(test has both "ctest" and "command"; keep one)");
  }
}

void read_rollout(Fields& fields, Rollout& rollout) {
  std::vector<std::string> steps;
  int least = 1;
  fields.list("canary", steps, [&](const std::string& text) -> std::string {
    int percent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || percent < least || percent > 99)
      return "is no step of a canary: percentages that ascend from 1 to 99";
    least = percent + 1;
    rollout.canary.push_back(percent);
    return "";
  });
  fields.duration("canary_step", rollout.canary_step, std::chrono::milliseconds(100));
  fields.duration("bake", rollout.bake, std::chrono::milliseconds(0));
}

void read_project(Fields& spec, ProjectFile& project) {
  spec.text("branch", project.branch, rule_branch);
  spec.text("schedule", project.schedule, rule_schedule);
  spec.require("build");
  spec.section("build", [&](Fields& build) { read_build(build, project); });
  spec.section("test", [&](Fields& test) { read_test(test, project); });
  spec.section("candidate", [&](Fields& candidate) { read_limits(candidate, project.candidate); });
  spec.section("rollout", [&](Fields& rollout) { read_rollout(rollout, project.rollout); });
}

// Collects the documents of one file, and what they may not be together.
class Reader {
 public:
  explicit Reader(Findings& findings) : findings_(findings) {}

  void read(const YamlNode& document) {
    if (document.kind != YamlNode::Kind::mapping) {
      findings_.add(document.at,
                    fmt::format("a document must be a mapping, not {}", describe(document.kind)));
      return;
    }
    Fields fields(document, "document", findings_);
    std::string name;
    fields.require("apiVersion");
    fields.text("apiVersion", name, [](const std::string& version) {
      return version == kApiVersion ? "" : fmt::format("is not a known version; write {}", kApiVersion);
    });
    const std::optional<DocumentKind> kind = read_kind(fields);
    name.clear();
    fields.require("metadata");
    fields.section("metadata", [&](Fields& metadata) {
      metadata.require("name");
      metadata.text("name", name, rule_name);
    });
    fields.require("spec");
    if (!kind) {
      (void)fields.find("spec");  // its keys have no meaning without a kind
      return;
    }
    fields.section("spec", [&](Fields& body) {
      if (*kind == DocumentKind::project) {
        add_project(document, body, name);
      } else {
        add_service(document, body, name);
      }
    });
  }

  [[nodiscard]] bool has_project() const { return project_at_.has_value(); }
  [[nodiscard]] ProjectFile take() { return std::move(project_); }

 private:
  static std::optional<DocumentKind> read_kind(Fields& fields) {
    static const std::array<std::pair<std::string, std::optional<DocumentKind>>, 2> kKinds = {
        {{"Project", DocumentKind::project}, {"Service", DocumentKind::service}}};
    std::optional<DocumentKind> kind;
    fields.require("kind");
    fields.choice<std::optional<DocumentKind>>("kind", kind, kKinds);
    return kind;
  }

  void add_project(const YamlNode& document, Fields& spec, const std::string& name) {
    ProjectFile ignored;
    const bool second = project_at_.has_value();
    if (second) {
      findings_.add(document.at, fmt::format("a second Project; the first is on line {}", project_at_->line));
    } else {
      project_at_ = document.at;
      project_.name = name;
    }
    read_project(spec, second ? ignored : project_);
  }

  void add_service(const YamlNode& document, Fields& spec, const std::string& name) {
    supervise::ServiceSpec service;
    service.name = name;
    read_service(spec, service);
    if (!name.empty() && std::ranges::find(project_.services, name, &supervise::ServiceSpec::name) !=
                             project_.services.end()) {
      findings_.add(document.at, fmt::format("a second Service named \"{}\"", name));
    }
    project_.services.push_back(std::move(service));
  }

  Findings& findings_;
  ProjectFile project_ = with_defaults();
  std::optional<Position> project_at_;
};

}  // namespace

Result<ProjectFile> parse_project_file(std::string_view text, const std::string& file) {
  SB_TRY(const std::vector<YamlNode> documents, parse_yaml(text, file));
  Findings findings(file);
  Reader reader(findings);
  for (const YamlNode& document : documents) reader.read(document);
  if (findings.empty() && !reader.has_project()) findings.add({}, "no document of kind Project");
  if (!findings.empty()) return fail(findings.error());
  return reader.take();
}

Result<std::filesystem::path> find_project(const std::filesystem::path& from) {
  std::error_code code;
  const std::filesystem::path start = std::filesystem::absolute(from, code).lexically_normal();
  for (std::filesystem::path folder = start;; folder = folder.parent_path()) {
    if (std::filesystem::is_regular_file(folder / kFileName, code)) return folder;
    if (folder == folder.parent_path()) break;
  }
  return fail(ErrorKind::not_found,
              fmt::format("no {} in {} or a folder above it", kFileName, start.string()), "selfbuild init");
}

}  // namespace sb::project
