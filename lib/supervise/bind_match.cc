#include "supervise/bind_match.h"

#include <array>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace sb::supervise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAny4 = "0.0.0.0";
constexpr std::string_view kAny6 = "::";
constexpr std::string_view kMapped = "::ffff:";

template <typename T>
std::optional<T> read_as(std::span<const std::byte> bytes) {
  T value{};
  if (bytes.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::optional<Address> unix_address(std::span<const std::byte> bytes, std::string_view directory) {
  constexpr std::size_t kBegin = offsetof(sockaddr_un, sun_path);
  if (bytes.size() <= kBegin) return std::nullopt;
  std::string name;
  for (const std::byte one : bytes.subspan(kBegin)) {
    if (one == std::byte{0}) break;
    name.push_back(static_cast<char>(one));
  }
  if (name.empty()) return std::nullopt;
  return Address{
      .unix_path = (fs::path(directory) / name).lexically_normal().string(), .host = {}, .port = 0};
}

bool is_v6(const std::string& host) {
  return host.find(':') != std::string::npos;
}

// 3: the same; 2: one of them is any of that family; 1: [::] and something of IPv4; 0: another one.
int closeness(const AskedAddress& asked, const Address& ours) {
  if (asked.address.is_unix() || ours.is_unix()) {
    const bool same = fs::path(asked.address.unix_path) == fs::path(ours.unix_path).lexically_normal();
    return same ? 3 : 0;
  }
  if (asked.address.port == 0 || asked.address.port != ours.port) return 0;
  const std::string& host = asked.address.host;
  if (host == ours.host) return 3;
  if (is_v6(host) == is_v6(ours.host)) {
    const std::string_view any = is_v6(host) ? kAny6 : kAny4;
    return host == any || ours.host == any ? 2 : 0;
  }
  if (host == kAny6) return asked.only_v6 ? 0 : 1;
  return ours.host == kAny6 && !is_v6(host) ? 1 : 0;
}

}  // namespace

std::optional<Address> address_from(std::span<const std::byte> bytes, std::string_view directory) {
  const std::optional<sa_family_t> family = read_as<sa_family_t>(bytes);
  if (!family) return std::nullopt;
  if (*family == AF_UNIX) return unix_address(bytes, directory);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (*family == AF_INET) {
    const std::optional<sockaddr_in> v4 = read_as<sockaddr_in>(bytes);
    if (!v4 || ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) == nullptr) return std::nullopt;
    return Address{.unix_path = {}, .host = text.data(), .port = ntohs(v4->sin_port)};
  }
  if (*family != AF_INET6) return std::nullopt;
  const std::optional<sockaddr_in6> v6 = read_as<sockaddr_in6>(bytes);
  if (!v6 || ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size()) == nullptr) return std::nullopt;
  std::string_view host = text.data();
  if (host.starts_with(kMapped) && host.find('.') != std::string_view::npos) {
    host.remove_prefix(kMapped.size());
  }
  return Address{.unix_path = {}, .host = std::string(host), .port = ntohs(v6->sin6_port)};
}

std::optional<std::size_t> match(const AskedAddress& asked, const std::vector<Address>& ours) {
  std::optional<std::size_t> best;
  int closest = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const int close = closeness(asked, ours[i]);
    if (close <= closest) continue;
    closest = close;
    best = i;
  }
  return best;
}

}  // namespace sb::supervise
