#include "supervise/address.h"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace sb::supervise {
namespace {

std::unexpected<Error> no_address(std::string_view text, std::string_view why) {
  return fail(
      ErrorKind::usage,
      fmt::format("\"{}\" is no address ({}); write 127.0.0.1:8080, [::1]:8080 or unix:/path", text, why));
}

}  // namespace

std::string Address::to_string() const {
  if (is_unix()) return "unix:" + unix_path;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<Address> parse_address(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return no_address("?", "it holds a NUL byte");
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (!path.starts_with('/')) return no_address(text, "the path must be absolute");
    return Address{.unix_path = std::string(path), .host = {}, .port = 0};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return no_address(text, "it has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  int port = -1;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || end != digits.data() + digits.size() || port < 0 || port > 65535) {
    return no_address(text, "the port must be 0 to 65535");
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  Address address{.unix_path = {}, .host = std::string(host), .port = port};
  const Result<SocketAddress> checked = socket_address(address);
  if (!checked) return no_address(text, "the host must be a numeric address");
  return address;
}

Result<SocketAddress> socket_address(const Address& address) {
  SocketAddress result;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<std::uint16_t>(address.port));
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.size = sizeof v4;
    return result;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<std::uint16_t>(address.port));
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.size = sizeof v6;
    return result;
  }
  return fail(ErrorKind::usage, fmt::format("\"{}\" is no numeric address", address.host));
}

Address reachable(Address address) {
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  return address;
}

}  // namespace sb::supervise
