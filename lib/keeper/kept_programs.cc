#include "keeper/kept_programs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "keeper/keeper.h"
#include "os/file_system.h"

namespace sb::keeper {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "conductor-";
constexpr unsigned kProgramMode = 0700;

fs::path target(const os::Home& home, const char* link) {
  const Result<fs::path> name = os::read_link(home.conductors() / link);
  return name ? home.conductors() / *name : fs::path();
}

void erase(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

void remove_unused(const os::Home& home) {
  const KeptPrograms used = kept_programs(home);
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(home.conductors(), ignored)) {
    const bool is_program = entry.path().filename().string().starts_with(kPrefix);
    if (is_program && entry.path() != used.current && entry.path() != used.previous) erase(entry.path());
  }
}

// Which file it is, without reading it.
std::string identity(const fs::path& program) {
  struct stat there{};
  if (::stat(program.c_str(), &there) != 0) return "";
  return fmt::format("{} {} {}.{:09}\n", program.string(), there.st_size, there.st_mtim.tv_sec,
                     there.st_mtim.tv_nsec);
}

}  // namespace

KeptPrograms kept_programs(const os::Home& home) {
  return {.current = target(home, kCurrent),
          .previous = target(home, kPrevious),
          .rejected = target(home, kRejected)};
}

Result<fs::path> keep_program(const os::Home& home, const fs::path& program) {
  SB_CHECK(os::make_folders(home.conductors()));
  SB_TRY(const std::string bytes, os::read_file(program));
  fs::path kept = home.conductors() / fmt::format("{}{:.16}", kPrefix, sha256_hex(bytes));
  if (const Result<std::string> there = os::read_file(kept); there && *there == bytes) return kept;
  SB_CHECK(doing(fmt::format("copying {}", program.string()),
                 os::RealFileSystem().write_durably(kept, bytes, kProgramMode)));
  return kept;
}

Status make_current(const os::Home& home, const fs::path& program, const fs::path& previous) {
  os::RealFileSystem files;
  if (previous.empty()) {
    erase(home.conductors() / kPrevious);
  } else {
    SB_CHECK(files.point_durably(home.conductors() / kPrevious, previous.filename()));
  }
  SB_CHECK(files.point_durably(home.conductors() / kCurrent, program.filename()));
  erase(home.conductors() / kRejected);
  remove_unused(home);
  return {};
}

void note_installed(const os::Home& home, const fs::path& program) {
  const fs::path record = home.conductors() / "installed";
  const std::string now = identity(program);
  const Result<std::string> before = os::read_file(record);
  if (before && *before == now) return;
  if (before) {
    for (const char* link : {kCurrent, kPrevious, kRejected}) erase(home.conductors() / link);
  }
  (void)os::RealFileSystem().write_durably(record, now, 0600);  // or else asked again at the next start
}

}  // namespace sb::keeper
