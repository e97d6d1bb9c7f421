#include "cache/path_traces.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace sb::cache {
namespace {

constexpr std::size_t kBlock = 1 << 20;
constexpr std::size_t kMostNames = 64 << 20;  // bytes of section names
constexpr unsigned char kOwnOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

// Of packed sections: old compression, LTO of GCC and Clang, Clang's coverage.
constexpr auto kPacked = std::to_array<std::string_view>(
    {".zdebug", ".gnu.lto", ".gnu.debuglto", ".llvmbc", ".llvmcmd", ".llvm.lto", "__llvm"});

// Names of symbols are made of paths in this way: _binary__home_me_x_png_start.
std::string as_name(std::string_view path) {
  std::string name(path);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

bool read_at(int fd, std::uint64_t at, void* to, std::size_t size) {
  return ::pread(fd, to, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

template <typename Header, typename Section>
bool is_open(int fd) {
  Header header{};
  // More sections than the header can count are counted elsewhere: not here.
  if (!read_at(fd, 0, &header, sizeof header) || header.e_shentsize != sizeof(Section) ||
      header.e_shnum == 0 || header.e_shstrndx >= header.e_shnum)
    return false;
  std::vector<Section> sections(header.e_shnum);
  if (!read_at(fd, header.e_shoff, sections.data(), sections.size() * sizeof(Section))) return false;
  const Section& table = sections[header.e_shstrndx];
  if (table.sh_size > kMostNames) return false;
  std::string names(table.sh_size, '\0');
  if (!read_at(fd, table.sh_offset, names.data(), names.size())) return false;
  return std::ranges::none_of(sections, [&](const Section& section) {
    if ((section.sh_flags & SHF_COMPRESSED) != 0 || section.sh_name >= std::max<std::size_t>(names.size(), 1))
      return true;
    const std::string_view name(names.c_str() + section.sh_name);
    return std::ranges::any_of(kPacked, [&](std::string_view start) { return name.starts_with(start); });
  });
}

}  // namespace

std::vector<std::string> path_traces(const Places& places, const std::vector<std::string>& environment) {
  std::vector<std::string> folders = {places.source, places.build};
  for (const std::string& variable : environment) {
    for (const std::string_view name : {"HOME=", "TMPDIR="}) {
      if (variable.starts_with(name) && variable.size() > name.size() + 1)
        folders.push_back(variable.substr(name.size()));
    }
  }
  std::vector<std::string> traces;
  for (const std::string& folder : folders) {
    std::error_code code;
    const std::string resolved = std::filesystem::weakly_canonical(places.real(folder), code).string();
    for (const std::string& name : {folder, code ? folder : resolved}) {
      traces.push_back(name);
      traces.push_back(as_name(name));
    }
  }
  std::ranges::sort(traces);
  traces.erase(std::ranges::unique(traces).begin(), traces.end());
  return traces;
}

bool has_trace(std::string_view text, const std::vector<std::string>& traces) {
  return std::ranges::any_of(traces, [&](const std::string& trace) {
    return ::memmem(text.data(), text.size(), trace.data(), trace.size()) != nullptr;
  });
}

Result<bool> file_has_trace(const std::string& path, const std::vector<std::string>& traces) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
  if (!fd) return fail(errno_error(fmt::format("cannot read {}", path)));
  std::size_t longest = 1;
  for (const std::string& trace : traces) longest = std::max(longest, trace.size());
  std::string block(kBlock + longest, '\0');
  std::size_t kept = 0;  // of the block before: a trace may begin there
  while (true) {
    const ssize_t n = ::read(fd.get(), block.data() + kept, kBlock);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(fmt::format("cannot read {}", path)));
    if (n == 0) return false;
    const std::size_t size = kept + static_cast<std::size_t>(n);
    if (has_trace(std::string_view(block).substr(0, size), traces)) return true;
    kept = std::min(size, longest - 1);
    std::memmove(block.data(), block.data() + size - kept, kept);
  }
}

bool is_open_elf(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
  std::array<unsigned char, EI_NIDENT> ident{};
  if (!fd || !read_at(fd.get(), 0, ident.data(), ident.size()) ||
      std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != kOwnOrder)
    return false;
  if (ident[EI_CLASS] == ELFCLASS64) return is_open<Elf64_Ehdr, Elf64_Shdr>(fd.get());
  return ident[EI_CLASS] == ELFCLASS32 && is_open<Elf32_Ehdr, Elf32_Shdr>(fd.get());
}

}  // namespace sb::cache
