#include "support/load_client.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/unique_fd.h"

namespace sb::tests {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kFailuresTold = 10;
constexpr std::uint64_t kUnbounded = ~std::uint64_t{0};

double ms(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<Address> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (colon == std::string::npos ||
      ::getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found) != 0) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not an address: like 127.0.0.1:8080", text));
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

// A whole response at the front of bytes, if there is one.
struct Response {
  bool ok = false;
  bool closes = false;
  std::string status;
  std::string body;
};
std::optional<Response> parse_response(const std::string& bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  std::string head = bytes.substr(0, end + 2);
  std::ranges::transform(head, head.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::size_t length = 0;
  if (const std::size_t at = head.find("\r\ncontent-length:"); at != std::string::npos) {
    length = std::strtoul(head.c_str() + at + std::strlen("\r\ncontent-length:"), nullptr, 10);
  }
  if (bytes.size() < end + 4 + length) return std::nullopt;
  return Response{.ok = head.starts_with("http/1.1 200 "),
                  .closes = head.find("\r\nconnection: close\r\n") != std::string::npos,
                  .status = bytes.substr(0, bytes.find("\r\n")),
                  .body = std::string(trim(std::string_view(bytes).substr(end + 4, length)))};
}

// One connection at a time, one request at a time.
struct Slot {
  enum class Phase { idle, connecting, sending, receiving, closing };
  bool keeps = false;
  UniqueFd fd{};
  Phase phase = Phase::idle;
  std::size_t sent = 0;
  std::string in{};
  Clock::time_point due{};  // when the request should have gone out
  Clock::time_point deadline{};
};

}  // namespace

struct LoadClient::State {
  LoadSpec spec;
  Address address;
  std::string keep_request;
  std::string close_request;
  UniqueFd wake;
  std::vector<Slot> slots;
  std::size_t next_slot = 0;  // whose turn it is
  Clock::time_point start = Clock::now();
  Clock::time_point last_good = start;
  std::uint64_t scheduled =
      0;  // requests whose time has come and that have been given to a slot or wait for one
  std::array<std::deque<Clock::time_point>, 2>
      waiting;  // open loop: times of requests without a free slot, by keeps

  std::atomic<bool> stopping = false;
  std::mutex mutex;  // guards report, latencies and ended
  std::condition_variable changed;
  LoadReport report;
  std::vector<float> latencies;  // ms
  bool ended = false;
  std::thread thread;

  void run();
  void schedule();
  void begin(Slot& slot, Clock::time_point due);
  void connect(Slot& slot);
  void advance(Slot& slot, short events);
  void send(Slot& slot);
  void receive(Slot& slot);
  void good(Slot& slot, const Response& response);
  void not_connected(Slot& slot, int code);
  void failed(Slot& slot, const std::string& why);
  [[nodiscard]] bool busy() const;
  [[nodiscard]] timespec timeout() const;
  [[nodiscard]] std::uint64_t limit() const { return spec.count == 0 ? kUnbounded : spec.count; }
  [[nodiscard]] LoadReport summary();
  LoadReport join();
};

void LoadClient::State::run() {
  std::vector<pollfd> polled;
  while (true) {
    schedule();
    const bool all_sent = stopping || scheduled >= limit();
    if (all_sent && !busy()) break;
    polled.assign(
        1, pollfd{.fd = wake.get(), .events = static_cast<short>(stopping ? 0 : POLLIN), .revents = 0});
    for (const Slot& slot : slots) {
      const bool writes = slot.phase == Slot::Phase::connecting || slot.phase == Slot::Phase::sending;
      const bool waits = slot.phase != Slot::Phase::idle;
      polled.push_back({waits ? slot.fd.get() : -1, static_cast<short>(writes ? POLLOUT : POLLIN), 0});
    }
    const timespec until = timeout();
    ::ppoll(polled.data(), polled.size(), &until, nullptr);
    const auto now = Clock::now();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (polled[i + 1].revents != 0) advance(slots[i], polled[i + 1].revents);
      if (slots[i].phase != Slot::Phase::idle && now >= slots[i].deadline)
        failed(slots[i], "no answer in time");
    }
  }
  const std::scoped_lock lock(mutex);
  report.longest_gap_ms = std::max(report.longest_gap_ms, ms(Clock::now() - last_good));
  ended = true;
  changed.notify_all();
}

bool LoadClient::State::busy() const {
  const bool queued = !stopping && (!waiting[0].empty() || !waiting[1].empty());
  return queued ||
         std::ranges::any_of(slots, [](const Slot& slot) { return slot.phase != Slot::Phase::idle; });
}

