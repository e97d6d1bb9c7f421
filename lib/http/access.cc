#include "http/access.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/memops.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "os/file_system.h"

namespace sb::http {
namespace {

constexpr std::string_view kBearer = "bearer ";

// "localhost:80" is ours at port 80; at a Unix socket every port is.
bool is_ours(std::string_view authority, const Door& door) {
  constexpr std::array<std::string_view, 3> kNames{"localhost", "127.0.0.1", "[::1]"};
  const std::string text = lower_case(authority);
  const auto* const name =
      std::ranges::find_if(kNames, [&text](std::string_view each) { return text.starts_with(each); });
  if (name == kNames.end()) return false;
  const std::string_view rest = std::string_view(text).substr(name->size());
  if (rest.empty()) return door.port == 0 || door.port == 80;
  const std::string_view digits = rest.substr(1);
  const bool is_port = rest.front() == ':' && !digits.empty() && digits.size() <= 5 &&
                       std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  return is_port && (door.port == 0 || digits == fmt::to_string(door.port));
}

Result<std::string> make_token(const std::filesystem::path& path) {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(errno_error("cannot get random bytes for the token of HTTP"));
  }
  std::string token = sha256_hex(std::string_view(bytes.data(), bytes.size()));
  os::RealFileSystem files;
  SB_CHECK(files.write_durably(path, token + "\n", 0600));
  return token;
}

}  // namespace

std::optional<Refusal> wrong_place(const std::vector<Field>& fields, const Door& door) {
  const std::string* host = field(fields, "host");
  if (host == nullptr || !is_ours(*host, door)) {
    return Refusal{.status = 421, .why = "Host is not an address of this server"};
  }
  for (const Field& one : fields) {
    if (one.name == "origin") {
      constexpr std::string_view kScheme = "http://";
      const bool ours = one.value.starts_with(kScheme) && is_ours(one.value.substr(kScheme.size()), door);
      if (!ours) return Refusal{.status = 403, .why = "a page from elsewhere asks"};
    }
    // https://www.w3.org/TR/fetch-metadata/
    if (one.name == "sec-fetch-site" && one.value != "same-origin" && one.value != "none") {
      return Refusal{.status = 403, .why = "a page from elsewhere asks"};
    }
  }
  return std::nullopt;
}

bool same_token(std::string_view given, std::string_view token) {
  if (token.empty()) return false;
  // Of the digests, which have one length.
  const std::string one = sha256_hex(given);
  const std::string other = sha256_hex(token);
  return nettle_memeql_sec(one.data(), other.data(), one.size()) != 0;
}

std::optional<Refusal> no_token(const std::vector<Field>& fields, std::string_view token) {
  const std::string* given = field(fields, "authorization");
  const bool bearer =
      given != nullptr && count_of(fields, "authorization") == 1 && lower_case(*given).starts_with(kBearer);
  if (!bearer) return Refusal{.status = 401, .why = "this needs the token of state/http.token"};
  if (!same_token(trim(std::string_view(*given).substr(kBearer.size())), token)) {
    return Refusal{.status = 403, .why = "the token is not that of state/http.token"};
  }
  return std::nullopt;
}

Result<std::string> token_of(const os::Home& home) {
  const std::filesystem::path path = home.state() / "http.token";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return make_token(path);
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  struct stat there{};
  const bool own = ::fstat(fd.get(), &there) == 0 && S_ISREG(there.st_mode) && (there.st_mode & 077U) == 0 &&
                   there.st_uid == ::geteuid();
  if (!own) {
    return fail(ErrorKind::refused, fmt::format("{} can be read by others", path.string()),
                fmt::format("rm {}    # the conductor makes another one", path.string()));
  }
  SB_TRY(const std::string text, os::read_file(path, 4096));
  std::string token(trim(text));
  if (token.size() < 32) {
    return fail(ErrorKind::refused, fmt::format("{} holds no token of 32 characters or more", path.string()),
                fmt::format("rm {}    # the conductor makes another one", path.string()));
  }
  return token;
}

}  // namespace sb::http
