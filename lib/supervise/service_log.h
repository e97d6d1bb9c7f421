// What a service prints: appended to state/services/NAME/log by the service itself, so that no line is lost
// and no pipe breaks when the conductor goes. Capped: above the limit the text moves to log.1 and the log
// starts anew.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::supervise {

inline constexpr std::uint64_t kMaxServiceLog = 8U << 20U;

// For appending; made with its folders.
[[nodiscard]] Result<UniqueFd> open_service_log(const std::filesystem::path& folder);
// Copies and truncates, because the service goes on writing to the same open file. Lines written between the
// two are lost; that is the price of a cap without a pipe.
void cap_service_log(const std::filesystem::path& folder, std::uint64_t limit = kMaxServiceLog);

// What it printed last, whole lines as far as they fit into 16 KiB; empty without a log.
[[nodiscard]] std::string log_tail(const std::filesystem::path& folder, std::size_t lines);

}  // namespace sb::supervise
