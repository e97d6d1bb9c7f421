// RemoteStore by HTTP: many transfers at a time on a bounded number of connections that are kept (over TLS,
// with a server that has HTTP/2, on one).
#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"
#include "cache/remote_store.h"
#include "os/curl.h"

namespace sb::cache {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kAtOnce = 128;  // transfers, and connections where each needs its own
constexpr long kOk = 200;
constexpr long kCreated = 201;
constexpr long kNoContent = 204;
constexpr long kNotFound = 404;

struct FreeEasy {
  void operator()(CURL* handle) const { os::curl().easy_cleanup(handle); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { os::curl().multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { os::curl().slist_free_all(list); }
};

enum class Verb : std::uint8_t { get, put, head };

struct Transfer {
  std::unique_ptr<CURL, FreeEasy> curl;
  std::size_t index = 0;
  std::string body;
  std::uint64_t largest = 0;
  bool too_long = false;
  std::string_view upload;
  steady_clock::time_point* heard = nullptr;
};

std::size_t on_body(char* bytes, std::size_t /*one*/, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  *transfer.heard = steady_clock::now();
  if (transfer.body.size() + size > transfer.largest) {
    transfer.too_long = true;
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.body.append(bytes, size);
  return size;
}

std::size_t on_upload(char* to, std::size_t one, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  *transfer.heard = steady_clock::now();
  const std::size_t n = std::min(one * size, transfer.upload.size());
  std::memcpy(to, transfer.upload.data(), n);
  transfer.upload.remove_prefix(n);
  return n;
}

class HttpStore final : public RemoteStore {
 public:
  HttpStore(RemoteAddress address, std::string bearer, const RemoteLimits& limits)
      : address_(std::move(address)),
        bearer_(std::move(bearer)),
        limits_(limits),
        multi_(os::curl().multi_init()) {
    os::curl().multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(kAtOnce));
    os::curl().multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(kAtOnce));
    os::curl().multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    // No "Expect: 100-continue": it costs a round trip, or a second of waiting.
    for (const char* line : {"Expect:", "Content-Type: application/octet-stream"})
      headers_.reset(os::curl().slist_append(headers_.release(), line));
  }

  Status get_many(std::span<const Wanted> wanted, Deadline deadline, const Sink& sink) override {
    return perform({.count = wanted.size(),
                    .verb = Verb::get,
                    .name = [&](std::size_t i) -> const RemoteName& { return wanted[i].name; },
                    .largest = [&](std::size_t i) { return std::max(wanted[i].largest, kLargestTalk); },
                    .upload = {},
                    .answer = [&](Transfer& transfer, long code) -> Status {
                      if (code != kOk) return code == kNotFound ? Status() : refused(code);
                      if (transfer.body.size() <= wanted[transfer.index].largest)
                        sink(transfer.index, std::move(transfer.body));
                      return {};
                    }},
                   deadline);
  }

  Status put_many(std::span<const Offered> offered, Deadline deadline) override {
    return perform({.count = offered.size(),
                    .verb = Verb::put,
                    .name = [&](std::size_t i) -> const RemoteName& { return offered[i].name; },
                    .largest = [](std::size_t) { return kLargestTalk; },
                    .upload = [&](std::size_t i) { return std::string_view(offered[i].bytes); },
                    .answer = [](Transfer&, long code) -> Status {
                      return code == kOk || code == kCreated || code == kNoContent ? Status() : refused(code);
                    }},
                   deadline);
  }

  Result<std::vector<bool>> have_many(std::span<const RemoteName> names, Deadline deadline) override {
    std::vector<bool> have(names.size());
    SB_CHECK(perform({.count = names.size(),
                      .verb = Verb::head,
                      .name = [&](std::size_t i) -> const RemoteName& { return names[i]; },
                      .largest = [](std::size_t) { return kLargestTalk; },
                      .upload = {},
                      .answer = [&](Transfer& transfer, long code) -> Status {
                        have[transfer.index] = code == kOk;
                        return code == kOk || code == kNotFound ? Status() : refused(code);
                      }},
                     deadline));
    return have;
  }

  [[nodiscard]] std::uint64_t answers() const override { return answers_; }

 private:
  static constexpr std::uint64_t kLargestTalk = 64 << 10;  // of an answer that only its code matters of

  struct Batch {
    std::size_t count;
    Verb verb;
    std::function<const RemoteName&(std::size_t)> name;
    std::function<std::uint64_t(std::size_t)> largest;
    std::function<std::string_view(std::size_t)> upload;
    std::function<Status(Transfer&, long)> answer;
  };

  static std::unexpected<Error> refused(long code) {
    return fail(ErrorKind::environment, fmt::format("it answers with HTTP status {}", code));
  }

  Status perform(const Batch& batch, Deadline deadline) {
    Status done = run(batch, deadline);
    // In the middle of things there is no use for a connection any more.
    for (Transfer& transfer : transfers_) os::curl().multi_remove_handle(multi_.get(), transfer.curl.get());
    if (!done) transfers_.clear();
    return done;
  }

  Status run(const Batch& batch, Deadline deadline) {
    heard_ = steady_clock::now();
    while (transfers_.size() < std::min(kAtOnce, batch.count)) {
      Transfer& fresh = transfers_.emplace_back();
      fresh.curl.reset(os::curl().easy_init());
      fresh.heard = &heard_;
      if (!fresh.curl) return fail(ErrorKind::environment, "no memory for a transfer");
    }
    std::size_t next = 0;
    std::size_t answered = 0;
    for (Transfer& transfer : transfers_) {
      if (next < batch.count) begin(batch, next++, transfer, deadline);
    }
    while (answered < batch.count) {
      int running = 0;
      if (os::curl().multi_perform(multi_.get(), &running) != CURLM_OK)
        return fail(ErrorKind::environment, "the transfers cannot go on");
      int left = 0;
      while (const CURLMsg* message = os::curl().multi_info_read(multi_.get(), &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode code = message->data.result;
        Transfer& transfer = *std::ranges::find_if(
            transfers_, [&](const Transfer& each) { return each.curl.get() == message->easy_handle; });
        os::curl().multi_remove_handle(multi_.get(), transfer.curl.get());
        SB_CHECK(finish(batch, transfer, code));
        ++answered;
        heard_ = steady_clock::now();
        if (next < batch.count) begin(batch, next++, transfer, deadline);
      }
      if (answered == batch.count) break;
      const auto now = steady_clock::now();
      const auto until = std::min(deadline, Deadline(heard_ + limits_.silence));
      if (now >= until)
        return fail(ErrorKind::interrupted,
                    now >= deadline ? "it takes too long"
                                    : fmt::format("it said nothing for {}", human_duration(limits_.silence)));
      const auto wait = duration_cast<milliseconds>(until - now).count() + 1;
      os::curl().multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait), nullptr);
    }
    return {};
  }

