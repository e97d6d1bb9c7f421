#include "artifacts/object_store.h"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "artifacts/byte_stream.h"
#include "base/digest.h"
#include "os/file_system.h"

namespace sb::artifacts {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHexDigits = 32;
constexpr std::size_t kFanOutDigits = 2;
constexpr unsigned kObjectMode = 0444;
constexpr std::string_view kDamagedSuffix = ".damaged";
constexpr auto kGrace = std::chrono::hours(1);

bool is_hex(std::string_view text) {
  return text.size() == kHexDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

fs::path damaged_name(const fs::path& object) {
  return object.string() + std::string(kDamagedSuffix);
}

Error damaged(const ObjectId& id, const DigestStream::Digests& found) {
  Error error =
      make_error(ErrorKind::corrupt, fmt::format("the stored object {} is damaged", id.to_string()));
  error.expected = id.to_string();
  error.found = ObjectId{.xxh3 = found.xxh3, .size = found.size}.to_string();
  return error;
}

// False when a writer has put other bytes there since: the name belongs to another inode than the one that
// was read.
bool still_names(const fs::path& object, int read_from) {
  struct stat seen{};
  struct stat now{};
  return ::fstat(read_from, &seen) == 0 && ::stat(object.c_str(), &now) == 0 && seen.st_ino == now.st_ino;
}

// Takes the damaged file away from its name, so that nobody reads it again.
void set_aside(const fs::path& object, int read_from) {
  if (!still_names(object, read_from)) return;
  // A writer whose rename failed has left the second name; renaming one name of a file to another does
  // nothing. Nobody can act on a failure here: the bytes are verified at every read anyway.
  (void)::unlink(damaged_name(object).c_str());
  (void)::rename(object.c_str(), damaged_name(object).c_str());
}

// Whether the object's file holds exactly these bytes. When it does, its age begins anew, so that a collector
// in another process leaves it alone until this writer has recorded it. When it holds others, they get a
// second name: the object's own name then goes from the damaged bytes to the good ones without a moment in
// between.
Result<bool> is_stored(const fs::path& object, const StoredFile& file) {
  const Result<UniqueFd> fd = open_regular(object);
  if (!fd && fd.error().kind == ErrorKind::not_found) return false;
  if (!fd) return fail(fd.error());
  SB_TRY(const DigestStream::Digests found, stream(fd->get(), -1));
  if (found.size != file.id.size || found.xxh3 != file.id.xxh3) {
    if (still_names(object, fd->get())) (void)::link(object.c_str(), damaged_name(object).c_str());
    return false;
  }
  if (found.sha256 != file.sha256) {
    Error error =
        make_error(ErrorKind::refused,
                   fmt::format("other bytes with the name {} are stored already", file.id.to_string()));
    error.expected = "SHA-256 " + file.sha256;
    error.found = "SHA-256 " + found.sha256;
    return fail(std::move(error));
  }
  if (::futimens(fd->get(), nullptr) != 0) {
    return fail(errno_error(fmt::format("cannot renew the age of {}", object.string())));
  }
  // Another writer may have renamed it here a moment ago: it is on disk before this one says so, too.
  SB_CHECK(os::sync_folder(object.parent_path()));
  return true;
}

StoredFile stored_file(DigestStream::Digests digests) {
  return {.id = {.xxh3 = std::move(digests.xxh3), .size = digests.size}, .sha256 = std::move(digests.sha256)};
}

Status make_root(const fs::path& root) {
  std::error_code code;
  if (fs::is_directory(root, code)) return {};
  SB_CHECK(os::make_folders(root.parent_path()));
  return make_folder_durably(root);
}

}  // namespace

std::string ObjectId::to_string() const {
  return fmt::format("{}-{}", xxh3, size);
}

Result<ObjectId> ObjectId::parse(std::string_view text) {
  ObjectId id;
  if (text.size() > kHexDigits + 1) {
    id.xxh3 = text.substr(0, kHexDigits);
    const std::string_view digits = text.substr(kHexDigits + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), id.size);
  }
  // Only the one spelling that to_string writes: no capitals, signs, leading zeros or overflow.
  if (is_hex(id.xxh3) && id.to_string() == text) return id;
  Error error = make_error(ErrorKind::usage, fmt::format("\"{}\" is not the name of an object", text));
  error.expected = "32 hexadecimal digits, \"-\" and the size in bytes";
  error.found = std::string(text);
  return fail(std::move(error));
}

fs::path ObjectStore::path_of(const ObjectId& id) const {
  // An id that was not parsed could name any path: none of those is ever an object.
  const std::string hex = is_hex(id.xxh3) ? id.xxh3 : std::string(kHexDigits, '-');
  return root_ / hex.substr(0, kFanOutDigits) / fmt::format("{}-{}", hex.substr(kFanOutDigits), id.size);
}

Status ObjectStore::keep_incoming(const fs::path& incoming, const StoredFile& file) {
  const fs::path object = path_of(file.id);
  SB_CHECK(make_folder_durably(object.parent_path()));
  return files_.rename_durably(incoming, object);
}

