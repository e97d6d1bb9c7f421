// RemoteStore in Redis: commands are written as fast as the socket takes them, while the answers are read.
//
// hiredis formats and parses; the socket is ours, because a batch has one deadline, and hiredis only knows
// one for each read. libcurl connects: it looks up names without blocking beyond its time-out.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/text.h"
#include "cache/remote_store.h"
#include "os/curl.h"

namespace sb::cache {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kPending = 256 << 10;  // bytes that are formatted before they can be sent
constexpr std::uint64_t kLineSize = 4096;    // more than any answer but a value has
constexpr int kShownColumns = 100;

struct Reply {
  enum class Kind : std::uint8_t { nil, text, status, integer, error };
  Kind kind = Kind::nil;
  std::string text;
  long long number = 0;
};

// hiredis builds our own replies. An array is none that we ask for, and its length is the other side's claim.
void* make_text(const redisReadTask* task, char* text, std::size_t size) {
  if (task->parent != nullptr) return nullptr;
  const Reply::Kind kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                           : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                              : Reply::Kind::text;
  return std::make_unique<Reply>(Reply{.kind = kind, .text = std::string(text, size), .number = 0}).release();
}
void* make_array(const redisReadTask* /*task*/, int /*size*/) {
  return nullptr;
}
void* make_integer(const redisReadTask* task, long long number) {
  if (task->parent != nullptr) return nullptr;
  return std::make_unique<Reply>(Reply{.kind = Reply::Kind::integer, .text = {}, .number = number}).release();
}
void* make_nil(const redisReadTask* task) {
  if (task->parent != nullptr) return nullptr;
  return std::make_unique<Reply>().release();
}
void free_reply(void* reply) {
  const std::unique_ptr<Reply> owned(static_cast<Reply*>(reply));
}

struct FreeReader {
  void operator()(redisReader* reader) const { ::redisReaderFree(reader); }
};
struct FreeCurl {
  void operator()(CURL* handle) const { os::curl().easy_cleanup(handle); }
};

class RedisStore final : public RemoteStore {
 public:
  RedisStore(RemoteAddress address, const RemoteLimits& limits)
      : address_(std::move(address)), limits_(limits) {
    functions_.createString = make_text;
    functions_.createArray = make_array;
    functions_.createInteger = make_integer;
    functions_.createNil = make_nil;
    functions_.freeObject = free_reply;
  }

  Status get_many(std::span<const Wanted> wanted, Deadline deadline, const Sink& sink) override {
    return exchange(
        {.count = wanted.size(),
         .command =
             [&](std::size_t i) { return std::vector<std::string_view>{"GET", named(wanted[i].name)}; },
         .largest = [&](std::size_t i) { return wanted[i].largest; },
         .answer = [&](std::size_t i, Reply& reply) -> Status {
           if (reply.kind == Reply::Kind::nil) return {};
           if (reply.kind != Reply::Kind::text) return not_understood(reply);
           if (reply.text.size() <= wanted[i].largest) sink(i, std::move(reply.text));
           return {};
         }},
        deadline);
  }

  Status put_many(std::span<const Offered> offered, Deadline deadline) override {
    return exchange({.count = offered.size(),
                     .command =
                         [&](std::size_t i) {
                           return std::vector<std::string_view>{"SET", named(offered[i].name),
                                                                offered[i].bytes};
                         },
                     .largest = [](std::size_t) { return std::uint64_t{0}; },
                     .answer = [](std::size_t, Reply& reply) -> Status {
                       return reply.kind == Reply::Kind::status ? Status() : not_understood(reply);
                     }},
                    deadline);
  }

  Result<std::vector<bool>> have_many(std::span<const RemoteName> names, Deadline deadline) override {
    std::vector<bool> have(names.size());
    SB_CHECK(exchange(
        {.count = names.size(),
         .command = [&](std::size_t i) { return std::vector<std::string_view>{"EXISTS", named(names[i])}; },
         .largest = [](std::size_t) { return std::uint64_t{0}; },
         .answer = [&](std::size_t i, Reply& reply) -> Status {
           if (reply.kind != Reply::Kind::integer) return not_understood(reply);
           have[i] = reply.number == 1;
           return {};
         }},
        deadline));
    return have;
  }

