#include "bench/swap_peers.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/unique_fd.h"
#include "bench/commands.h"
#include "support/files.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;

std::string port_of(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}

sockaddr_in parse(const std::string& address) {
  sockaddr_in parsed{};
  parsed.sin_family = AF_INET;
  parsed.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  parsed.sin_port = ::htons(static_cast<std::uint16_t>(std::stoi(port_of(address))));
  return parsed;
}

UniqueFd listen_on(const std::string& address) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in at = parse(address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    fmt::print(stderr, "cannot listen on {}\n", address);
    std::exit(1);
  }
  return fd;
}

// A supervisor that is a program: files in a folder of its own, a command that stays, and one that swaps.
class Program : public Peer {
 public:
  struct Recipe {
    std::vector<std::pair<std::string, std::string>> files;  // name, text; "run" is made executable
    std::vector<std::string> start;                          // "{folder}" is the folder
    std::vector<std::string> swap;
    std::string status{};  // a file that ends with the serving process when nothing is under way; or empty
  };
  Program(std::string address, const Recipe& recipe)
      : address_(std::move(address)), folder_(tests::temporary_folder()), status_(recipe.status) {
    for (const auto& [name, text] : recipe.files) {
      const fs::path file = folder_.path() / name;
      tests::write(file, placed(text));
      if (name.ends_with("run")) fs::permissions(file, fs::perms::owner_all);
    }
    for (const std::string& word : recipe.swap) swap_.push_back(placed(word));
    std::vector<std::string> argv{"sh", "-c", "exec \"$0\" \"$@\" >/dev/null 2>&1"};
    for (const std::string& word : recipe.start) argv.push_back(placed(word));
    process_ = std::make_unique<tests::Background>(argv, folder_.path(), tests::Environment{});
    wait_until_served(address_);
  }
  ~Program() override {
    ::kill(process_->pid(), SIGTERM);
    (void)process_->wait();
  }
  void swap() override {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is_settled()) {
      if (std::chrono::steady_clock::now() > until) {
        fmt::print(stderr, "{} has not settled after 10 s\n", status_);
        std::exit(1);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    must(swap_.front(), tests::run_program(swap_, folder_.path(), {}));
  }
  [[nodiscard]] std::string address() const override { return address_; }

 private:
  [[nodiscard]] std::string placed(std::string text) const {
    for (std::size_t at = 0; (at = text.find("{folder}", at)) != std::string::npos;)
      text.replace(at, std::string_view("{folder}").size(), folder_.path().string());
    return text;
  }
  [[nodiscard]] bool is_settled() const {
    if (status_.empty()) return true;
    const fs::path file = folder_.path() / status_;
    return fs::exists(file) && tests::read(file).ends_with(":" + get(address_, "/pid"));
  }

  std::string address_;
  os::TemporaryFolder folder_;
  std::string status_;
  std::vector<std::string> swap_;
  std::unique_ptr<tests::Background> process_;
};

std::string options_of(const Serving& serving) {
  return fmt::format("--boot {} --work {}", serving.boot_ms, serving.work_ms);
}

std::string listening_script(const Serving& serving, const std::string& address) {
  return fmt::format("#!/bin/sh\nexec {} --listen {} {}\n", serving.program, port_of(address),
                     options_of(serving));
}

std::unique_ptr<Peer> start_runit(const Serving& serving) {
  const std::string address = free_address();
  return std::make_unique<Program>(address,
                                   Program::Recipe{.files = {{"run", listening_script(serving, address)}},
                                                   .start = {"runsv", "{folder}"},
                                                   .swap = {"sv", "restart", "{folder}"}});
}

std::unique_ptr<Peer> start_s6(const Serving& serving) {
  const std::string address = free_address();
  return std::make_unique<Program>(
      address, Program::Recipe{.files = {{"run", listening_script(serving, address)}},
                               .start = {"s6-supervise", "{folder}"},
                               .swap = {"s6-svc", "-wr", "-T", "10000", "-r", "{folder}"}});
}

std::unique_ptr<Peer> start_supervisord(const Serving& serving) {
  const std::string address = free_address();
  const std::string configuration = fmt::format(
      "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={{folder}}/pid\n"
      "[unix_http_server]\nfile={{folder}}/control\n[supervisorctl]\nserverurl=unix://{{folder}}/control\n"
      "[rpcinterface:supervisor]\n"
      "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
      "[program:service]\ncommand={} --listen {} {}\nstartsecs=0\nautorestart=true\n",
      serving.program, port_of(address), options_of(serving));
  return std::make_unique<Program>(
      address, Program::Recipe{.files = {{"conf", configuration}},
                               .start = {"supervisord", "-c", "{folder}/conf"},
                               .swap = {"supervisorctl", "-c", "{folder}/conf", "restart", "service"}});
}

// It hands its sockets over in a variable of its own, which names ports and descriptors.
std::unique_ptr<Peer> start_start_server(const Serving& serving) {
  const std::string address = free_address();
  const std::string script = fmt::format(
      "#!/bin/sh\neval \"exec 3<&${{SERVER_STARTER_PORT##*=}}\"\nLISTEN_FDS=1 LISTEN_PID=$$ exec {} {}\n",
      serving.program, options_of(serving));
  const std::vector<std::string> state{"--pid-file={folder}/pid", "--status-file={folder}/status"};
  return std::make_unique<Program>(
      address, Program::Recipe{
                   .files = {{"run", script}},
                   .start = {"start_server", "--port=" + address, state[0], state[1], "--", "{folder}/run"},
                   .swap = {"start_server", "--restart", state[0], state[1]},
                   .status = "status"});
}

std::unique_ptr<Peer> start_nginx(const Serving& /*serving*/) {
  const std::string address = free_address();
  const std::string configuration = fmt::format(
      "daemon off; worker_processes 1; pid {{folder}}/pid; error_log /dev/null;\nevents {{{{ "
      "worker_connections 1024; }}}}\n"
      "http {{{{ access_log off; keepalive_requests 1000000000; client_body_temp_path {{folder}}/b; "
      "proxy_temp_path "
      "{{folder}}/p; fastcgi_temp_path {{folder}}/f; uwsgi_temp_path {{folder}}/u; scgi_temp_path "
      "{{folder}}/s;\n"
      "server {{{{ listen {}; location / {{{{ return 200 \"nginx\\n\"; }}}} }}}} }}}}\n",
      address);
  // Doubled braces are nginx's own.
  std::string text = configuration;
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"{{", "{"}, {"}}", "}"}})
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; ++at) text.replace(at, 2, to);
  return std::make_unique<Program>(address,
                                   Program::Recipe{.files = {{"conf", text}},
                                                   .start = {"nginx", "-c", "{folder}/conf"},
                                                   .swap = {"nginx", "-c", "{folder}/conf", "-s", "reload"}});
}

