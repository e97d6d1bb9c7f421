#include "os/tcp_connections.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "os/process.h"

namespace sb::os {
namespace {

namespace fs = std::filesystem;
using Inode = std::uint32_t;

// Values of the kernel's TCP states, see include/net/tcp_states.h there.
constexpr unsigned kEstablished = 1;
constexpr unsigned kCloseWait = 8;
constexpr std::uint32_t kDoubtMs = 1000;

// info: null when the kernel says less.
using Wanted = std::function<bool(const inet_diag_msg& socket, const tcp_info* info)>;

bool spoke_last(const inet_diag_msg& socket, const tcp_info* info) {
  if (socket.idiag_rqueue > 0 || socket.idiag_wqueue > 0) return true;
  if (info == nullptr || info->tcpi_bytes_received == 0) return false;
  if (info->tcpi_bytes_sent == 0) return true;
  // Milliseconds since then.
  const std::uint32_t asked = info->tcpi_last_data_recv;
  const std::uint32_t answered = info->tcpi_last_data_sent;
  return asked < answered || (asked == answered && asked < kDoubtMs);
}

// None when the kernel is older than 4.19, and says less of it.
const tcp_info* info_of(const nlmsghdr& message, const inet_diag_msg& socket) {
  auto left = static_cast<int>(message.nlmsg_len - NLMSG_LENGTH(sizeof socket));
  const auto* attribute = reinterpret_cast<const rtattr*>(&socket + 1);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != INET_DIAG_INFO) continue;
    const bool whole = RTA_PAYLOAD(attribute) >= offsetof(tcp_info, tcpi_bytes_retrans);
    return whole ? static_cast<const tcp_info*>(RTA_DATA(attribute)) : nullptr;
  }
  return nullptr;
}

// The inodes of the wanted connections of the host, whoever has them.
std::vector<Inode> all_wanted(std::uint8_t family, std::span<const std::uint16_t> ports,
                              const Wanted& wanted) {
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  struct {
    nlmsghdr header{};
    inet_diag_req_v2 request{};
  } question;
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.request.sdiag_family = family;
  question.request.sdiag_protocol = IPPROTO_TCP;
  question.request.idiag_ext = 1 << (INET_DIAG_INFO - 1);
  question.request.idiag_states = (1U << kEstablished) | (1U << kCloseWait);
  std::vector<Inode> found;
  if (::send(netlink.get(), &question, sizeof question, 0) != sizeof question) return found;
  alignas(nlmsghdr) std::array<char, 32 * 1024> answer{};
  while (true) {
    const ssize_t got = ::recv(netlink.get(), answer.data(), answer.size(), 0);
    if (got <= 0) return found;
    auto left = static_cast<unsigned>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return found;
      const auto& socket = *static_cast<const inet_diag_msg*>(NLMSG_DATA(message));
      const bool meant = std::ranges::find(ports, ntohs(socket.id.idiag_sport)) != ports.end();
      // Nobody has accepted one without an inode.
      if (meant && socket.idiag_inode != 0 && wanted(socket, info_of(*message, socket)))
        found.push_back(socket.idiag_inode);
    }
  }
}

// How many of these, which are sorted, a process has among its descriptors; 0 when we may not look.
int held_by(pid_t process, const std::vector<Inode>& inodes) {
  constexpr std::string_view kSocket = "socket:[";
  int count = 0;
  std::error_code code;
  for (fs::directory_iterator it(fmt::format("/proc/{}/fd", process), code), end; !code && it != end;
       it.increment(code)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(it->path(), gone).string();
    if (gone || !target.starts_with(kSocket)) continue;
    Inode inode = 0;
    std::from_chars(target.data() + kSocket.size(), target.data() + target.size(), inode);
    if (std::ranges::binary_search(inodes, inode)) ++count;
  }
  return count;
}

// Of the wanted connections, how many the process and its descendants have.
int count(pid_t process, std::span<const std::uint16_t> ports, const Wanted& wanted) {
  std::vector<Inode> inodes = all_wanted(AF_INET, ports, wanted);
  std::ranges::copy(all_wanted(AF_INET6, ports, wanted), std::back_inserter(inodes));
  if (inodes.empty()) return 0;
  std::ranges::sort(inodes);
  int count = 0;
  for (const pid_t one : with_descendants(process)) count += held_by(one, inodes);
  return count;
}

}  // namespace

int unanswered_connections(pid_t process, std::span<const std::uint16_t> ports) {
  return count(process, ports, spoke_last);
}

bool answers_connections(pid_t process, std::span<const std::uint16_t> ports,
                         std::chrono::milliseconds within) {
  const auto limit = static_cast<std::uint32_t>(within.count());
  return count(process, ports, [limit](const inet_diag_msg&, const tcp_info* info) {
           if (info == nullptr || info->tcpi_bytes_received == 0 || info->tcpi_bytes_sent == 0) return false;
           const std::uint32_t asked = info->tcpi_last_data_recv;
           const std::uint32_t answered = info->tcpi_last_data_sent;
           return asked < limit && answered <= asked;
         }) > 0;
}

}  // namespace sb::os