  [[nodiscard]] std::uint64_t answers() const override { return answers_; }

 private:
  struct Batch {
    std::size_t count;
    std::function<std::vector<std::string_view>(std::size_t)> command;  // views good until the next call
    std::function<std::uint64_t(std::size_t)> largest;                  // of an answer, in bytes
    std::function<Status(std::size_t, Reply&)> answer;
  };

  std::string_view named(const RemoteName& name) {
    key_ = fmt::format("selfbuild:{}:{}", name.shelf == Shelf::blobs ? "cas" : "ac", name.sha256);
    return key_;
  }

  static std::unexpected<Error> not_understood(const Reply& reply) {
    Error error = make_error(ErrorKind::environment, "it gives an answer that makes no sense");
    if (reply.kind == Reply::Kind::error)
      error.what = fmt::format("it says \"{}\"", cut_to_columns(reply.text, kShownColumns));
    return fail(std::move(error));
  }

  Status exchange(const Batch& batch, Deadline deadline) {
    if (batch.count == 0) return {};
    Status done = [&]() -> Status {
      if (!curl_) SB_CHECK(connect(deadline));
      return pump(batch, deadline);
    }();
    // What is still under way would be taken for the answer to the next question.
    if (!done) disconnect();
    return done;
  }

  Status connect(Deadline deadline) {
    curl_.reset(os::curl().easy_init());
    reader_.reset(::redisReaderCreateWithFunctions(&functions_));
    if (!curl_ || !reader_) return fail(ErrorKind::environment, "no memory for a connection");
    const auto left = duration_cast<milliseconds>(deadline - steady_clock::now());
    const milliseconds limit = std::max(milliseconds(1), std::min(limits_.connect, left));
    os::curl().easy_setopt(curl_.get(), CURLOPT_URL, address_.connect.c_str());
    os::curl().easy_setopt(curl_.get(), CURLOPT_CONNECT_ONLY, 1L);
    os::curl().easy_setopt(curl_.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limit.count()));
    os::curl().easy_setopt(curl_.get(), CURLOPT_NOSIGNAL, 1L);
    os::curl().easy_setopt(curl_.get(), CURLOPT_QUICK_EXIT, 1L);  // a slow name server holds nobody up
    os::curl().easy_setopt(curl_.get(), CURLOPT_PROXY, "");
    const CURLcode code = os::curl().easy_perform(curl_.get());
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (code != CURLE_OK ||
        os::curl().easy_getinfo(curl_.get(), CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK ||
        socket == CURL_SOCKET_BAD)
      return fail(ErrorKind::environment,
                  fmt::format("it cannot be reached: {}", os::curl().easy_strerror(code)));
    socket_ = socket;
    prelude_.clear();
    if (!address_.password.empty()) {
      prelude_.push_back({"AUTH"});
      if (!address_.user.empty()) prelude_.back().push_back(address_.user);
      prelude_.back().push_back(address_.password);
    }
    if (address_.database != 0) prelude_.push_back({"SELECT", std::to_string(address_.database)});
    return {};
  }

  void disconnect() {
    curl_.reset();
    reader_.reset();
    socket_ = -1;
    prelude_.clear();
    out_.clear();
    sent_ = 0;
  }

  Status append(const std::vector<std::string_view>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    char* formatted = nullptr;
    const int size =
        ::redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) return fail(ErrorKind::environment, "a command cannot be formatted");
    out_.append(formatted, static_cast<std::size_t>(size));
    ::redisFreeCommand(formatted);
    return {};
  }

