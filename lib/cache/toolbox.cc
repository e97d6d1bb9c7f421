#include "cache/toolbox.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "cache/command.h"

namespace sb::cache {
namespace {

// Prints, a line each, the files that a driver ($1, with its flags behind) runs, loads or links by itself,
// and the folders that it searches.
constexpr std::string_view kDriverScript = R"(p=$1; shift
for n in cc1 cc1plus lto1 lto-wrapper collect2 as ld ld.bfd ld.gold ld.lld ld.mold; do
  f=$("$p" "$@" -print-prog-name=$n 2>/dev/null) || continue
  case $f in /*) ;; *) f=$(command -v "$f") ;; esac
  [ -n "$f" ] && [ -e "$f" ] || continue
  echo "file $f"
  ldd "$f" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\).*/file \1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/file \1/p'
done
for n in liblto_plugin.so specs crt1.o Scrt1.o crti.o crtn.o crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o \
         libgcc.a libgcc_eh.a libgcc_s.so libgcc_s.so.1 libstdc++.so libstdc++.a libc++.so libc.so libc.a libc.so.6 \
         libc_nonshared.a libm.so libm.so.6 libmvec.so.1 libpthread.a ld-linux-x86-64.so.2; do
  f=$("$p" "$@" -print-file-name=$n 2>/dev/null) && [ -e "$f" ] && echo "file $f"
done
"$p" "$@" -print-search-dirs 2>/dev/null | sed -n 's/^libraries: =*/libraries /p'
for l in c++ c; do
  "$p" "$@" -E -v -x $l /dev/null 2>&1 >/dev/null | sed -n '/search starts here:/,/^End of search/s/^ /include /p'
done
)";
constexpr std::string_view kLibraryScript =
    R"(ldd "$1" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\).*/file \1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/file \1/p')";

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

Toolbox::Toolbox(const Places& places, FileTable& files, ActionStore& store, Ask ask,
                 std::string path_variable)
    : places_(places),
      files_(files),
      store_(store),
      ask_(std::move(ask)),
      folders_(split(path_variable, ':')) {}

std::string Toolbox::locate(std::string_view program) const {
  if (program.find('/') != std::string_view::npos) return places_.absolute(program);
  for (const std::string& folder : folders_) {
    std::string path = fmt::format("{}/{}", folder, program);
    if (::access(places_.real(path).c_str(), X_OK) == 0) return path;
  }
  return {};
}

Result<const Tool*> Toolbox::find(const std::string& program, const std::vector<std::string>& flags) {
  const std::string name = program + "\n" + join(flags, "\n");
  if (const auto known = tools_.find(name); known != tools_.end()) return &known->second;
  const std::string path = locate(program);
  if (path.empty()) return fail(ErrorKind::not_found, fmt::format("no {} in PATH", program));
  SB_TRY(const FileTable::Known* file, files_.known(files_.number(path)));
  if (file->type != FileTable::Type::regular)
    return fail(ErrorKind::not_found, fmt::format("{} is no program", path));
  const bool driver = is_compiler_driver(program);
  KeyBuilder key;
  key.add(std::string_view("tool 1")).add(path).add(file->digest);
  for (const std::string& flag : driver ? flags : std::vector<std::string>()) key.add(flag);
  SB_TRY(const std::string parts, description(key.finish(), path, driver, flags));
  SB_TRY(Tool tool, assemble(path, parts));
  return &tools_.emplace(name, std::move(tool)).first->second;
}

Result<std::string> Toolbox::description(const Key& key, const std::string& path, bool driver,
                                         const std::vector<std::string>& flags) {
  SB_TRY(std::optional<std::string> known, store_.tool(key));
  if (known) return *std::move(known);
  std::vector<std::string> argv = {"/bin/sh", "-c", std::string(driver ? kDriverScript : kLibraryScript),
                                   "sh", path};
  if (driver) argv.insert(argv.end(), flags.begin(), flags.end());
  SB_TRY(std::string text, ask_(argv));
  if (driver) {
    SB_TRY(const std::string libraries, ask_({"/bin/sh", "-c", std::string(kLibraryScript), "sh", path}));
    text += "\n" + libraries;
  }
  fresh_.emplace_back(key, text);
  return text;
}

Result<Tool> Toolbox::assemble(const std::string& path, std::string_view description) {
  Tool tool;
  std::set<std::string> parts = {path};
  for (const std::string& line : split(description, '\n')) {
    const auto value = [&](std::string_view word) { return std::string_view(line).substr(word.size()); };
    if (line.starts_with("file /")) parts.insert(places_.absolute(value("file ")));
    if (line.starts_with("include ")) {
      // "/System/Library (framework directory)"
      std::string folder = places_.absolute(trim(value("include ").substr(0, value("include ").find(" ("))));
      if (std::ranges::find(tool.include_dirs, folder) == tool.include_dirs.end())
        tool.include_dirs.push_back(std::move(folder));
    }
    if (!line.starts_with("libraries ")) continue;
    for (const std::string& folder : split(value("libraries "), ':'))
      tool.library_dirs.push_back(places_.absolute(folder));
  }
  KeyBuilder identity;
  for (const std::string& part : parts) {
    SB_TRY(const FileTable::Known* file, files_.known(files_.number(part)));
    identity.add(part).add(file->digest);
  }
  for (const std::string& folder : tool.include_dirs) identity.add(folder);
  for (const std::string& folder : tool.library_dirs) identity.add(folder);
  tool.identity = identity.finish();
  return tool;
}

Status Toolbox::remember() {
  for (const auto& [key, text] : fresh_) SB_CHECK(store_.remember_tool(key, text));
  fresh_.clear();
  return {};
}

}  // namespace sb::cache
