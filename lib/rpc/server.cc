#include "rpc/server.h"

#include <cerrno>
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "base/suggestion.h"
#include "base/unique_fd.h"
#include "os/event_loop.h"
#include "os/unix_socket.h"
#include "rpc/connection.h"
#include "rpc/wire_error.h"

namespace sb::rpc {
namespace {

constexpr os::Milliseconds kAcceptPause{100};

std::string result_line(const Json& id, const Json& result) {
  return dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string error_line(const Json& id, int code, const Error& error) {
  return dump_json(
      {{"jsonrpc", "2.0"},
       {"id", id},
       {"error", {{"code", code}, {"message", one_line(error)}, {"data", error_to_json(error)}}}});
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

bool may_be_id(const Json& id) {
  return id.is_null() || id.is_string() || id.is_number();
}

// Why a JSON text is no request (JSON-RPC 2.0, section 4), or nothing.
const char* problem_of(const Json& request) {
  if (request.is_array()) return "batches are not served: send one request per line";
  if (!request.is_object()) return "a request must be an object";
  const Json* id = member(request, "id");
  if (id != nullptr && !may_be_id(*id)) return R"("id" must be a string, a number or null)";
  const Json* version = member(request, "jsonrpc");
  if (version == nullptr || *version != "2.0") return R"("jsonrpc" must be "2.0")";
  const Json* method = member(request, "method");
  if (method == nullptr || !method->is_string()) return R"("method" must be a string)";
  const Json* params = member(request, "params");
  if (params != nullptr && !params->is_structured()) return R"("params" must be an object or an array)";
  return nullptr;
}

class SocketServer final : public Server, public std::enable_shared_from_this<SocketServer> {
 public:
  SocketServer(os::EventLoop& loop, UniqueFd listener) : loop_(loop), listener_(std::move(listener)) {}
  Status start();
  void on(const std::string& method, Method handler) override { methods_[method] = std::move(handler); }
  void on_disconnect(std::function<void(ConnectionId)> handler) override {
    disconnect_handlers_.push_back(std::move(handler));
  }
  void set_witness(Witness witness) override { witness_ = std::move(witness); }
  void set_gate(Gate gate) override { gate_ = std::move(gate); }
  void call(const std::string& method, const Json& params, Reply reply) override;
  void send(ConnectionId id, std::string line);

 private:
  void accept_one();
  void accept_later();
  void handle_line(ConnectionId id, std::string_view line);
  void handle_request(ConnectionId id, const Json& request);
  void refuse(ConnectionId id, const Json& request_id, int code, const Error& error);
  void refuse_and_finish(ConnectionId id, const Error& error);
  void forget(ConnectionId id);
  [[nodiscard]] Hold hold(const std::string& method) const { return gate_ ? gate_(method) : nullptr; }
  [[nodiscard]] Error unknown_method(const std::string& name) const;

  os::EventLoop& loop_;
  UniqueFd listener_;
  std::map<std::string, Method> methods_;
  Witness witness_;
  Gate gate_;
  std::vector<std::function<void(ConnectionId)>> disconnect_handlers_;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  ConnectionId next_connection_ = 1;
  os::Watch accepting_;
  os::Watch pause_;
};

// The one answer to one request. When all copies of its Reply are gone and none was called, the peer is told:
// a method that forgets to answer must not leave its caller waiting for ever.
class Answer {
 public:
  struct Asked {
    std::weak_ptr<SocketServer> server;
    ConnectionId connection;
    std::optional<Json> id;  // none: a notification
    Outcome outcome;
    Hold hold;
  };
  explicit Answer(Asked asked) : asked_(std::move(asked)) {}
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() { give(fail(ErrorKind::bug, "the method ended without an answer")); }

  void give(const Result<Json>& result) {
    if (std::exchange(given_, true) || asked_.server.expired()) return;
    if (asked_.outcome) asked_.outcome(result);
    if (!asked_.id) return;
    std::string line = result ? result_line(*asked_.id, *result) : refusal(result.error());
    if (line.size() > kMaxJsonBytes) {
      line = refusal(make_error(ErrorKind::refused, fmt::format("an answer of {} bytes; the limit is {}",
                                                                line.size(), kMaxJsonBytes)));
    }
    // An error promises nothing.
    if (!asked_.hold || !result) return send(asked_.server, asked_.connection, std::move(line));
    asked_.hold([line = std::move(line), server = asked_.server, connection = asked_.connection,
                 id = *asked_.id](const Status& held) {
      send(server, connection, held ? line : error_line(id, kFailed, held.error()));
    });
  }

 private:
  [[nodiscard]] std::string refusal(const Error& error) const {
    return error_line(*asked_.id, kFailed, error);
  }
  static void send(const std::weak_ptr<SocketServer>& server, ConnectionId connection, std::string line) {
    const std::shared_ptr<SocketServer> there = server.lock();
    if (there) there->send(connection, std::move(line));
  }
  Asked asked_;
  bool given_ = false;
};

Status SocketServer::start() {
  accepting_ = loop_.on_readable(listener_.get(), [this] { accept_one(); });
  if (!accepting_) return fail(errno_error("cannot watch the conductor's socket"));
  return {};
}

void SocketServer::accept_one() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) accept_later();
    return;
  }
  const Result<os::Peer> peer = os::peer_of(fd.get());
  if (!peer || peer->uid != ::geteuid()) return;
  const ConnectionId id = next_connection_++;
  auto& connection = connections_[id];
  connection = std::make_unique<Connection>(loop_, std::move(fd), *peer);
  const auto too_long = [this, id] {
    refuse_and_finish(id,
                      make_error(ErrorKind::refused, fmt::format("a line above {} bytes", kMaxJsonBytes)));
  };
  connection->start({.on_line = [this, id](std::string_view line) { handle_line(id, line); },
                     .on_too_long = too_long,
                     .on_end = [this, id] { forget(id); }});
}

// Out of descriptors: the waiting connection keeps the listener readable, so look away instead of spinning.
void SocketServer::accept_later() {
  accepting_.reset();
  pause_ = loop_.after(kAcceptPause, [this] { (void)start(); });
}

void SocketServer::forget(ConnectionId id) {
  const auto gone = connections_.extract(id);
  const auto handlers = disconnect_handlers_;  // a copy: one of them may add another
  for (const auto& handler : handlers) handler(id);
}

void SocketServer::send(ConnectionId id, std::string line) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second->send(std::move(line));
}

