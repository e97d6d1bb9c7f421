#include "rpc/client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "os/unix_socket.h"
#include "rpc/wire_error.h"

namespace sb::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

Error lost(const std::string& method) {
  return make_error(ErrorKind::interrupted,
                    fmt::format("the conductor closed the connection during {}", method),
                    "selfbuild conductor status");
}

// Waits until the socket is ready, or the deadline has passed.
Status wait_for(int fd, short events, const Deadline& deadline, const std::string& method) {
  while (true) {
    int timeout = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
      timeout = static_cast<int>(std::clamp<long long>(left.count(), 0, 1'000'000'000));
    }
    pollfd poll{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&poll, 1, timeout);
    if (ready > 0) return {};
    if (ready == 0)
      return fail(ErrorKind::interrupted, fmt::format("the conductor did not answer {} in time", method));
    if (errno != EINTR) return fail(errno_error("cannot wait for the conductor"));
  }
}

Status send_all(int fd, std::string_view bytes, const Deadline& deadline, const std::string& method) {
  while (!bytes.empty()) {
    SB_CHECK(wait_for(fd, POLLOUT, deadline, method));
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return fail(lost(method));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> receive_line(int fd, std::string& buffer, const Deadline& deadline,
                                 const std::string& method) {
  std::size_t searched = 0;
  while (true) {
    const std::size_t end = buffer.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    searched = buffer.size();
    if (searched > kMaxJsonBytes) return fail(ErrorKind::interrupted, "the conductor's answer is too long");
    SB_CHECK(wait_for(fd, POLLIN, deadline, method));
    std::array<char, 64 * 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return fail(lost(method));
    buffer.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<Client> Client::connect(const std::filesystem::path& socket) {
  SB_TRY(UniqueFd fd, os::connect_unix(socket));
  return Client(std::move(fd));
}

Result<Json> Client::call(const std::string& method, const Json& params,
                          std::optional<std::chrono::milliseconds> timeout) {
  Deadline deadline;
  if (timeout) deadline = Clock::now() + *timeout;
  const long long id = next_id_++;
  Json request = {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}};
  if (!params.is_null()) request["params"] = params;
  const std::string line = dump_json(request) + "\n";
  if (line.size() > kMaxJsonBytes) {
    return fail(ErrorKind::refused,
                fmt::format("a request of {} bytes; the limit is {}", line.size(), kMaxJsonBytes));
  }
  SB_CHECK(send_all(fd_.get(), line, deadline, method));
  while (true) {
    SB_TRY(const std::string text, receive_line(fd_.get(), buffer_, deadline, method));
    SB_TRY(Json answer, doing("reading the conductor's answer", parse_json(text)));
    if (!answer.is_object()) return fail(ErrorKind::bug, "the conductor's answer is not an object");
    const auto error = answer.find("error");
    // An error without an id concerns the request as a whole: it is ours, since there is only one at a time.
    const bool ours =
        answer.value("id", Json()) == id || (error != answer.end() && answer.value("id", Json()).is_null());
    if (!ours) continue;
    if (error != answer.end()) return fail(error_from_json(*error));
    const auto result = answer.find("result");
    if (result == answer.end())
      return fail(ErrorKind::bug, "the conductor's answer has neither result nor error");
    return std::move(*result);
  }
}

}  // namespace sb::rpc
