#include "staging/slot_state.h"

#include <fmt/format.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::staging {
namespace {

constexpr std::string_view kHolds = "holds ";
constexpr std::string_view kMoving = "moving to ";
constexpr std::size_t kMaxBytes = 16 * 1024;

}  // namespace

SlotState read_slot_state(const std::filesystem::path& slot) {
  const auto text = os::read_file(slot / "state", kMaxBytes);
  if (!text) {
    const bool never_written = text.error().kind == ErrorKind::not_found;
    return {.kind = never_written ? SlotState::Kind::empty : SlotState::Kind::moving};
  }
  const auto lines = split_lines(*text);
  if (lines.size() < 2) return {.kind = SlotState::Kind::moving};
  SlotState state{.kind = SlotState::Kind::moving, .tree = {}, .repository = std::string(lines[1])};
  if (lines[0].starts_with(kHolds)) {
    state.kind = SlotState::Kind::holds;
    state.tree = lines[0].substr(kHolds.size());
  } else if (lines[0].starts_with(kMoving)) {
    state.tree = lines[0].substr(kMoving.size());
  }
  return state;
}

Status write_slot_state(const std::filesystem::path& slot, const SlotState& state) {
  const std::string_view word = state.kind == SlotState::Kind::holds ? kHolds : kMoving;
  os::RealFileSystem files;
  return files.write_durably(slot / "state", fmt::format("{}{}\n{}\n", word, state.tree, state.repository),
                             0644);
}

}  // namespace sb::staging
