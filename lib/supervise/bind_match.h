// Which of a service's sockets a call of bind(2) means.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "supervise/address.h"

namespace sb::supervise {

struct AskedAddress {
  Address address;
  bool only_v6 = false;  // IPV6_V6ONLY: [::] does not mean 0.0.0.0, too
};

// The sockaddr (ip(7), ipv6(7), unix(7)) as an address. A relative path begins in `directory`. An IPv4
// address that is mapped into IPv6 is itself. None: no address, an abstract name, another family, cut short.
[[nodiscard]] std::optional<Address> address_from(std::span<const std::byte> bytes,
                                                  std::string_view directory);

// The index of the address that serves what was asked for: the same one, or else one of the same port where
// either of them means all addresses of the host; so who asks for 0.0.0.0 gets that port also where the
// manifest narrows it down to the loopback. 127.0.0.1 and [::1] are two addresses. A free port (0) means none
// of them.
[[nodiscard]] std::optional<std::size_t> match(const AskedAddress& asked, const std::vector<Address>& ours);

}  // namespace sb::supervise
