#include "cache/remote_settings.h"

#include <charconv>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "base/text.h"
#include "os/curl.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

constexpr std::size_t kLongestSecret = 4096;
constexpr int kMostDatabases = 1 << 16;

struct FreeUrl {
  void operator()(CURLU* url) const { os::curl().url_cleanup(url); }
};

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (os::curl().url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string result(text);
  os::curl().free(text);
  return result;
}

}  // namespace

Result<RemoteAddress> parse_remote_url(const std::string& url) {
  SB_CHECK(os::load_curl());
  const std::unique_ptr<CURLU, FreeUrl> parts(os::curl().url());
  if (!parts ||
      os::curl().url_set(parts.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return fail(ErrorKind::usage, "is not a URL: redis://host:port/database or http://host:port/path");
  const std::string scheme = part(parts.get(), CURLUPART_SCHEME);
  if (scheme != "redis" && scheme != "http" && scheme != "https")
    return fail(ErrorKind::usage, "must begin with redis://, http:// or https://");
  if (!part(parts.get(), CURLUPART_QUERY).empty() || !part(parts.get(), CURLUPART_FRAGMENT).empty())
    return fail(ErrorKind::usage, "must end with its path");
  RemoteAddress address;
  address.user = part(parts.get(), CURLUPART_USER, CURLU_URLDECODE);
  address.password = part(parts.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  const std::string host = part(parts.get(), CURLUPART_HOST);
  const std::string port = part(parts.get(), CURLUPART_PORT);
  std::string path = part(parts.get(), CURLUPART_PATH);
  while (path.ends_with('/')) path.pop_back();
  if (scheme == "redis") {
    address.connect = fmt::format("http://{}:{}", host, port.empty() ? "6379" : port);
    address.shown = fmt::format("redis://{}{}{}", host, port.empty() ? "" : ":" + port, path);
    if (!path.empty()) {
      const char* end = path.data() + path.size();
      const auto read = std::from_chars(path.data() + 1, end, address.database);
      if (read.ec != std::errc() || read.ptr != end || address.database < 0 ||
          address.database >= kMostDatabases)
        return fail(ErrorKind::usage, "must end with the number of a database: redis://host:port/0");
    }
    return address;
  }
  address.kind = RemoteAddress::Kind::http;
  address.connect = fmt::format("{}://{}{}", scheme, host, port.empty() ? "" : ":" + port);
  address.base = address.connect + path;
  address.shown = address.base;
  return address;
}

Result<std::string> read_secret(const RemoteSettings& settings) {
  if (!settings.secret_environment.empty()) {
    const char* value = std::getenv(settings.secret_environment.c_str());
    if (!settings.secret_environment.starts_with(kSecretPrefix) || value == nullptr)
      return fail(ErrorKind::environment, fmt::format("{} is not set", settings.secret_environment));
    return std::string(value);
  }
  if (settings.secret_file.empty()) return std::string();
  SB_TRY(const std::string text, os::read_file(settings.secret_file, kLongestSecret));
  const std::string_view secret = trim(text);
  if (secret.empty() || secret.find_first_of("\r\n") != std::string_view::npos)
    return fail(ErrorKind::environment, fmt::format("{} is not one line", settings.secret_file));
  return std::string(secret);
}

}  // namespace sb::cache
