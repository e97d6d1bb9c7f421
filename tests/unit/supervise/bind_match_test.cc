// Which socket a call of bind means.
#include "supervise/bind_match.h"

#include <cstring>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "support/result_matchers.h"

namespace sb::supervise {
namespace {

Address address(const std::string& text) {
  return parse_address(text).value_or(Address{});
}
std::optional<std::size_t> matched(const std::string& asked, const std::vector<std::string>& ours,
                                   bool only_v6 = false) {
  std::vector<Address> known;
  known.reserve(ours.size());
  for (const std::string& one : ours) known.push_back(address(one));
  return match({.address = address(asked), .only_v6 = only_v6}, known);
}

TEST(BindMatch, is_the_same_address) {
  EXPECT_EQ(matched("127.0.0.1:80", {"127.0.0.1:81", "127.0.0.1:80"}), 1U);
  EXPECT_EQ(matched("[::1]:80", {"127.0.0.1:80", "[::1]:80"}), 1U);
  EXPECT_EQ(matched("unix:/a/b", {"unix:/a", "unix:/a/b"}), 1U);
}

TEST(BindMatch, is_any_address_where_either_of_them_is) {
  EXPECT_EQ(matched("0.0.0.0:80", {"127.0.0.1:80"}), 0U);
  EXPECT_EQ(matched("127.0.0.1:80", {"0.0.0.0:80"}), 0U);
  EXPECT_EQ(matched("[::]:80", {"[::1]:80"}), 0U);
  EXPECT_EQ(matched("[::]:80", {"127.0.0.1:80"}), 0U);
  EXPECT_EQ(matched("0.0.0.0:80", {"[::]:80"}), 0U);
}

TEST(BindMatch, takes_the_closest) {
  EXPECT_EQ(matched("[::]:80", {"0.0.0.0:80", "[::]:80"}), 1U);
  EXPECT_EQ(matched("[::]:80", {"0.0.0.0:80", "[::1]:80"}), 1U);
  EXPECT_EQ(matched("0.0.0.0:80", {"[::]:80", "127.0.0.1:80"}), 1U);
}

TEST(BindMatch, is_nothing_else) {
  EXPECT_EQ(matched("127.0.0.1:80", {"127.0.0.2:80", "[::1]:80", "unix:/80"}), std::nullopt);
  EXPECT_EQ(matched("0.0.0.0:81", {"0.0.0.0:80"}), std::nullopt);
  EXPECT_EQ(matched("127.0.0.1:0", {"127.0.0.1:80"}), std::nullopt);
  EXPECT_EQ(matched("[::]:80", {"0.0.0.0:80"}, /*only_v6=*/true), std::nullopt);
  EXPECT_EQ(matched("unix:/a", {"unix:/b", "127.0.0.1:80"}), std::nullopt);
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

TEST(BindMatch, reads_what_the_program_asked_for) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(address_from(bytes_of(v4), "/")->to_string(), "127.0.0.1:80");
  EXPECT_FALSE(address_from(bytes_of(v4).first(8), "/"));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(81);
  EXPECT_EQ(address_from(bytes_of(v6), "/")->to_string(), "[::]:81");
  v6.sin6_addr.s6_addr[10] = 0xff;
  v6.sin6_addr.s6_addr[11] = 0xff;
  v6.sin6_addr.s6_addr[12] = 10;
  v6.sin6_addr.s6_addr[15] = 1;
  EXPECT_EQ(address_from(bytes_of(v6), "/")->to_string(), "10.0.0.1:81");
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strcpy(un.sun_path, "run/../a.sock");
  EXPECT_EQ(address_from(bytes_of(un), "/srv")->unix_path, "/srv/a.sock");
  EXPECT_FALSE(address_from(bytes_of(un).first(sizeof(sa_family_t)), "/srv")) << "autobind";
  std::strcpy(un.sun_path + 1, "abstract");
  un.sun_path[0] = '\0';
  EXPECT_FALSE(address_from(bytes_of(un), "/srv"));
  un.sun_family = AF_NETLINK;
  EXPECT_FALSE(address_from(bytes_of(un), "/"));
}

}  // namespace
}  // namespace sb::supervise
