#include "update/version_folder.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "os/file_system.h"

namespace sb::update {
namespace {

namespace fs = std::filesystem;
using history::OutputFile;

constexpr unsigned kExecutable = 0755;
constexpr unsigned kPlain = 0644;

// The real path of an output, which must be where the manifest says: no symlink on the way.
Result<fs::path> inside(const fs::path& build, const fs::path& relative) {
  std::error_code code;
  const fs::path base = fs::canonical(build, code);
  const fs::path wanted = base / relative;
  fs::path real = fs::canonical(wanted, code);
  if (code) {
    return fail(
        ErrorKind::build_failed,
        fmt::format("the build left no {}, which selfbuild.yaml declares as an output", relative.string()));
  }
  if (real != wanted.lexically_normal()) {
    return fail(ErrorKind::refused, fmt::format("output {} is reached through a symlink", relative.string()));
  }
  return real;
}

Result<OutputFile> collect_file(artifacts::ObjectStore& store, const fs::path& build,
                                const fs::path& relative) {
  SB_TRY(const fs::path path, inside(build, relative));
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return fail(errno_error("cannot look at output " + path.string()));
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::refused, fmt::format("output {} is not a regular file", relative.string()));
  }
  SB_TRY(artifacts::StoredFile stored, store.put_file(path));
  return OutputFile{.path = relative.generic_string(),
                    .object = std::move(stored.id),
                    .sha256 = std::move(stored.sha256),
                    .mode = (info.st_mode & S_IXUSR) != 0 ? kExecutable : kPlain};
}

bool matches(const fs::path& folder, const history::Version& version) {
  return std::ranges::all_of(version.outputs, [&](const OutputFile& output) {
    const Result<std::string> bytes = os::read_file(folder / output.path);
    return bytes && bytes->size() == output.object.size && xxh3_128_hex(*bytes) == output.object.xxh3;
  });
}

}  // namespace

Result<std::vector<OutputFile>> collect_outputs(artifacts::ObjectStore& store, const fs::path& build,
                                                const std::vector<std::string>& outputs) {
  std::vector<OutputFile> files;
  for (const std::string& output : outputs) {
    SB_TRY(const fs::path path, inside(build, fs::path(output).lexically_normal()));
    std::error_code code;
    if (!fs::is_directory(path, code)) {
      SB_TRY(OutputFile file, collect_file(store, build, fs::path(output).lexically_normal()));
      files.push_back(std::move(file));
      continue;
    }
    const fs::path base = fs::canonical(build, code);
    // Not a range-for: its ++ throws where a build left a folder that may not be read.
    for (fs::recursive_directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
      std::error_code ignored;
      if (it->is_directory(ignored) && !it->is_symlink(ignored)) continue;
      SB_TRY(OutputFile file, collect_file(store, build, it->path().lexically_relative(base)));
      files.push_back(std::move(file));
    }
    if (code) return fail(errno_error("cannot read output folder " + path.string(), code.value()));
  }
  std::ranges::sort(files, {}, &OutputFile::path);
  files.erase(std::ranges::unique(files, {}, &OutputFile::path).begin(), files.end());
  return files;
}

std::string outputs_digest(std::vector<OutputFile> outputs) {
  std::ranges::sort(outputs, {}, &OutputFile::path);
  std::string manifest;
  for (const OutputFile& output : outputs) {
    manifest += fmt::format("{:04o} {} {}\n", output.mode, output.sha256, output.path);
  }
  return sha256_hex(manifest);
}

Result<fs::path> lay_out(const os::Home& home, const artifacts::ObjectStore& store,
                         const history::Version& version) {
  fs::path folder = home.version(version.project, version.number);
  const std::string name = history::version_name(version.number);
  if (version.outputs.empty()) {
    return fail(ErrorKind::not_found, fmt::format("the files of {} were removed by gc", name),
                "selfbuild history");
  }
  std::error_code code;
  if (fs::exists(folder, code)) {
    if (matches(folder, version)) return folder;
    const fs::path aside = folder.parent_path() / fmt::format("{}.damaged.{}", name, ::getpid());
    SB_CHECK(os::RealFileSystem().rename_durably(folder, aside));
  }
  const fs::path fresh = folder.parent_path() / fmt::format(".{}.{}", name, ::getpid());
  SB_CHECK(os::remove_tree(fresh));
  for (const OutputFile& output : version.outputs) {
    const fs::path path = fresh / output.path;
    SB_CHECK(os::make_folders(path.parent_path()));
    SB_CHECK(doing(fmt::format("laying out {} of {}", output.path, name),
                   store.copy_to(output.object, path, output.mode)));
  }
  SB_CHECK(os::RealFileSystem().rename_durably(fresh, folder));
  return folder;
}

}  // namespace sb::update
