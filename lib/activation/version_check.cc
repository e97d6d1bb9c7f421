#include "activation/version_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/unique_fd.h"

namespace sb::activation {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

Result<std::string> sha256_of(const std::filesystem::path& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  DigestStream digest;
  std::string block(kBlock, '\0');
  while (true) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0) return fail(errno_error(fmt::format("cannot read {}", path.string())));
    if (got == 0) return digest.finish().sha256;
    digest.update(std::string_view(block).substr(0, static_cast<std::size_t>(got)));
  }
}

}  // namespace

Status check_version(const history::Version& version, const std::filesystem::path& directory) {
  for (const history::OutputFile& output : version.outputs) {
    const std::filesystem::path path = directory / output.path;
    SB_TRY(const std::string found, sha256_of(path));
    if (found == output.sha256) continue;
    Error error = make_error(ErrorKind::corrupt,
                             fmt::format("{} of {} is not the file that was built and tested", output.path,
                                         history::version_name(version.number)),
                             fmt::format("rm -r {}", directory.string()));
    error.expected = output.sha256;
    error.found = found;
    return fail(std::move(error));
  }
  return {};
}

}  // namespace sb::activation
