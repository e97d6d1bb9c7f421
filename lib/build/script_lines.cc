#include "build/script_lines.h"

#include <filesystem>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargest = 16 << 20;

}  // namespace

const std::vector<std::string>* ScriptLines::of(const std::string& path) {
  const auto [known, fresh] = files_.try_emplace(path);
  if (fresh) known->second = read(path);
  return known->second ? &*known->second : nullptr;
}

std::optional<std::vector<std::string>> ScriptLines::read(const std::string& path) const {
  // Not by a link that leads out of the stage, and not a FIFO: opening that would wait for ever.
  if (!places_.stays_in_stage(path.substr(0, path.rfind('/')))) return std::nullopt;
  const std::string real = places_.real(path);
  std::error_code code;
  if (fs::symlink_status(real, code).type() != fs::file_type::regular || fs::file_size(real, code) > kLargest)
    return std::nullopt;
  const Result<std::string> text = os::read_file(real, kLargest);
  if (!text) return std::nullopt;
  std::vector<std::string> lines;
  for (const std::string_view line : split_lines(*text)) lines.emplace_back(line);
  return lines;
}

}  // namespace sb::build