timespec LoadClient::State::timeout() const {
  auto next = Clock::now() + std::chrono::seconds(1);
  if (!stopping && spec.per_second > 0 && scheduled < limit()) {
    const std::chrono::duration<double> offset(static_cast<double>(scheduled) / spec.per_second);
    next = std::min(next, start + std::chrono::duration_cast<Clock::duration>(offset));
  }
  for (const Slot& slot : slots) {
    if (slot.phase != Slot::Phase::idle) next = std::min(next, slot.deadline);
  }
  const auto left = std::max<std::chrono::nanoseconds>(next - Clock::now(), std::chrono::nanoseconds(0));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  return {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
}

// Gives every request that is due to a free slot of its kind.
void LoadClient::State::schedule() {
  if (stopping) return;
  const auto now = Clock::now();
  if (spec.per_second > 0) {
    const double due = std::chrono::duration<double>(now - start).count() * spec.per_second;
    while (scheduled < limit() && static_cast<double>(scheduled) <= due) {
      const std::chrono::duration<double> offset(static_cast<double>(scheduled) / spec.per_second);
      waiting[spec.all_kept ? 1 : scheduled % 2].push_back(
          start + std::chrono::duration_cast<Clock::duration>(offset));
      ++scheduled;
    }
  }
  const std::size_t first = next_slot;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::size_t at = (first + i) % slots.size();
    Slot& slot = slots[at];
    if (slot.phase != Slot::Phase::idle) continue;
    std::deque<Clock::time_point>& queue = waiting[slot.keeps ? 1 : 0];
    Clock::time_point due = now;
    if (spec.per_second > 0) {
      if (queue.empty()) continue;
      due = queue.front();
      queue.pop_front();
    } else {
      if (scheduled >= limit()) return;
      ++scheduled;
    }
    next_slot = at + 1;
    begin(slot, due);
  }
}

