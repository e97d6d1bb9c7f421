// One message between keeper and conductor: a short text, and perhaps one descriptor. Allocates nothing.
// Part of lib/keeper's inside; nobody else includes it.
#pragma once

#include <array>

#include "base/unique_fd.h"
#include "keeper/keeper.h"

namespace sb::keeper {

struct Message {
  std::array<char, kMaxName + 64> text{};  // ends with '\0'
  UniqueFd fd{};
};

enum class Delivery { done, later, gone, failed };  // failed: errno says why; it will not go better later

// Do not block. Sending lends the descriptor; one that was received is CLOEXEC.
[[nodiscard]] Delivery send_message(int socket, const char* text, int fd);
[[nodiscard]] Delivery receive_message(int socket, Message& message);

}  // namespace sb::keeper
