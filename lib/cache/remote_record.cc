#include "cache/remote_record.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <zstd.h>

#include "base/digest.h"
#include "cache/wire.h"

namespace sb::cache {
namespace {

constexpr std::string_view kFormat = "selfbuild results 1\n";
constexpr std::string_view kNameFormat = "selfbuild action 1\n";
constexpr int kLevel = 3;
constexpr std::uint64_t kMostPaths = 1 << 16;
constexpr std::uint64_t kMostOutputs = 1 << 12;
constexpr std::uint64_t kLongestPath = 4096;
constexpr std::uint64_t kLongestPrinted = 256 << 10;
constexpr std::uint64_t kLongestRun = 24ULL * 3600 * 1000;
constexpr std::size_t kKeySize = 16;
constexpr std::size_t kShaSize = 32;

struct FreeUnpacker {
  void operator()(ZSTD_DCtx* unpacker) const { ::ZSTD_freeDCtx(unpacker); }
};

std::unexpected<Error> unreadable() {
  return fail(ErrorKind::corrupt, "a record of the remote cache cannot be read");
}

unsigned digit(char c) {
  return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10) & 0xFU;
}

// SHA-256 in 32 bytes; an empty one as zeros.
std::string to_raw(const std::string& hex) {
  std::string raw(kShaSize, '\0');
  for (std::size_t i = 0; i < kShaSize && hex.size() == 2 * kShaSize; ++i)
    raw[i] = static_cast<char>(digit(hex[2 * i]) << 4U | digit(hex[2 * i + 1]));
  return raw;
}

std::string to_hex(std::string_view raw) {
  if (raw.find_first_not_of('\0') == std::string_view::npos) return {};
  std::string hex;
  for (const char c : raw) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

void put_result(std::string& to, const RemoteResult& each) {
  to += each.key.bytes();
  put_number(to, each.list ? *each.list + 1 : 0);
  put_number(to, static_cast<std::uint64_t>(each.result.took_ms));
  put_text(to, each.result.printed);
  put_number(to, each.result.outputs.size());
  for (std::size_t i = 0; i < each.result.outputs.size(); ++i) {
    const Output& output = each.result.outputs[i];
    const StoredBlob blob = i < each.blobs.size() ? each.blobs[i] : StoredBlob{};
    put_number(to, static_cast<std::uint64_t>(output.kind));
    put_number(to, output.executable ? 1 : 0);
    put_text(to, output.path);
    put_text(to, output.link);
    to += output.id.digest.bytes();
    put_number(to, output.id.size);
    to += to_raw(blob.sha256);
    to += to_raw(blob.name);
    put_number(to, blob.size);
  }
}

// A text that is a path, or nothing.
std::string path_from(WireReader& reader, bool& good) {
  std::string path(reader.text_up_to(kLongestPath));
  good = good && path.find('\0') == std::string::npos;
  return path;
}

RemoteResult result_from(WireReader& reader, std::size_t lists, bool& good) {
  RemoteResult each;
  each.key = Key::from_bytes(reader.text(kKeySize));
  if (const std::uint64_t list = reader.number_up_to(lists); list > 0) each.list = list - 1;
  each.result.took_ms = static_cast<std::int64_t>(reader.number_up_to(kLongestRun));
  // It is shown to people: nothing that would move their cursor.
  for (const char c : reader.text_up_to(kLongestPrinted)) {
    if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') each.result.printed += c;
  }
  const std::uint64_t outputs = reader.number_up_to(kMostOutputs);
  for (std::uint64_t i = 0; i < outputs && reader.ok() && good; ++i) {
    Output output;
    StoredBlob blob;
    output.kind =
        static_cast<Output::Kind>(reader.number_up_to(static_cast<std::uint64_t>(Output::Kind::folder)));
    output.executable = reader.number_up_to(1) != 0;
    output.path = path_from(reader, good);
    output.link = path_from(reader, good);
    output.id.digest = Key::from_bytes(reader.text(kKeySize));
    output.id.size = reader.number_up_to(kLargestFile);
    blob.sha256 = to_hex(reader.text(kShaSize));
    blob.name = to_hex(reader.text(kShaSize));
    blob.size = reader.number_up_to(::ZSTD_compressBound(output.id.size));
    good = good && !output.path.empty() && (output.kind == Output::Kind::symlink) == !output.link.empty();
    each.result.outputs.push_back(std::move(output));
    each.blobs.push_back(std::move(blob));
  }
  return each;
}

}  // namespace

std::string bundle_name(const Key& action) {
  return sha256_hex(std::string(kNameFormat) + action.bytes());
}

std::string to_bytes(const Bundle& bundle, const Key& action) {
  std::string bytes(kFormat);
  bytes += action.bytes();
  put_number(bytes, bundle.lists.size());
  for (const auto& list : bundle.lists) {
    put_number(bytes, list.size());
    for (const std::string& path : list) put_text(bytes, path);
  }
  put_number(bytes, bundle.results.size());
  for (const RemoteResult& each : bundle.results) put_result(bytes, each);
  return bytes + to_raw(sha256_hex(bytes));
}

Result<Bundle> bundle_from(std::string_view bytes, const Key& action) {
  if (bytes.size() < kFormat.size() + kKeySize + kShaSize || !bytes.starts_with(kFormat)) return unreadable();
  const std::string_view body = bytes.substr(0, bytes.size() - kShaSize);
  if (to_raw(sha256_hex(body)) != bytes.substr(body.size())) return unreadable();
  WireReader reader(body.substr(kFormat.size()));
  if (Key::from_bytes(reader.text(kKeySize)) != action) return unreadable();
  Bundle bundle;
  bool good = true;
  const std::uint64_t lists = reader.number_up_to(kMostResults);
  for (std::uint64_t i = 0; i < lists && reader.ok() && good; ++i) {
    std::vector<std::string>& list = bundle.lists.emplace_back();
    const std::uint64_t paths = reader.number_up_to(kMostPaths);
    for (std::uint64_t j = 0; j < paths && reader.ok() && good; ++j) {
      list.push_back(path_from(reader, good));
      good = good && !list.back().empty();
    }
  }
  const std::uint64_t results = reader.number_up_to(kMostResults);
  for (std::uint64_t i = 0; i < results && reader.ok() && good; ++i)
    bundle.results.push_back(result_from(reader, bundle.lists.size(), good));
  if (!good || !reader.ok() || !reader.at_end()) return unreadable();
  return bundle;
}

void add_result(Bundle& bundle, const RemoteResult& result, std::vector<std::string> list) {
  std::erase_if(bundle.results, [&](const RemoteResult& other) { return other.key == result.key; });
  if (bundle.results.size() >= kMostResults) bundle.results.resize(kMostResults - 1);
  bundle.results.insert(bundle.results.begin(), result);
  RemoteResult& fresh = bundle.results.front();
  if (fresh.list) {
    auto same = std::ranges::find(bundle.lists, list);
    if (same == bundle.lists.end()) same = bundle.lists.insert(same, std::move(list));
    fresh.list = static_cast<std::size_t>(same - bundle.lists.begin());
  }
  std::vector<std::vector<std::string>> used;
  std::vector<std::optional<std::size_t>> moved(bundle.lists.size());
  for (RemoteResult& each : bundle.results) {
    if (!each.list) continue;
    std::optional<std::size_t>& to = moved[*each.list];
    if (!to) {
      to = used.size();
      used.push_back(std::move(bundle.lists[*each.list]));
    }
    each.list = to;
  }
  bundle.lists = std::move(used);
}

Result<std::string> pack(std::string_view bytes) {
  std::string packed(::ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ::ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), kLevel);
  if (::ZSTD_isError(size) != 0) return fail(ErrorKind::environment, "zstd cannot compress");
  packed.resize(size);
  return packed;
}

Result<std::string> unpack(std::string_view packed, std::uint64_t largest) {
  // The frame tells its size, and zstd never writes beyond what we make room for.
  const unsigned long long size = ::ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > largest)
    return unreadable();
  // Of the thread's own: to make one takes longer than to unpack an object file.
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeUnpacker> kUnpacker(::ZSTD_createDCtx());
  if (!kUnpacker) return unreadable();
  std::string bytes(size, '\0');
  const std::size_t got =
      ::ZSTD_decompressDCtx(kUnpacker.get(), bytes.data(), bytes.size(), packed.data(), packed.size());
  if (::ZSTD_isError(got) != 0 || got != size) return unreadable();
  return bytes;
}

}  // namespace sb::cache
