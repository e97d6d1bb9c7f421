// Every mistake that selfbuild.yaml can have, with the exact words a person reads.
#include <gtest/gtest.h>

#include "project/project_file.h"

namespace sb::project {
namespace {

struct BadDocument {
  const char* name;
  std::string text;
  std::string error;  // without "f.yaml:"
};

// A Project whose spec is the given lines; they begin on line 5.
std::string project(const std::string& spec) {
  return "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: hello}\nspec:\n" + spec;
}
std::string build(const std::string& line) {
  return project("  build:\n    outputs: [hello]\n    " + line + "\n");
}
std::string test(const std::string& line) {
  return project("  build: {outputs: [hello]}\n  test:\n    " + line + "\n");
}
// A Service after a good Project; its spec begins with a command on line 10 and one socket on line 11.
std::string service_of(const std::string& spec) {
  return project("  build: {outputs: [hello]}\n") +
         "---\napiVersion: selfbuild/v1\nkind: Service\nmetadata: {name: web}\nspec:\n" + spec;
}
std::string service(const std::string& line) {
  return service_of("  command: [hello]\n  sockets: [{name: http, listen: \"127.0.0.1:80\"}]\n  " + line +
                    "\n");
}

const std::vector<BadDocument>& bad_documents() {
  static const std::vector<BadDocument> kList = {
      // The document.
      {"empty_file", "", "1:1: no document of kind Project"},
      {"only_a_comment", "# nothing\n", "1:1: no document of kind Project"},
      {"list_at_the_top", "- a\n", "1:1: a document must be a mapping, not a list"},
      {"text_at_the_top", "hello\n", "1:1: a document must be a mapping, not a text"},
      {"wrong_api_version",
       "apiVersion: selfbuild/v9\nkind: Project\nmetadata: {name: a}\nspec: {build: {outputs: [a]}}\n",
       "1:13: \"selfbuild/v9\" is not a known version; write selfbuild/v1"},
      {"no_api_version", "kind: Project\nmetadata: {name: a}\nspec: {build: {outputs: [a]}}\n",
       "1:1: document lacks \"apiVersion\""},
      {"mistyped_kind", "apiVersion: selfbuild/v1\nkind: Projekt\nmetadata: {name: a}\nspec: {}\n",
       R"(2:7: "kind" cannot be "Projekt"; did you mean "Project"?)"},
      {"unknown_kind", "apiVersion: selfbuild/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n",
       R"(2:7: "kind" cannot be "Deployment"; known are Project, Service)"},
      {"no_kind", "apiVersion: selfbuild/v1\nmetadata: {name: a}\nspec: {}\n",
       "1:1: document lacks \"kind\""},
      {"no_name", "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {}\nspec: {build: {outputs: [a]}}\n",
       "3:11: metadata lacks \"name\""},
      {"bad_name",
       "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: Hello_World}\nspec: {build: {outputs: "
       "[a]}}\n",
       "3:18: \"Hello_World\" is not a name: a-z, 0-9 and -, at most 63 characters, and no - at the "
       "beginning"},
      {"path_as_name",
       "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: ../x}\nspec: {build: {outputs: [a]}}\n",
       "3:18: \"../x\" is not a name: a-z, 0-9 and -, at most 63 characters, and no - at the beginning"},
      {"labels",
       "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: a, labels: {}}\nspec: {build: {outputs: "
       "[a]}}\n",
       "3:21: unknown key \"labels\" in metadata; known are name"},
      {"no_spec", "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: a}\n",
       "1:1: document lacks \"spec\""},
      {"empty_spec", "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: a}\nspec:\n",
       "4:1: \"spec\" has no value"},
      {"unknown_key_of_the_document", project("  build: {outputs: [a]}\n") + "status: {}\n",
       "6:1: unknown key \"status\" in document; known are apiVersion, kind, metadata, spec"},
      {"two_projects", project("  build: {outputs: [a]}\n") + "---\n" + project("  build: {outputs: [b]}\n"),
       "7:1: a second Project; the first is on line 1"},
      {"only_a_service",
       "apiVersion: selfbuild/v1\nkind: Service\nmetadata: {name: a}\nspec: {command: [a]}\n",
       "1:1: no document of kind Project"},
      {"two_services_of_a_name",
       service("probation: 1s") +
           "---\napiVersion: selfbuild/v1\nkind: Service\nmetadata: {name: web}\nspec: {command: [a]}\n",
       "15:1: a second Service named \"web\""},
      // Project.
      {"no_build", project("  branch: main\n"), "5:3: spec lacks \"build\""},
      {"no_outputs", project("  build: {preset: release}\n"), "5:10: build lacks \"outputs\""},
      {"mistyped_outputs", project("  build: {output: [a]}\n"),
       R"(5:11: unknown key "output" in build; did you mean "outputs"?)"},
      {"empty_outputs", project("  build: {outputs: []}\n"), "5:20: \"outputs\" must not be empty"},
      {"outputs_as_text", project("  build: {outputs: bin/hello}\n"),
       "5:20: \"outputs\" must be a list, not a text"},
      {"absolute_output", project("  build: {outputs: [/etc/passwd]}\n"),
       "5:21: \"/etc/passwd\" must be relative to the build folder"},
      {"output_above_the_folder", project("  build: {outputs: [bin/../../x]}\n"),
       "5:21: \"bin/../../x\" must not contain .."},
      {"the_whole_folder_as_output", project("  build: {outputs: [./]}\n"),
       "5:21: \"./\" must name something in the folder"},
      {"empty_output", project("  build: {outputs: [\"\"]}\n"), "5:21: \"\" must not be empty"},
      {"output_twice", project("  build: {outputs: [a, ./a]}\n"), "5:20: \"a\" is listed twice in outputs"},
      {"output_without_value", project("  build: {outputs: [a, ~]}\n"),
       "5:24: \"outputs\" must be a list of texts; this is nothing"},
      {"mistyped_targets", build("targts: [a]"),
       R"(7:5: unknown key "targts" in build; did you mean "targets"?)"},
      {"target_like_an_option", build("targets: [\"-tclean\"]"), "7:15: \"-tclean\" must not begin with -"},
      {"preset_as_list", build("preset: [release]"), "7:13: \"preset\" must be a text, not a list"},
      {"preset_without_value", build("preset:"), "7:5: \"preset\" has no value"},
      {"option_that_is_no_definition", build("options: [-GXcode]"),
       "7:15: \"-GXcode\" must have the form -DNAME=VALUE"},
      {"option_without_value", build("options: [-DA]"), "7:15: \"-DA\" must have the form -DNAME=VALUE"},
      {"mapping_in_a_list", build("options: [{a: b}]"),
       "7:15: \"options\" must be a list of texts; this is a mapping"},
      {"duration_without_unit_known", build("timeout: 30 minutes"),
       R"(7:14: "timeout" must be a duration like 500ms, 10s, 5m or 2h, not "30 minutes")"},
      {"negative_duration", build("timeout: -1s"),
       R"(7:14: "timeout" must be a duration like 500ms, 10s, 5m or 2h, not "-1s")"},
      {"cache_without_remote", build("cache: {write: false}"), "7:12: cache lacks \"remote\""},
      {"cache_of_an_unknown_kind", build("cache: {remote: \"ftp://me:secret@host/\"}"),
       "7:21: \"remote\" must begin with redis://, http:// or https://"},
      {"cache_with_a_query", build("cache: {remote: \"http://host/?token=secret\"}"),
       "7:21: \"remote\" must end with its path"},
      {"cache_with_a_named_database", build("cache: {remote: \"redis://host/main\"}"),
       "7:21: \"remote\" must end with the number of a database: redis://host:port/0"},
      {"cache_written_perhaps", build("cache: {remote: \"redis://host\", write: maybe}"),
       R"(7:44: "write" cannot be "maybe"; known are false, true)"},
      {"cache_with_another_secret", build("cache: {remote: \"redis://host\", secret_environment: AWS_KEY}"),
       "7:57: \"AWS_KEY\" must begin with SELFBUILD_CACHE_"},
      {"cache_with_a_relative_secret", build("cache: {remote: \"redis://host\", secret_file: key}"),
       "7:50: \"key\" must be absolute"},
      {"cache_with_two_secrets",
       build("cache: {remote: \"redis://host\", secret_file: /key, secret_environment: SELFBUILD_CACHE_KEY}"),
       R"(7:50: cache has both "secret_environment" and "secret_file"; keep one)"},
      {"zero_duration", build("timeout: 0s"), "7:14: \"timeout\" must be between 1 ms and 24 h, not 0s"},
      {"duration_of_a_week", build("timeout: 168h"),
       "7:14: \"timeout\" must be between 1 ms and 24 h, not 168h"},
      {"size_in_words", build("memory: lots"),
       R"(7:13: "memory" must be a size like 512M or 2G, not "lots")"},
      {"size_too_large_for_a_number", build("memory: 99999999999999999999"),
       R"(7:13: "memory" must be a size like 512M or 2G, not "99999999999999999999")"},
      {"tiny_memory", build("memory: 64K"), "7:13: \"memory\" must be at least 1M, not 64K"},
      {"no_processes", build("processes: 0"),
       R"(7:16: "processes" must be a whole number from 1 to 4194304, not "0")"},
      {"too_many_processes", build("processes: 5000000"),
       R"(7:16: "processes" must be a whole number from 1 to 4194304, not "5000000")"},
      {"fractional_processes", build("processes: 1.5"),
       R"(7:16: "processes" must be a whole number from 1 to 4194304, not "1.5")"},
      {"quoted_number", build("processes: \"12\""),
       R"(7:16: "processes" must be a whole number from 1 to 4194304, not "12")"},
      {"bad_branch", project("  branch: \"a b\"\n  build: {outputs: [a]}\n"),
       "5:11: \"a b\" is not the name of a branch"},
      {"branch_like_an_option", project("  branch: --all\n  build: {outputs: [a]}\n"),
       "5:11: \"--all\" must not begin with -"},
      {"bad_schedule", project("  schedule: \"61 3 * * *\"\n  build: {outputs: [a]}\n"),
       R"(5:13: "61 3 * * *" is not a schedule: "61" is no minute)"},
      {"ctest_and_command", test("ctest: [-L, unit]\n    command: [./smoke.sh]"),
       R"(8:14: test has both "ctest" and "command"; keep one)"},
      {"empty_test_command", test("command: []"), "7:14: \"command\" must not be empty"},
      {"candidate_as_text", project("  build: {outputs: [a]}\n  candidate: small\n"),
       "6:14: \"candidate\" must be a mapping, not a text"},
      // Service.
      {"no_command", service_of("  swap: overlap\n"), "11:3: spec lacks \"command\""},
      {"empty_command", service_of("  command: []\n"), "11:12: \"command\" must not be empty"},
      {"program_above_the_version", service_of("  command: [../hello]\n"),
       "11:12: the program \"../hello\" must not contain .."},
      {"bad_variable", service("environment: {1A: b}"), "13:17: \"1A\" is not a name for a variable"},
      {"list_as_variable", service("environment: {A: [b]}"), "13:20: \"A\" must be a text, not a list"},
      {"environment_as_list", service("environment: [A=b]"),
       "13:16: \"environment\" must be a mapping, not a list"},
      {"variable_of_the_conductor", service("environment: {LISTEN_FDS: 3}"),
       "13:16: \"LISTEN_FDS\" is set by the conductor"},
      {"socket_without_listen", service_of("  command: [a]\n  sockets: [{name: http}]\n"),
       "12:13: an item of sockets lacks \"listen\""},
      {"socket_as_text", service_of("  command: [a]\n  sockets: [\"127.0.0.1:80\"]\n"),
       "12:13: \"sockets\" must be a list of mappings; this is a text"},
      {"socket_named_unix",
       service_of("  command: [a]\n  sockets: [{name: unix, listen: \"127.0.0.1:80\"}]\n"),
       "12:20: \"unix\" cannot be the name of a socket"},
      {"host_name_to_listen_on",
       service_of("  command: [a]\n  sockets: [{name: http, listen: \"example.com:80\"}]\n"),
       "12:34: \"example.com:80\" is not an address: 127.0.0.1:8080, [::1]:8080 or unix:/path"},
      {"port_too_large",
       service_of("  command: [a]\n  sockets: [{name: http, listen: \"127.0.0.1:65536\"}]\n"),
       "12:34: \"127.0.0.1:65536\" is not an address: 127.0.0.1:8080, [::1]:8080 or unix:/path"},
      {"relative_unix_socket",
       service_of("  command: [a]\n  sockets: [{name: http, listen: \"unix:run.sock\"}]\n"),
       "12:34: \"unix:run.sock\" is not an address: 127.0.0.1:8080, [::1]:8080 or unix:/path"},
      {"two_sockets_of_a_name",
       service_of("  command: [a]\n  sockets:\n    - {name: a, listen: \"127.0.0.1:80\"}\n    - {name: a, "
                  "listen: \"127.0.0.1:81\"}\n"),
       "14:14: two sockets are named \"a\""},
      {"two_sockets_at_an_address",
       service_of("  command: [a]\n  sockets:\n    - {name: a, listen: \"127.0.0.1:80\"}\n    - {name: b, "
                  "listen: \"127.0.0.1:80\"}\n"),
       "14:25: two sockets listen on \"127.0.0.1:80\""},
      {"probe_as_list", service("health: [http]"),
       R"(13:11: "health" must be none or a mapping like {http: "http:/health"})"},
      {"probe_of_no_kind", service("health: {interval: 1s}"),
       "13:11: \"health\" needs exactly one of notify, http, tcp, unix, command, watchdog"},
      {"probe_of_two_kinds", service("health: {tcp: http, http: \"http:/\"}"),
       "13:11: \"health\" needs exactly one of notify, http, tcp, unix, command, watchdog"},
      {"mistyped_probe", service("health: {htpp: \"http:/\"}"),
       R"(13:12: unknown key "htpp" in health; did you mean "http"?)"},
      {"probe_of_a_relative_unix_socket", service("health: {unix: run/a.sock}"),
       "13:18: \"run/a.sock\" is no socket of this service; known are http"},
      {"notify_for_start", service("start: {notify: true}"),
       "13:19: \"notify\" has no meaning for start; use ready"},
      {"failures_of_a_start", service("start: {tcp: http, failures: 3}"),
       "13:22: unknown key \"failures\" in start; known are command, http, interval, notify, successes, tcp, "
       "timeout, unix, watchdog"},
      {"mistyped_successes", service("health: {tcp: http, sucesses: 3}"),
       "13:23: unknown key \"sucesses\" in health; did you mean \"successes\"?"},
      {"mistyped_take",
       service_of("  command: [a]\n  sockets: [{name: a, listen: \"[::1]:80\", take: bnid}]\n"),
       "12:49: \"take\" cannot be \"bnid\"; did you mean \"bind\"?"},
      {"mistyped_safe_mode", service("safe_mode: breif"),
       "13:14: \"safe_mode\" cannot be \"breif\"; did you mean \"brief\"?"},
      {"notify_false", service("ready: {notify: false}"), "13:19: \"notify\" can only be true"},
      {"notify_for_health", service("health: {notify: true}"),
       "13:20: \"notify\" has no meaning for health; use watchdog"},
      {"watchdog_for_ready", service("ready: {watchdog: 1s}"),
       "13:21: \"watchdog\" has no meaning for ready; use notify"},
      {"interval_beside_notify", service("ready: {notify: true, interval: 1s}"),
       "13:25: unknown key \"interval\" in ready; known are command, http, notify, tcp, unix, watchdog"},
      {"probe_of_an_unknown_socket", service("health: {http: \"htp:/health\"}"),
       "13:18: \"htp:/health\" has no valid target: \"htp\" is no socket of this service; did you mean "
       "\"http\"?"},
      {"probe_with_a_scheme", service("health: {http: \"http://127.0.0.1/\"}"),
       "13:18: \"http://127.0.0.1/\" must be written without http://"},
      {"probe_without_path", service("health: {http: http}"),
       "13:18: \"http\" must be SOCKET:/path or ADDRESS:PORT/path"},
      {"tcp_of_an_unknown_socket", service("health: {tcp: smtp}"),
       "13:17: \"smtp\" is no socket of this service; known are http"},
      {"empty_probe_command", service("health: {command: []}"), "13:21: \"command\" must not be empty"},
      {"probe_without_pause", service("health: {tcp: http, interval: 1ms}"),
       "13:33: \"interval\" must be between 10 ms and 24 h, not 1ms"},
      {"no_failures", service("health: {tcp: http, failures: 0}"),
       R"(13:33: "failures" must be a whole number from 1 to 1000, not "0")"},
      {"mistyped_swap", service("swap: overlapp"),
       R"(13:9: "swap" cannot be "overlapp"; did you mean "overlap"?)"},
      {"unknown_swap", service("swap: blue-green"),
       R"(13:9: "swap" cannot be "blue-green"; known are drain-first, overlap)"},
      {"unknown_key_of_a_service", service("always: true"),
       "13:3: unknown key \"always\" in spec; known are command, compare, drain_timeout, environment, "
       "health, "
       "probation, ready, safe_mode, sockets, standby, start, start_timeout, swap"},
      {"standby_of_what_cannot_run_twice", service("swap: drain-first\n  standby: true"),
       R"(14:12: with "standby" it runs twice, and "swap: drain-first" says that it cannot)"},
      {"canary_that_does_not_ascend", project("  build: {outputs: [hello]}\n  rollout: {canary: [20, 10]}\n"),
       R"(6:26: "10" is no step of a canary: percentages that ascend from 1 to 99)"},
      {"mistyped_comparison", service("compare: [errors, latencyy]"),
       R"(13:21: "latencyy" is nothing to compare; did you mean "latency"?)"},
      {"mistyped_standby", service("standby: yes"),
       R"(13:12: "standby" cannot be "yes"; known are false, true)"},
  };
  return kList;
}

class BadDocuments : public testing::TestWithParam<BadDocument> {};

TEST_P(BadDocuments, is_refused_with_its_place_and_words) {
  const auto file = parse_project_file(GetParam().text, "f.yaml");
  ASSERT_FALSE(file.has_value()) << GetParam().text;
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_EQ(file.error().what, "f.yaml:" + GetParam().error) << GetParam().text;
  EXPECT_EQ(file.error().log, "") << "one mistake must be one message";
}

INSTANTIATE_TEST_SUITE_P(All, BadDocuments, testing::ValuesIn(bad_documents()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace sb::project