std::unique_ptr<Peer> start_haproxy(const Serving& /*serving*/) {
  const std::string address = free_address();
  const std::string configuration = fmt::format(
      "global\n  hard-stop-after 10s\ndefaults\n  mode http\n  timeout client 60s\n  timeout connect 1s\n"
      "  timeout server 60s\nfrontend service\n  bind {}\n"
      "  http-request return status 200 content-type text/plain string \"haproxy\\n\"\n",
      address);
  return std::make_unique<Program>(
      address, Program::Recipe{.files = {{"conf", configuration}},
                               .start = {"haproxy", "-W", "-db", "-f", "{folder}/conf", "-p", "{folder}/pid"},
                               .swap = {"sh", "-c", "kill -USR2 $(head -n 1 {folder}/pid)"}});
}

// Waits for the program and starts it again, and does nothing else.
class Floor : public Peer {
 public:
  explicit Floor(const std::string& program) : address_(free_address()) {
    const UniqueFd listener = listen_on(address_);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setpgid(0, 0);
      const int copy =
          ::fcntl(listener.get(), F_DUPFD, 4);  // were it 3, it would stay one that is closed by exec
      ::dup2(copy, 3);
      while (true) {
        const pid_t child = ::vfork();
        if (child == 0) {
          ::execl(program.c_str(), program.c_str(), nullptr);
          ::_exit(127);
        }
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) < 0 || WIFEXITED(status))
          ::_exit(1);  // it is killed, not ended
      }
    }
    ::setpgid(supervisor_, supervisor_);
    wait_until_served(address_);
  }
  ~Floor() override {
    ::kill(-supervisor_, SIGKILL);
    ::waitpid(supervisor_, nullptr, 0);
  }
  void swap() override {}
  [[nodiscard]] std::string address() const override { return address_; }

 private:
  std::string address_;
  pid_t supervisor_ = -1;
};

}  // namespace

std::vector<PeerKind> other_supervisors() {
  return {{.name = "runit", .keeps_listening = false, .start = start_runit},
          {.name = "s6", .keeps_listening = false, .start = start_s6},
          {.name = "supervisord", .keeps_listening = false, .start = start_supervisord},
          {.name = "start_server", .start = start_start_server},
          {.name = "nginx reload", .restarts = false, .start = start_nginx},
          {.name = "HAProxy reload", .restarts = false, .start = start_haproxy}};
}