void LoadClient::State::begin(Slot& slot, Clock::time_point due) {
  {
    const std::scoped_lock lock(mutex);
    ++report.sent;
  }
  slot.due = due;
  slot.deadline = Clock::now() + spec.timeout;
  slot.sent = 0;
  slot.in.clear();
  if (slot.fd) {
    char byte = '\0';
    if (::recv(slot.fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
      slot.fd.reset();  // closed cleanly while it was idle
      const std::scoped_lock lock(mutex);
      ++report.reopened;
    }
  }
  if (!slot.fd) {
    connect(slot);
    return;
  }
  slot.phase = Slot::Phase::sending;
  send(slot);
}

void LoadClient::State::connect(Slot& slot) {
  slot.fd = UniqueFd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(slot.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  slot.phase = Slot::Phase::connecting;
  const int made =
      ::connect(slot.fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
  if (made != 0 && errno != EINPROGRESS) not_connected(slot, errno);
}

void LoadClient::State::advance(Slot& slot, short /*events*/) {
  if (slot.phase == Slot::Phase::connecting) {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(slot.fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) {
      not_connected(slot, code);
      return;
    }
    slot.phase = Slot::Phase::sending;
  }
  if (slot.phase == Slot::Phase::sending) {
    send(slot);
    return;
  }
  receive(slot);
}

void LoadClient::State::send(Slot& slot) {
  const std::string& request = slot.keeps ? keep_request : close_request;
  while (slot.sent < request.size()) {
    const ssize_t count = ::send(slot.fd.get(), request.data() + slot.sent, request.size() - slot.sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) {
      failed(slot, fmt::format("send: {}", ::strerrordesc_np(errno)));
      return;
    }
    slot.sent += static_cast<std::size_t>(count);
  }
  slot.phase = Slot::Phase::receiving;
}

void LoadClient::State::receive(Slot& slot) {
  std::array<char, 4096> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
  const ssize_t got = ::recv(slot.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (slot.phase == Slot::Phase::closing) {
    // The answer is in; the server ends first, so that its side and not ours keeps the port in TIME_WAIT.
    if (got > 0) return;
    slot.fd.reset();
    slot.phase = Slot::Phase::idle;
    return;
  }
  if (got < 0) {
    failed(slot, fmt::format("receive: {}", ::strerrordesc_np(errno)));
    return;
  }
  if (got == 0) {
    failed(slot, fmt::format("connection ended after {} bytes of an answer", slot.in.size()));
    return;
  }
  slot.in.append(bytes.data(), static_cast<std::size_t>(got));
  const std::optional<Response> response = parse_response(slot.in);
  if (!response) return;
  if (!response->ok) {
    failed(slot, response->status);
    return;
  }
  good(slot, *response);
}

void LoadClient::State::good(Slot& slot, const Response& response) {
  const auto now = Clock::now();
  slot.phase = response.closes || !slot.keeps ? Slot::Phase::closing : Slot::Phase::idle;
  const std::scoped_lock lock(mutex);
  ++report.ok;
  ++report.versions[response.body];
  if (response.closes && slot.keeps) ++report.reopened;
  report.longest_gap_ms = std::max(report.longest_gap_ms, ms(now - last_good));
  report.slowest_ms = std::max(report.slowest_ms, ms(now - slot.due));
  latencies.push_back(static_cast<float>(ms(now - slot.due)));
  last_good = now;
  changed.notify_all();
}

void LoadClient::State::not_connected(Slot& slot, int code) {
  if (code == ECONNREFUSED) {
    const std::scoped_lock lock(mutex);
    ++report.refused;
  }
  failed(slot, fmt::format("connect: {}", ::strerrordesc_np(code)));
}

void LoadClient::State::failed(Slot& slot, const std::string& why) {
  const bool counts = slot.phase != Slot::Phase::closing;  // else its answer was counted already
  slot.fd.reset();
  slot.phase = Slot::Phase::idle;
  if (!counts) return;
  const std::scoped_lock lock(mutex);
  ++report.failed;
  if (report.failures.size() < kFailuresTold) {
    report.failures.push_back(fmt::format("{} connection: {}", slot.keeps ? "kept" : "new", why));
  }
  changed.notify_all();
}

// With the mutex held.
LoadReport LoadClient::State::summary() {
  if (latencies.empty()) return report;
  for (const auto& [to, percent] : {std::pair{&report.median_ms, 50U}, std::pair{&report.p99_ms, 99U}}) {
    const std::size_t at = latencies.size() * percent / 100;
    std::ranges::nth_element(latencies, latencies.begin() + static_cast<std::ptrdiff_t>(at));
    *to = latencies[at];
  }
  return report;
}

LoadReport LoadClient::State::join() {
  if (thread.joinable()) thread.join();
  const std::scoped_lock lock(mutex);
  return summary();
}

LoadClient::LoadClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

LoadClient::~LoadClient() {
  stop();
}

Result<std::unique_ptr<LoadClient>> LoadClient::start(LoadSpec spec) {
  auto state = std::make_unique<State>();
  SB_TRY(state->address, parse_address(spec.address));
  const auto request = [&](const char* connection) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: {}\r\n\r\n", spec.path, spec.address,
                       connection);
  };
  state->keep_request = request("keep-alive");
  state->close_request = request("close");
  state->wake = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->wake) return fail(errno_error("cannot create an eventfd"));
  state->slots.resize(static_cast<std::size_t>(std::max(1, (spec.connections + 1) / 2)) * 2);
  for (std::size_t i = 0; i < state->slots.size(); ++i) state->slots[i].keeps = spec.all_kept || i % 2 == 1;
  state->spec = std::move(spec);
  State* raw = state.get();
  state->thread = std::thread([raw] { raw->run(); });
  return std::unique_ptr<LoadClient>(new LoadClient(std::move(state)));
}

bool LoadClient::wait_until(const std::function<bool(const LoadReport&)>& condition) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->ended || condition(state_->report); });
  return condition(state_->report);
}

LoadReport LoadClient::lap() {
  const std::scoped_lock lock(state_->mutex);
  LoadReport lap = state_->summary();
  // What is on its way is answered in the next one.
  const std::uint64_t on_their_way = lap.sent - lap.ok - lap.failed;
  lap.sent -= on_their_way;
  state_->report = {};
  state_->report.sent = on_their_way;
  state_->latencies.clear();
  return lap;
}

LoadReport LoadClient::stop() {
  state_->stopping = true;
  const std::uint64_t one = 1;
  (void)!::write(state_->wake.get(), &one, sizeof one);
  return state_->join();
}

LoadReport LoadClient::finish() {
  return state_->join();
}

Json to_json(const LoadReport& report) {
  return {{"sent", report.sent},
          {"ok", report.ok},
          {"failed", report.failed},
          {"refused", report.refused},
          {"reopened", report.reopened},
          {"longest_gap_ms", report.longest_gap_ms},
          {"slowest_ms", report.slowest_ms},
          {"median_ms", report.median_ms},
          {"p99_ms", report.p99_ms},
          {"versions", report.versions},
          {"failures", report.failures}};
}

}  // namespace sb::tests
