#include "ninja/deps_log.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "ninja/files.h"
#include "os/file_system.h"

namespace sb::ninja {
namespace {

// A file is the header and records: four bytes of length, whose top bit tells dependencies from a path.
//   a path         its bytes, filled up with NUL to a multiple of four, and ~ of its number
//   dependencies   the number of the output, its mtime (low half, high half), the numbers of the paths
// Numbers are 32 bits in the machine's order; a path's number is its place among the paths.
constexpr std::string_view kDepsName = ".ninja_deps";
constexpr std::string_view kDepsSignature = "# ninjadeps\n";
constexpr std::uint32_t kVersion = 4;
constexpr std::uint32_t kIsDeps = 1U << 31U;
constexpr std::size_t kMaxRecord = (1UL << 19U) - 1;  // Ninja refuses longer ones

void put(std::string& out, std::uint32_t number) {
  char bytes[4];
  std::memcpy(bytes, &number, 4);
  out.append(bytes, 4);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, 4);
  return number;
}

// The next record, taken from the front of bytes; false when it is not whole.
struct Record {
  bool is_deps = false;
  std::string_view body;
};
bool take_record(std::string_view& bytes, Record& record) {
  if (bytes.size() < 4) return false;
  const std::uint32_t head = number_at(bytes, 0);
  const std::size_t length = head & ~kIsDeps;
  if (length > kMaxRecord || length > bytes.size() - 4 || length % 4 != 0) return false;
  record = {.is_deps = (head & kIsDeps) != 0, .body = bytes.substr(4, length)};
  bytes.remove_prefix(4 + length);
  return true;
}

// The path of a record that is to have this number; empty when the record is damaged.
std::string_view path_of(std::string_view body, std::size_t number) {
  if (body.size() < 8 || number_at(body, body.size() - 4) != ~static_cast<std::uint32_t>(number)) return {};
  body.remove_suffix(4);
  for (int padding = 0; padding < 3 && body.ends_with('\0'); ++padding) body.remove_suffix(1);
  return body;
}

// Writes records, and numbers the paths in the order in which they come up: paths that nothing names any more
// are left out.
class Writer {
 public:
  explicit Writer(const DepsLog& log) : log_(log), numbers_(log.path_count(), kNone), out_(kDepsSignature) {
    put(out_, kVersion);
  }
  void write(DepsLog::PathId output, const DepsLog::Deps& deps) {
    const std::size_t length = 4 * (3 + deps.paths.size());
    const auto is_unwritable = [&](DepsLog::PathId id) {
      return log_.path(id).empty() || log_.path(id).size() + 8 > kMaxRecord;
    };
    // Without its record Ninja makes the output again.
    if (length > kMaxRecord || is_unwritable(output) || std::ranges::any_of(deps.paths, is_unwritable))
      return;
    write_path(output);
    for (const DepsLog::PathId path : deps.paths) write_path(path);
    put(out_, static_cast<std::uint32_t>(length) | kIsDeps);
    put(out_, numbers_[output]);
    const auto mtime = static_cast<std::uint64_t>(deps.mtime_ns);
    put(out_, static_cast<std::uint32_t>(mtime));
    put(out_, static_cast<std::uint32_t>(mtime >> 32U));
    for (const DepsLog::PathId path : deps.paths) put(out_, numbers_[path]);
  }
  [[nodiscard]] const std::string& bytes() const { return out_; }

 private:
  void write_path(DepsLog::PathId id) {
    if (numbers_[id] != kNone) return;
    const std::string& path = log_.path(id);
    const std::size_t padding = (4 - path.size() % 4) % 4;
    put(out_, static_cast<std::uint32_t>(path.size() + padding + 4));
    out_ += path;
    out_.append(padding, '\0');
    put(out_, ~next_);
    numbers_[id] = next_++;
  }
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  const DepsLog& log_;
  std::vector<std::uint32_t> numbers_;  // by PathId
  std::uint32_t next_ = 0;
  std::string out_;
};

}  // namespace

Result<DepsLog> DepsLog::load(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kDepsName;
  Result<std::string> text = read_regular_file(path, kLargestLog);
  DepsLog log;
  if (!text && text.error().kind == ErrorKind::not_found) return log;
  if (!text) return fail(std::move(text).error());
  std::string_view rest = *text;
  if (rest.empty()) return log;
  const std::size_t header = kDepsSignature.size() + 4;
  const bool known = rest.starts_with(kDepsSignature) && rest.size() >= header;
  if (!known || number_at(rest, kDepsSignature.size()) != kVersion) {
    const std::string version = known ? std::to_string(number_at(rest, kDepsSignature.size())) : "?";
    return fail(ErrorKind::environment, fmt::format("{} is of version {}; {} is the one that is known",
                                                    path.string(), version, kVersion));
  }
  rest.remove_prefix(header);
  for (Record record; take_record(rest, record);) {
    if (!(record.is_deps ? log.read_deps(record.body) : log.read_path(record.body))) break;
  }
  return log;
}

bool DepsLog::read_path(std::string_view body) {
  const std::string_view path = path_of(body, paths_.size());
  if (path.empty() || ids_.contains(path)) return false;
  (void)intern(path);
  return true;
}

bool DepsLog::read_deps(std::string_view body) {
  if (body.size() < 12) return false;
  const PathId output = number_at(body, 0);
  Deps deps;
  deps.mtime_ns = static_cast<std::int64_t>(number_at(body, 4) | std::uint64_t{number_at(body, 8)} << 32U);
  deps.paths.reserve((body.size() - 12) / 4);
  for (std::size_t at = 12; at < body.size(); at += 4) deps.paths.push_back(number_at(body, at));
  const auto is_known = [&](PathId id) { return id < paths_.size(); };
  if (!is_known(output) || !std::ranges::all_of(deps.paths, is_known)) return false;
  deps_.insert_or_assign(output, std::move(deps));
  return true;
}

Status DepsLog::save(const std::filesystem::path& folder) const {
  std::vector<PathId> outputs;  // in order, so that the same log is the same file
  outputs.reserve(deps_.size());
  for (const auto& [output, deps] : deps_) outputs.push_back(output);
  std::ranges::sort(outputs);
  Writer writer(*this);
  for (const PathId output : outputs) writer.write(output, deps_.at(output));
  return os::replace_file(folder / kDepsName, writer.bytes());
}

DepsLog::PathId DepsLog::intern(std::string_view path) {
  if (const auto found = ids_.find(path); found != ids_.end()) return found->second;
  const auto id = static_cast<PathId>(paths_.size());
  paths_.emplace_back(path);
  ids_.emplace(path, id);
  return id;
}

const DepsLog::Deps* DepsLog::find(std::string_view output) const {
  const auto id = ids_.find(output);
  if (id == ids_.end()) return nullptr;
  const auto deps = deps_.find(id->second);
  return deps == deps_.end() ? nullptr : &deps->second;
}

void DepsLog::set(std::string_view output, Deps deps) {
  deps_.insert_or_assign(intern(output), std::move(deps));
}

void DepsLog::erase(std::string_view output) {
  if (const auto id = ids_.find(output); id != ids_.end()) deps_.erase(id->second);
}

}  // namespace sb::ninja
