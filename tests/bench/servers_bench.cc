// Servers that never heard of selfbuild, as Debian and the languages have them, swapped under load: each
// calls bind by itself (`take: bind`) and is left as it is.
//
//   ci/bench servers [--swaps N] [--only NAME] [--json FILE]
//
// Eight clients ask without pause, half of them on a connection of its own each time, and half on one that
// they keep until the server ends it. Counted are: refused (nobody listened), cut on a new connection
// (accepted, and no answer), and cut on a kept one (what a server does that just ends at SIGTERM; only those
// that drain can have none). A server that is not installed is left out, and said to be.
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "bench/commands.h"
#include "bench/records.h"
#include "bench/swap_peers.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/installation.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kClients = 8;

struct Server {
  std::string name;
  std::string program;                                          // that has to be there
  std::vector<std::pair<std::string, std::string>> files = {};  // of the version; {port} is replaced
  std::string command;                                          // as selfbuild.yaml has it
  std::string greeting = {};                                    // said first on a connection
  std::string welcome = {};                                     // and answered so
  std::string question;
  std::string answer;    // how a good one begins
  std::string end = {};  // and ends; empty: it is as long as `answer`
};

constexpr std::string_view kGoServer = R"(package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1]}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "go\n") })
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	done := make(chan bool)
	go func() {
		<-stop
		server.Shutdown(context.Background())
		done <- true
	}()
	server.ListenAndServe()
	<-done
}
)";

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

std::vector<Server> servers() {
  return {
      // One program with redis-server; its name says which it is.
      {.name = "redis",
       .program = "/usr/bin/redis-check-rdb",
       .files = {{"redis.conf", "port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\n"}},
       .command = "[/bin/bash, -c, 'exec -a redis-server /usr/bin/redis-check-rdb redis.conf']",
       .question = "PING\r\n",
       .answer = "+PONG\r\n"},
      // MQTT 3.1.1: CONNECT with a clean session, then PINGREQ.
      {.name = "mosquitto",
       .program = "/usr/sbin/mosquitto",
       .files = {{"mosquitto.conf", "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"}},
       .command = "[/usr/sbin/mosquitto, -c, mosquitto.conf]",
       .greeting = std::string("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", 14),
       .welcome = std::string("\x20\x02\x00\x00", 4),
       .question = std::string("\xc0\x00", 2),
       .answer = std::string("\xd0\x00", 2)},
      {.name = "python http.server",
       .program = "/usr/bin/python3",
       .files = {{"index.html", "python\n"}},
       .command = "[/usr/bin/python3, -m, http.server, '{port}', --bind, 127.0.0.1]",
       .question = std::string(kGet),
       .answer = "HTTP/1.0 200",
       .end = "python\n"},
      {.name = "nginx",
       .program = "/usr/sbin/nginx",
       .files = {{"nginx.conf",
                  "daemon off; worker_processes 1; pid nginx.pid; error_log /dev/null;\n"
                  "events { worker_connections 1024; }\n"
                  "http { access_log off; keepalive_requests 1000000000; client_body_temp_path b;\n"
                  "proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
                  "server { listen 127.0.0.1:{port}; location / { return 200 \"nginx\\n\"; } } }\n"}},
       .command = "[/bin/sh, -c, 'exec nginx -p \"$STATE_DIRECTORY/\" -c \"$PWD/nginx.conf\"']",
       .question = std::string(kGet),
       .answer = "HTTP/1.1 200",
       .end = "nginx\n"},
      {.name = "static C++",
       .program = "/usr/bin/c++",
       .command = "[program, --listen, '{port}', --answer, static]",
       .question = std::string(kGet),
       .answer = "HTTP/1.1 200",
       .end = "static\n"},
      {.name = "static Go",
       .program = "/usr/bin/go",
       .command = "[program, '{port}']",
       .question = std::string(kGet),
       .answer = "HTTP/1.1 200",
       .end = "go\n"},
  };
}

// Only the last two have something to build.
void build_program(const Server& server, const fs::path& folder) {
  const std::string program = (folder / "program").string();
  std::vector<std::string> argv{
      server.program,
      "-O2",
      "-std=c++20",
      "-static",
      "-o",
      program,
      std::string(SELFBUILD_SOURCE_DIR) + "/tests/fixtures/http_project/http_service.cc"};
  if (server.name == "static Go") {
    tests::write(folder / "server.go", std::string(kGoServer));
    argv = {server.program, "build", "-o", program, (folder / "server.go").string()};
  }
  must(server.program,
       tests::run_program(argv, folder,
                          {{"HOME", folder.string()}, {"CGO_ENABLED", "0"}, {"GO111MODULE", "off"}}));
}

