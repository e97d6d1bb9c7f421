#include "cache/remote_tier.h"

#include <algorithm>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "base/text.h"
#include "cache/remote_record.h"
#include "cache/wire.h"
#include "os/file_system.h"

namespace sb::cache {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kMost{30'000};
constexpr milliseconds kOfUnknown{5};  // a tenth of the 50 ms that an edge takes at least
constexpr std::int64_t kFirstBackoffMs = 30'000;
constexpr std::int64_t kLastBackoffMs = 600'000;
constexpr std::size_t kLargestOutbox = 256 << 20;
constexpr std::string_view kOutboxFormat = "selfbuild outbox 1\n";

fs::path folder_in(const fs::path& cache) {
  return cache / "remote";
}

fs::path outbox(const fs::path& folder, std::int64_t owner) {
  return folder / fmt::format("outbox-{}", owner);
}

// Results wait here for the verdict on their cycle.
std::string outbox_text(const RemoteSettings& settings, const std::vector<Publication>& made) {
  std::string text(kOutboxFormat);
  put_text(text, settings.url);
  put_text(text, settings.secret_environment);
  put_text(text, settings.secret_file);
  put_number(text, made.size());
  for (const Publication& each : made) {
    Bundle bundle;
    RemoteResult result{.key = each.key, .list = std::nullopt, .result = each.result, .blobs = {}};
    if (each.list) result.list = 0;
    add_result(bundle, result, each.list.value_or(std::vector<std::string>()));
    text += each.action.bytes();
    put_text(text, to_bytes(bundle, each.action));
  }
  return text;
}

std::optional<std::pair<RemoteSettings, std::vector<Publication>>> outbox_from(std::string_view text) {
  if (!text.starts_with(kOutboxFormat)) return std::nullopt;
  WireReader reader(text.substr(kOutboxFormat.size()));
  RemoteSettings settings;
  settings.url = reader.text(reader.number());
  settings.secret_environment = reader.text(reader.number());
  settings.secret_file = reader.text(reader.number());
  std::vector<Publication> made;
  const std::uint64_t count = reader.number();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Publication& each = made.emplace_back();
    each.action = Key::from_bytes(reader.text(16));
    Result<Bundle> bundle = bundle_from(reader.text(reader.number()), each.action);
    if (!bundle || bundle->results.size() != 1) return std::nullopt;
    RemoteResult& result = bundle->results.front();
    each.key = result.key;
    each.result = std::move(result.result);
    if (result.list) each.list = std::move(bundle->lists[*result.list]);
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return std::pair(std::move(settings), std::move(made));
}

struct Backoff {
  std::int64_t until_ms = 0;
  std::int64_t delay_ms = 0;
};

Backoff read_backoff(const fs::path& file) {
  Backoff backoff;
  std::ifstream in(file);
  if (!(in >> backoff.until_ms >> backoff.delay_ms)) return {};
  return backoff;
}

}  // namespace

RemoteTier::RemoteTier(RemoteSettings settings, fs::path cache, const artifacts::OutputPool& pool,
                       std::int64_t now_ms, const RemoteLimits& limits)
    : settings_(std::move(settings)),
      folder_(folder_in(cache)),
      pool_(pool),
      now_ms_(now_ms),
      limits_(limits) {
  const Result<RemoteAddress> address = parse_remote_url(settings_.url);
  shown_ = address ? address->shown : "of this project";
}

milliseconds RemoteTier::allowance(std::size_t edges, std::int64_t took_ms, milliseconds least) {
  const std::int64_t processors = std::max(1U, std::thread::hardware_concurrency());
  const milliseconds unknown = least + kOfUnknown * static_cast<std::int64_t>(edges);
  return std::clamp(milliseconds(took_ms / 10 / processors), std::min(unknown, kMost), kMost);
}

fs::path RemoteTier::backoff_file() const {
  return folder_ / ("left-alone-" + key_of(settings_.url).hex());
}

void RemoteTier::note(std::string text) {
  if (use_.note.empty()) use_.note = fmt::format("the remote cache {} {}", shown_, std::move(text));
}

bool RemoteTier::usable() {
  if (left_alone_) return false;
  if (store_) return true;
  const Backoff backoff = read_backoff(backoff_file());
  // A clock that was set back must not make it wait for ever.
  if (now_ms_ < backoff.until_ms && backoff.until_ms - now_ms_ <= kLastBackoffMs) {
    left_alone_ = true;
    note(fmt::format("is left alone for another {}: it failed before",
                     human_duration(milliseconds(backoff.until_ms - now_ms_))));
    return false;
  }
  Result<std::unique_ptr<RemoteStore>> store = open_remote(settings_, limits_);
  if (!store) {
    left_alone_ = true;
    note("is not used: " + one_line(store.error()));
    return false;
  }
  store_ = *std::move(store);
  return true;
}

void RemoteTier::failed(const Error& error) {
  left_alone_ = true;
  const bool slow = error.kind == ErrorKind::interrupted && store_->answers() > 0;
  store_.reset();
  if (slow) {
    note(fmt::format("is used no further in this build: {}", one_line(error)));
    return;
  }
  const Backoff before = read_backoff(backoff_file());
  const std::int64_t delay =
      std::clamp(std::min(before.delay_ms, kLastBackoffMs) * 2, kFirstBackoffMs, kLastBackoffMs);
  note(fmt::format("is left alone for {}: {}", human_duration(milliseconds(delay)), one_line(error)));
  if (!os::make_folders(folder_)) return;
  std::ofstream(backoff_file()) << now_ms_ + delay << ' ' << delay << '\n';
}

void RemoteTier::worked() {
  std::error_code ignored;
  fs::remove(backoff_file(), ignored);
}

void RemoteTier::offer(std::vector<Publication> made, std::int64_t owner) {
  if (made.empty() || !settings_.write) return;
  if (owner != 0) {
    const Status kept = [&]() -> Status {
      SB_CHECK(os::make_folders(folder_));
      os::RealFileSystem files;
      return files.write_durably(outbox(folder_, owner), outbox_text(settings_, made), 0600);
    }();
    if (!kept) note("does not get what was built: " + one_line(kept.error()));
    return;
  }
  if (!usable()) return;
  const Status sent = send(std::move(made));
  if (sent) {
    worked();
  } else {
    failed(sent.error());
  }
}

std::string settle_remote(const fs::path& cache, const artifacts::OutputPool& pool, std::int64_t owner,
                          bool kept, std::int64_t now_ms) {
  const fs::path file = outbox(folder_in(cache), owner);
  const Result<std::string> text = os::read_file(file, kLargestOutbox);
  std::error_code ignored;
  fs::remove(file, ignored);
  if (!kept || !text || owner == 0) return {};
  auto waiting = outbox_from(*text);
  if (!waiting) return {};
  RemoteTier tier(std::move(waiting->first), cache, pool, now_ms);
  tier.offer(std::move(waiting->second), 0);
  return tier.use().note;
}

}  // namespace sb::cache