void SocketServer::refuse(ConnectionId id, const Json& request_id, int code, const Error& error) {
  send(id, error_line(request_id, code, error));
}

void SocketServer::refuse_and_finish(ConnectionId id, const Error& error) {
  refuse(id, nullptr, kInvalidRequest, error);
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second->finish();
}

void SocketServer::handle_line(ConnectionId id, std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const Result<Json> request = parse_json(line);
  if (request) {
    handle_request(id, *request);
  } else if (request.error().kind == ErrorKind::refused) {
    refuse_and_finish(id, request.error());
  } else {
    refuse(id, nullptr, kParseError, request.error());
  }
}

void SocketServer::handle_request(ConnectionId id, const Json& request) {
  const Json* request_id = member(request, "id");
  if (const char* problem = problem_of(request); problem != nullptr) {
    const Json answer_id = request_id != nullptr && may_be_id(*request_id) ? *request_id : Json();
    refuse(id, answer_id, kInvalidRequest, make_error(ErrorKind::usage, problem));
    return;
  }
  static const Json kNoParams = Json::object();
  const Json* params = member(request, "params");
  const std::string name = request.at("method").get<std::string>();
  const auto handler = methods_.find(name);
  if (handler == methods_.end()) {
    if (request_id != nullptr) refuse(id, *request_id, kMethodNotFound, unknown_method(name));
    return;
  }
  const os::Peer& peer = connections_.at(id)->peer();
  const Request asked{.connection = id,
                      .peer_uid = peer.uid,
                      .peer_pid = peer.pid,
                      .params = params == nullptr ? kNoParams : *params};
  const auto answer = std::make_shared<Answer>(
      Answer::Asked{.server = weak_from_this(),
                    .connection = id,
                    .id = request_id == nullptr ? std::nullopt : std::optional<Json>(*request_id),
                    .outcome = witness_ ? witness_(name, asked) : nullptr,
                    .hold = hold(name)});
  handler->second(asked, Reply([answer](const Result<Json>& result) { answer->give(result); }));
}

void SocketServer::call(const std::string& method, const Json& params, Reply reply) {
  const auto handler = methods_.find(method);
  if (handler == methods_.end()) return reply(fail(unknown_method(method)));
  if (Hold held = hold(method)) {
    reply = Reply([held = std::move(held), reply = std::move(reply)](const Result<Json>& result) {
      if (!result) return reply(result);
      held([reply, result](const Status& good) { reply(good ? result : Result<Json>(fail(good.error()))); });
    });
  }
  handler->second(Request{.connection = 0, .peer_uid = ::geteuid(), .peer_pid = ::getpid(), .params = params},
                  std::move(reply));
}

Error SocketServer::unknown_method(const std::string& name) const {
  std::vector<std::string> names;
  names.reserve(methods_.size());
  for (const auto& [known, handler] : methods_) names.push_back(known);
  const std::optional<std::string> near = nearest(name, names);
  std::string what = fmt::format("the conductor has no method \"{}\"", name.substr(0, 200));
  if (near) what += fmt::format("; did you mean \"{}\"?", *near);
  return make_error(ErrorKind::usage, std::move(what));
}

// Owns the server for its user; a Reply that outlives this finds nobody to send by.
class OwnedServer final : public Server {
 public:
  explicit OwnedServer(std::shared_ptr<SocketServer> server) : server_(std::move(server)) {}
  void on(const std::string& method, Method handler) override { server_->on(method, std::move(handler)); }
  void on_disconnect(std::function<void(ConnectionId)> handler) override {
    server_->on_disconnect(std::move(handler));
  }
  void set_witness(Witness witness) override { server_->set_witness(std::move(witness)); }
  void set_gate(Gate gate) override { server_->set_gate(std::move(gate)); }
  void call(const std::string& method, const Json& params, Reply reply) override {
    server_->call(method, params, std::move(reply));
  }

 private:
  std::shared_ptr<SocketServer> server_;
};

}  // namespace

Reply::Reply(std::function<void(Result<Json>)> send) : send_(std::move(send)) {}
void Reply::operator()(Result<Json> result) const {
  send_(std::move(result));
}

Result<std::unique_ptr<Server>> Server::listen(os::EventLoop& loop, const std::filesystem::path& socket) {
  SB_TRY(UniqueFd listener, os::listen_unix(socket));
  const auto server = std::make_shared<SocketServer>(loop, std::move(listener));
  SB_CHECK(server->start());
  return std::make_unique<OwnedServer>(server);
}

}  // namespace sb::rpc