// Two versions of one server, which differ in a file that it does not read.
class Swapped {
 public:
  explicit Swapped(const Server& server) : address_(free_address()) {
    const fs::path project = host_.repository();
    std::string outputs = "version";
    std::string copies = "configure_file(version version COPYONLY)\n";
    const auto add = [&](const std::string& name) {
      outputs += ", " + name;
      copies += fmt::format("configure_file({0} {0} COPYONLY)\n", name);
    };
    fs::create_directories(project);
    for (const auto& [name, text] : server.files) {
      tests::write(project / name, placed(text));
      add(name);
    }
    if (server.command.starts_with("[program")) {
      build_program(server, project);
      add("program");
    }
    tests::write(project / "CMakeLists.txt",
                 "cmake_minimum_required(VERSION 3.20)\nproject(server NONE)\n" + copies);
    tests::write(
        project / "selfbuild.yaml",
        fmt::format("apiVersion: selfbuild/v1\nkind: Project\nmetadata: {{name: server}}\n"
                    "spec: {{build: {{outputs: [{}]}}, test: {{command: [/bin/true]}}}}\n---\n"
                    "apiVersion: selfbuild/v1\nkind: Service\nmetadata: {{name: server}}\nspec:\n"
                    "  command: {}\n  sockets: [{{name: port, listen: \"{}\", take: bind}}]\n"
                    "  ready: {{tcp: port, interval: 20ms}}\n  probation: 100ms\n  drain_timeout: 5s\n",
                    outputs, placed(server.command), address_));
    for (const char* version : {"1", "2"}) {
      tests::write(project / "version", version);
      if (*version == '1') (void)host_.git({"init", "--quiet", "--initial-branch", "main"});
      host_.commit(version);
      must("selfbuild update", host_.selfbuild({"update"}));
    }
  }
  void swap() {
    live_ = 3 - live_;
    must("selfbuild promote", host_.selfbuild({"promote", fmt::format("v{}", live_)}));
  }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  [[nodiscard]] std::string placed(std::string text) const {
    constexpr std::string_view kPort = "{port}";
    const std::string port = address_.substr(address_.rfind(':') + 1);
    for (std::size_t at = 0; (at = text.find(kPort, at)) != std::string::npos;)
      text.replace(at, kPort.size(), port);
    return text;
  }
  tests::Installation host_;
  std::string address_;
  int live_ = 2;
};

struct Counts {
  std::atomic<std::uint64_t> good = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::uint64_t> cut_new = 0;
  std::atomic<std::uint64_t> cut_kept = 0;
};

// Empty when the server closes before it has said all.
std::string hear_answer(const UniqueFd& connection, const std::string& begin, const std::string& end) {
  std::string text;
  std::array<char, 4096> bytes{};
  while (end.empty() ? text.size() < begin.size() : !text.ends_with(end)) {
    const ssize_t got = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return {};
    text.append(bytes.data(), static_cast<std::size_t>(got));
  }
  return text.starts_with(begin) ? text : "";
}

void ask_without_pause(const Server& server, const std::string& address, bool keeps,
                       const std::atomic<bool>& over, Counts& counts) {
  UniqueFd connection;
  while (!over) {
    const bool is_new = !connection;
    if (is_new) {
      connection = tests::connect_to(address);
      if (!connection) {
        ++counts.refused;
        continue;
      }
      const timeval patience{.tv_sec = 10, .tv_usec = 0};
      ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      tests::say(connection, server.greeting);
    }
    const bool welcome =
        !is_new || server.welcome.empty() || !hear_answer(connection, server.welcome, "").empty();
    if (welcome) tests::say(connection, server.question);
    const std::string answer = welcome ? hear_answer(connection, server.answer, server.end) : "";
    ++(!answer.empty() ? counts.good : is_new ? counts.cut_new : counts.cut_kept);
    const bool ends = answer.starts_with("HTTP/1.0") || answer.find("Connection: close") != std::string::npos;
    if (!keeps || ends || answer.empty()) connection.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void measure(const Server& server, int swaps, Records& records) {
  fmt::print(stderr, "{}, {} swaps …\n", server.name, swaps);
  Swapped swapped(server);
  Counts counts;
  std::atomic<bool> over = false;
  {
    std::vector<std::jthread> clients;
    clients.reserve(kClients);
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back(
          [&, keeps = i % 2 == 0] { ask_without_pause(server, swapped.address(), keeps, over, counts); });
    }
    for (int i = 0; i < swaps; ++i) {
      const std::uint64_t before = counts.good;
      swapped.swap();
      while (counts.good < before + 200) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    over = true;
  }
  const std::string of = fmt::format("of {} requests over {} swaps", counts.good.load(), swaps);
  const auto add = [&](const std::string& what, std::uint64_t value, const std::string& peer) {
    records.add(
        {.row = server.name + " " + what, .value = static_cast<double>(value), .unit = "", .peer = peer});
  };
  add("refused", counts.refused, of + "; bar: 0");
  add("cut on a new connection", counts.cut_new, of);
  add("cut on a kept connection", counts.cut_kept, of);
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const std::string only = arguments.take("--only", "");
  const int swaps = arguments.take("--swaps", 20);
  Records records("servers");
  for (const Server& server : servers()) {
    if (!only.empty() && only != server.name) continue;
    if (fs::exists(server.program)) {
      measure(server, swaps, records);
    } else {
      fmt::print(stderr, "{} is left out: there is no {}\n", server.name, server.program);
    }
  }
  return records.finish(arguments.count(), arguments.values());
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
