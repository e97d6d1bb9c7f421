#include "unit/conductor/conductor_process.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "os/unix_socket.h"
#include "supervise/address.h"
#include "support/files.h"

namespace sb::tests {
namespace {

constexpr int kMinute = 60'000;

[[noreturn]] void give_up(const std::string& why, const std::string& log) {
  std::cerr << why << "\n--- conductor's log ---\n" << log;
  std::abort();
}

template <typename T>
T must(Result<T> result, const std::string& log = {}) {
  if (!result) give_up(format_error(result.error()), log);
  return std::move(*result);
}

bool wait_for(int fd) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  int got = 0;
  do {
    got = ::poll(&wait, 1, kMinute);
  } while (got < 0 && errno == EINTR);
  return got > 0;
}

}  // namespace

ConductorProcess::ConductorProcess()
    : folder_(temporary_folder()), home_(must(os::Home::at(folder_.path()))) {}

ConductorProcess::~ConductorProcess() {
  if (running_) stop(true);
  if (::testing::Test::HasFailure()) std::cerr << "--- conductor's log ---\n" << log();
}

void ConductorProcess::start(const std::map<std::string, std::string>& environment,
                             const std::string& command) {
  if (!notifications_) notifications_ = must(os::bind_unix_datagram(folder_.path() / "ready.sock"));
  os::SpawnSpec spec;
  spec.argv = {SELFBUILD_TEST_CONDUCTOR, command};
  spec.environment = {"SELFBUILD_HOME=" + folder_.path().string(),
                      "NOTIFY_SOCKET=" + (folder_.path() / "ready.sock").string(), "PATH=/usr/bin:/bin"};
  for (const auto& [name, value] : environment) spec.environment.push_back(name + "=" + value);
  const UniqueFd log_file(
      ::open((folder_.path() / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  spec.output = log_file.get();
  process_ = must(os::spawn(spec));
  running_ = true;
  wait_until_ready();
}

void ConductorProcess::wait_until_ready(int times) {
  for (int i = 0; i < times; ++i) {
    if (!wait_for(notifications_.get())) give_up("the conductor did not come up", log());
    (void)must(os::receive_with_fds(notifications_.get()));
  }
}

os::Exit ConductorProcess::wait_for_exit() {
  if (!wait_for(process_.pidfd.get())) give_up("the conductor did not end", log());
  running_ = false;
  return os::reap(process_).value_or(os::Exit{});
}

void ConductorProcess::stop(bool services) {
  const Result<Json> stopped = try_call("conductor.stop", {{"services", services}});
  EXPECT_TRUE(stopped.has_value()) << format_error(stopped.error());
  if (!stopped) os::send_signal(process_, SIGTERM);
  wait_for_exit();
}

void ConductorProcess::kill_and_wait() {
  const pid_t pid = call("conductor.status")["pid"].get<pid_t>();
  ::kill(pid, SIGKILL);
  wait_until_ready();
}

rpc::Client ConductorProcess::connect() {
  return must(rpc::Client::connect(home_.conductor_socket()), log());
}

Result<Json> ConductorProcess::try_call(const std::string& method, const Json& params) {
  Result<rpc::Client> client = rpc::Client::connect(home_.conductor_socket());
  if (!client) return fail(client.error());
  return client->call(method, params, std::chrono::milliseconds(kMinute));
}

Json ConductorProcess::call(const std::string& method, const Json& params) {
  return must(try_call(method, params), log());
}

Json ConductorProcess::service(const std::string& name) {
  const Json status = call("conductor.status");
  for (const Json& one : status["services"]) {
    if (one["name"] == name) return one;
  }
  return nullptr;
}

history::History ConductorProcess::history() const {
  return must(history::History::open(home_.database(), clock_));
}

bool ConductorProcess::reaches(const std::string& step) {
  while (true) {
    const Json status = call("conductor.status");
    if (status["activation"].is_null()) return false;
    if (status["activation"]["step"] == step) return true;
  }
}

std::vector<std::string> ConductorProcess::steps(std::int64_t cycle) const {
  std::vector<std::string> steps;
  for (const history::JournalRecord& record : must(history().journal(cycle))) {
    steps.emplace_back(history::to_string(record.step));
  }
  return steps;
}

std::string ConductorProcess::log() const {
  return read(folder_.path() / "log");
}

std::string http_get(const std::string& address, const std::string& path) {
  const Result<supervise::Address> where = supervise::parse_address(address);
  if (!where) return "";
  UniqueFd fd;
  if (where->is_unix()) {
    Result<UniqueFd> connected = os::connect_unix(where->unix_path);
    if (!connected) return "";
    fd = std::move(*connected);
  } else {
    const Result<supervise::SocketAddress> socket = supervise::socket_address(*where);
    fd = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::connect(fd.get(), socket->get(), socket->size) != 0) return "";
  }
  const timeval limit{.tv_sec = 60, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer;
  std::array<char, 4096> part{};
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), part.data(), part.size(), 0)) > 0)
    answer.append(part.data(), static_cast<std::size_t>(got));
  const std::size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

void wait_for_end(pid_t pid) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (pidfd) (void)wait_for(pidfd.get());
}

}  // namespace sb::tests