Ours::Ours(const OurService& service) : address_(free_address()) {
  host_.copy_project("http_project");
  host_.edit("selfbuild.yaml", "127.0.0.1:0", address_);
  host_.edit("selfbuild.yaml", "CMAKE_BUILD_TYPE=Release",
             "CMAKE_BUILD_TYPE=Release, -DCMAKE_EXE_LINKER_FLAGS=-static");
  host_.edit("selfbuild.yaml", "swap: overlap",
             "swap: " + service.swap + (service.standby ? "\n  standby: true" : ""));
  host_.edit("selfbuild.yaml", "probation: 2s", "probation: 200ms");
  host_.edit("selfbuild.yaml", "command: [bin/http_service]",
             fmt::format("command: [bin/http_service, --boot, \"{}\", --work, \"{}\"]",
                         service.serving.boot_ms, service.serving.work_ms));
  host_.commit("first");
  must("selfbuild update", host_.selfbuild({"update"}));
  host_.edit("version.h", "#define HTTP_SERVICE_VERSION \"", "#define HTTP_SERVICE_VERSION \"next to ");
  host_.commit("second");
  must("selfbuild update", host_.selfbuild({"update"}));
  wait_until_served(address_);
}

void Ours::swap() {
  live_ = 3 - live_;
  must("selfbuild promote", host_.selfbuild({"promote", fmt::format("v{}", live_)}));
}

void Ours::wait_for_standby() const {
  const auto ready = [this] {
    const auto finished = must("selfbuild status", host_.selfbuild({"conductor", "status", "--json"}));
    const Result<Json> status = parse_json(finished.out);
    return status && status->at("services").at(0).at("standby") == "ready";
  };
  while (!ready()) continue;
}

fs::path conductor_program() {
  return fs::path(SELFBUILD_PROGRAM).replace_filename("conductor");
}

std::string next_conductor(const tests::Installation& host, int nth) {
  const fs::path copy = host.scratch() / "conductor";
  fs::copy_file(conductor_program(), copy, fs::copy_options::overwrite_existing);
  std::ofstream(copy, std::ios::app) << nth;
  return copy.string();
}

std::string service_program() {
  static const os::TemporaryFolder kFolder = [] {
    os::TemporaryFolder folder = tests::temporary_folder();
    const fs::path source = fs::path(SELFBUILD_SOURCE_DIR) / "tests/fixtures/http_project/http_service.cc";
    must("c++", tests::run_program({"c++", "-O2", "-std=c++20", "-static", "-o",
                                    (folder.path() / "http_service").string(), source.string()},
                                   folder.path(), {}));
    return folder;
  }();
  return (kFolder.path() / "http_service").string();
}

std::unique_ptr<Peer> start_floor(const std::string& program) {
  return std::make_unique<Floor>(program);
}

std::unique_ptr<Peer> start_relay(const std::string& server) {
  const std::string address = free_address();
  const std::string configuration = fmt::format(
      "defaults\n  mode http\n  timeout client 60s\n  timeout connect 1s\n  timeout server 60s\n"
      "  retries 10\n  retry-on conn-failure empty-response\n  option redispatch\n"
      "frontend relay\n  bind {}\n  default_backend service\n"
      "backend service\n  http-reuse always\n  server one {}\n",
      address, server);
  return std::make_unique<Program>(address,
                                   Program::Recipe{.files = {{"conf", configuration}},
                                                   .start = {"haproxy", "-db", "-f", "{folder}/conf"},
                                                   .swap = {"true"}});
}

std::string free_address() {
  const UniqueFd fd = listen_on("127.0.0.1:0");
  sockaddr_in at{};
  socklen_t size = sizeof at;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
  return fmt::format("127.0.0.1:{}", ::ntohs(at.sin_port));
}

std::string get(const std::string& address, const std::string& path, std::chrono::microseconds patience) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in at = parse(address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return {};
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", path, address);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  if (patience.count() > 0) {
    pollfd answered{.fd = fd.get(), .events = POLLIN, .revents = 0};
    const timespec limit{.tv_sec = 0, .tv_nsec = patience.count() * 1000};
    if (::ppoll(&answered, 1, &limit, nullptr) != 1) return {};
  }
  std::string answer;
  std::array<char, 4096> bytes{};
  for (ssize_t got = 0; (got = ::recv(fd.get(), bytes.data(), bytes.size(), 0)) > 0;)
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  const std::size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

void wait_until_served(const std::string& address) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (get(address, "/").empty()) {
    if (std::chrono::steady_clock::now() > until) {
      fmt::print(stderr, "nothing answers on {} after 10 s\n", address);
      std::exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace sb::bench