  Status finish(const Batch& batch, Transfer& transfer, CURLcode code) {
    if (transfer.too_long) {  // not what was asked for; the others may be
      ++answers_;
      return {};
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_OPERATION_TIMEDOUT)
      return fail(ErrorKind::environment,
                  fmt::format("it cannot be reached: {}", os::curl().easy_strerror(code)));
    if (code != CURLE_OK)
      return fail(ErrorKind::environment,
                  fmt::format("the connection broke: {}", os::curl().easy_strerror(code)));
    long status = 0;
    os::curl().easy_getinfo(transfer.curl.get(), CURLINFO_RESPONSE_CODE, &status);
    ++answers_;
    return batch.answer(transfer, status);
  }

  void begin(const Batch& batch, std::size_t index, Transfer& transfer, Deadline deadline) {
    CURL* handle = transfer.curl.get();
    const RemoteName& name = batch.name(index);
    transfer.index = index;
    transfer.body.clear();
    transfer.too_long = false;
    transfer.largest = batch.largest(index);
    os::curl().easy_reset(handle);
    const std::string url =
        fmt::format("{}/{}/{}", address_.base, name.shelf == Shelf::blobs ? "cas" : "ac", name.sha256);
    const auto left = duration_cast<milliseconds>(deadline - steady_clock::now());
    const milliseconds limit = std::max(milliseconds(1), std::min(limits_.connect, left));
    os::curl().easy_setopt(handle, CURLOPT_URL, url.c_str());
    os::curl().easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    os::curl().easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limit.count()));
    os::curl().easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    os::curl().easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // a slow name server holds nobody up
    os::curl().easy_setopt(handle, CURLOPT_PROXY, "");
    os::curl().easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
    os::curl().easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    os::curl().easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
    if (!address_.user.empty() || !address_.password.empty()) {
      os::curl().easy_setopt(handle, CURLOPT_USERNAME, address_.user.c_str());
      os::curl().easy_setopt(handle, CURLOPT_PASSWORD, address_.password.c_str());
    } else if (!bearer_.empty()) {
      os::curl().easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      os::curl().easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, bearer_.c_str());
    }
    if (batch.verb == Verb::head) os::curl().easy_setopt(handle, CURLOPT_NOBODY, 1L);
    if (batch.verb == Verb::put) {
      transfer.upload = batch.upload(index);
      os::curl().easy_setopt(handle, CURLOPT_UPLOAD, 1L);
      os::curl().easy_setopt(handle, CURLOPT_READFUNCTION, on_upload);
      os::curl().easy_setopt(handle, CURLOPT_READDATA, &transfer);
      os::curl().easy_setopt(handle, CURLOPT_INFILESIZE_LARGE,
                             static_cast<curl_off_t>(transfer.upload.size()));
    }
    os::curl().multi_add_handle(multi_.get(), handle);
  }

  RemoteAddress address_;
  std::string bearer_;
  RemoteLimits limits_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::deque<Transfer> transfers_;  // after multi_: none is in it when it goes
  steady_clock::time_point heard_;
  std::uint64_t answers_ = 0;
};

}  // namespace

std::unique_ptr<RemoteStore> make_http_store(RemoteAddress address, std::string bearer,
                                             const RemoteLimits& limits) {
  return std::make_unique<HttpStore>(std::move(address), std::move(bearer), limits);
}

}  // namespace sb::cache