  Status pump(const Batch& batch, Deadline deadline) {
    const std::size_t before = prelude_.size();
    const std::size_t all = before + batch.count;
    std::size_t written = 0;
    std::size_t answered = 0;
    std::uint64_t unparsed = 0;  // bytes of an answer that is not whole yet
    auto heard = steady_clock::now();
    while (answered < all) {
      for (; written < all && out_.size() - sent_ < kPending; ++written) {
        if (written >= before) {
          SB_CHECK(append(batch.command(written - before)));
        } else {
          SB_CHECK(append({prelude_[written].begin(), prelude_[written].end()}));
        }
      }
      const auto now = steady_clock::now();
      const auto until = std::min(deadline, Deadline(heard + limits_.silence));
      if (now >= until)
        return fail(ErrorKind::interrupted,
                    now >= deadline ? "it takes too long"
                                    : fmt::format("it said nothing for {}", human_duration(limits_.silence)));
      pollfd ready{.fd = socket_,
                   .events = static_cast<short>(sent_ < out_.size() ? POLLIN | POLLOUT : POLLIN),
                   .revents = 0};
      const auto wait = duration_cast<milliseconds>(until - now).count() + 1;
      if (::poll(&ready, 1, static_cast<int>(wait)) < 0 && errno != EINTR)
        return fail(errno_error("cannot wait for it"));
      if ((ready.revents & POLLOUT) != 0) {
        SB_TRY(const bool progress, send());
        if (progress) heard = steady_clock::now();
      }
      if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      std::array<char, 64 << 10> block;  // NOLINT(cppcoreguidelines-pro-type-member-init): it is read into
      const ssize_t n = ::recv(socket_, block.data(), block.size(), MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n < 0) return fail(errno_error("the connection broke"));
      if (n == 0) return fail(ErrorKind::environment, "it closed the connection");
      heard = steady_clock::now();
      unparsed += static_cast<std::uint64_t>(n);
      if (::redisReaderFeed(reader_.get(), block.data(), static_cast<std::size_t>(n)) != REDIS_OK)
        return fail(ErrorKind::environment, "its answer cannot be read");
      while (answered < all) {
        void* object = nullptr;
        if (::redisReaderGetReply(reader_.get(), &object) != REDIS_OK)
          return fail(ErrorKind::environment, "it gives an answer that makes no sense");
        if (object == nullptr) break;
        const std::unique_ptr<Reply> reply(static_cast<Reply*>(object));
        ++answers_;
        unparsed = 0;  // what follows it in the block is at most a block
        if (answered < before) {
          if (reply->kind != Reply::Kind::status) return not_understood(*reply);
        } else {
          SB_CHECK(batch.answer(answered - before, *reply));
        }
        ++answered;
      }
      if (answered == all) break;
      const std::uint64_t largest = answered < before ? 0 : batch.largest(answered - before);
      if (unparsed > largest + kLineSize + block.size())
        return fail(ErrorKind::environment, "it sends more than was asked for");
    }
    prelude_.clear();
    return {};
  }

  Result<bool> send() {
    const ssize_t n = ::send(socket_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n < 0) return fail(errno_error("the connection broke"));
    sent_ += static_cast<std::size_t>(n);
    if (sent_ == out_.size()) {
      out_.clear();
      sent_ = 0;
    } else if (sent_ > kPending) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    return true;
  }

  RemoteAddress address_;
  RemoteLimits limits_;
  redisReplyObjectFunctions functions_{};
  std::unique_ptr<CURL, FreeCurl> curl_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  int socket_ = -1;                                // curl_'s
  std::vector<std::vector<std::string>> prelude_;  // what a fresh connection is told first
  std::string out_;
  std::size_t sent_ = 0;
  std::string key_;
  std::uint64_t answers_ = 0;
};

}  // namespace

std::unique_ptr<RemoteStore> make_redis_store(RemoteAddress address, const RemoteLimits& limits) {
  return std::make_unique<RedisStore>(std::move(address), limits);
}

}  // namespace sb::cache