Result<StoredFile> ObjectStore::put_file(const fs::path& path) {
  const std::string storing = fmt::format("storing {}", path.string());
  SB_TRY(const UniqueFd source, doing(storing, open_regular(path)));
  SB_CHECK(doing(storing, make_root(root_)));
  SB_TRY(const UniqueFd lock, lock_store(root_, /*alone=*/false));
  SB_TRY(Incoming incoming, doing(storing, Incoming::make(root_)));
  SB_TRY(DigestStream::Digests digests, doing(storing, stream(source.get(), incoming.fd())));
  StoredFile file = stored_file(std::move(digests));
  SB_TRY(const bool there, doing(storing, is_stored(path_of(file.id), file)));
  if (there) return file;
  SB_CHECK(doing(storing, seal(incoming.fd(), kObjectMode, incoming.path())));
  SB_CHECK(doing(storing, keep_incoming(incoming.path(), file)));
  incoming.was_renamed();
  return file;
}

Result<StoredFile> ObjectStore::put_bytes(std::string_view bytes) {
  DigestStream digests;
  digests.update(bytes);
  StoredFile file = stored_file(digests.finish());
  const std::string storing = fmt::format("storing {} bytes", bytes.size());
  SB_CHECK(doing(storing, make_root(root_)));
  SB_TRY(const UniqueFd lock, lock_store(root_, /*alone=*/false));
  SB_TRY(const bool there, doing(storing, is_stored(path_of(file.id), file)));
  if (there) return file;
  SB_TRY(Incoming incoming, doing(storing, Incoming::make(root_)));
  SB_CHECK(doing(storing, write_all(incoming.fd(), bytes)));
  SB_CHECK(doing(storing, seal(incoming.fd(), kObjectMode, incoming.path())));
  SB_CHECK(doing(storing, keep_incoming(incoming.path(), file)));
  incoming.was_renamed();
  return file;
}

Result<std::string> ObjectStore::get_bytes(const ObjectId& id) const {
  const fs::path object = path_of(id);
  SB_TRY(const UniqueFd fd, doing("reading object " + id.to_string(), open_regular(object)));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0)
    return fail(errno_error(fmt::format("cannot look at {}", object.string())));
  // The size on disk bounds what is read: an id with an absurd size must not be believed.
  const auto size = static_cast<std::uint64_t>(info.st_size);
  std::string bytes;
  if (size == id.size) {
    SB_TRY(bytes, os::read_file(object));
    if (bytes.size() == id.size && xxh3_128_hex(bytes) == id.xxh3) return bytes;
  }
  set_aside(object, fd.get());
  return fail(
      damaged(id, {.xxh3 = size == id.size ? xxh3_128_hex(bytes) : "unread", .sha256 = {}, .size = size}));
}

Status ObjectStore::copy_to(const ObjectId& id, const fs::path& path, unsigned mode) const {
  const std::string copying = fmt::format("copying object {} to {}", id.to_string(), path.string());
  const fs::path object = path_of(id);
  SB_TRY(const UniqueFd source, doing(copying, open_regular(object)));
  const UniqueFd copy(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!copy) {
    const int code = errno;
    Error error = errno_error(fmt::format("cannot create {}", path.string()), code);
    if (code == EEXIST) error.kind = ErrorKind::conflict;
    return fail(std::move(error));
  }
  const Status copied = [&]() -> Status {
    SB_TRY(const DigestStream::Digests found, stream(source.get(), copy.get()));
    if (found.xxh3 != id.xxh3 || found.size != id.size) {
      set_aside(object, source.get());
      return fail(damaged(id, found));
    }
    SB_CHECK(seal(copy.get(), mode, path));
    return os::sync_folder(path.parent_path());
  }();
  if (!copied) ::unlink(path.c_str());
  return doing(copying, copied);
}

bool ObjectStore::contains(const ObjectId& id) const {
  std::error_code code;
  const fs::path object = path_of(id);
  return fs::is_regular_file(object, code) && fs::file_size(object, code) == id.size;
}

Result<ObjectStore::Collected> ObjectStore::collect(const std::function<bool(const ObjectId&)>& keep) {
  Collected collected;
  std::error_code code;
  if (!fs::exists(root_, code)) return collected;
  SB_TRY(const UniqueFd lock, lock_store(root_, /*alone=*/true));
  const auto unneeded = [&](const fs::path& path) {
    const std::string name = path.filename().string();
    if (path.parent_path() == root_) return name.starts_with(kIncomingPrefix);  // of a writer that was killed
    const Result<ObjectId> id = ObjectId::parse(path.parent_path().filename().string() + name);
    return id ? !keep(*id) : name.ends_with(kDamagedSuffix);
  };
  const auto now = fs::file_time_type::clock::now();
  std::vector<fs::path> old;
  for (fs::recursive_directory_iterator it(root_, code), end; !code && it != end; it.increment(code)) {
    std::error_code gone;
    if (!it->is_regular_file(gone)) continue;
    const auto stored = it->last_write_time(gone);
    if (!gone && now - stored > kGrace && unneeded(it->path())) old.push_back(it->path());
  }
  if (code) return fail(errno_error(fmt::format("cannot look through {}", root_.string()), code.value()));
  for (const fs::path& path : old) {
    std::error_code ignored;
    const std::uintmax_t size = fs::file_size(path, ignored);
    if (::unlink(path.c_str()) != 0) return fail(errno_error(fmt::format("cannot remove {}", path.string())));
    ++collected.objects;
    collected.bytes += ignored ? 0 : size;
  }
  return collected;
}

}  // namespace sb::artifacts
