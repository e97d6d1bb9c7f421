#include "cache/elf_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"

namespace sb::cache {
namespace {

constexpr std::size_t kMostSegments = 256;
constexpr std::size_t kMostEntries = 16'384;
constexpr std::size_t kLongestText = 4096;
constexpr unsigned char kOwnOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

bool read_at(int fd, std::uint64_t at, void* to, std::size_t size) {
  return ::pread(fd, to, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

template <typename Entry>
std::vector<Entry> table_at(int fd, std::uint64_t at, std::size_t count) {
  std::vector<Entry> table(count);
  if (!read_at(fd, at, table.data(), count * sizeof(Entry))) table.clear();
  return table;
}

// The texts of a file, which lie side by side: most are in the block that was read for the one before.
class Texts {
 public:
  explicit Texts(int fd) : fd_(fd) {}

  // Up to its final zero; empty when there is none in reach.
  std::string at(std::uint64_t offset) {
    std::optional<std::string> text = in_block(offset);
    if (!text) {
      const ssize_t n = ::pread(fd_, block_.data(), block_.size(), static_cast<off_t>(offset));
      begin_ = offset;
      size_ = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
      text = in_block(offset);
    }
    return std::move(text).value_or(std::string());
  }

 private:
  [[nodiscard]] std::optional<std::string> in_block(std::uint64_t offset) const {
    if (offset < begin_ || offset - begin_ >= size_) return std::nullopt;
    const std::string_view rest(block_.data() + (offset - begin_), size_ - (offset - begin_));
    const std::size_t end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(rest.substr(0, end));
  }

  int fd_;
  std::uint64_t begin_ = 0;
  std::size_t size_ = 0;  // of what was read
  std::array<char, kLongestText> block_{};
};

template <typename Header, typename Segment, typename Entry>
class Reader {
 public:
  Reader(int fd, int bits) : fd_(fd), texts_(fd) { file_.bits = bits; }

  ElfFile read() {
    Header header{};
    if (!read_at(fd_, 0, &header, sizeof header) || header.e_phentsize != sizeof(Segment) ||
        header.e_phnum > kMostSegments) {
      file_.needed.emplace_back();  // nobody has that
      return std::move(file_);
    }
    file_.machine = header.e_machine;
    segments_ = table_at<Segment>(fd_, header.e_phoff, header.e_phnum);
    for (const Segment& segment : segments_) {
      if (segment.p_type == PT_INTERP) file_.interpreter = texts_.at(segment.p_offset);
      if (segment.p_type == PT_DYNAMIC) read_dynamic(segment);
    }
    return std::move(file_);
  }

 private:
  void read_dynamic(const Segment& segment) {
    const auto entries = table_at<Entry>(
        fd_, segment.p_offset, std::min<std::size_t>(segment.p_filesz / sizeof(Entry), kMostEntries));
    const auto strings = std::ranges::find_if(entries, [](const Entry& e) { return e.d_tag == DT_STRTAB; });
    const std::optional<std::uint64_t> base =
        strings == entries.end() ? std::nullopt : offset_of(strings->d_un.d_ptr);
    if (!base) {
      file_.needed.emplace_back();
      return;
    }
    for (const Entry& entry : entries) {
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) file_.needed.push_back(texts_.at(*base + entry.d_un.d_val));
      if (entry.d_tag == DT_RPATH) file_.rpath = split(texts_.at(*base + entry.d_un.d_val), ':');
      if (entry.d_tag == DT_RUNPATH) file_.runpath = split(texts_.at(*base + entry.d_un.d_val), ':');
    }
    if (!file_.runpath.empty()) file_.rpath.clear();
  }

  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const Segment& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz)
        return segment.p_offset + (address - segment.p_vaddr);
    }
    return std::nullopt;
  }

  int fd_;
  Texts texts_;
  ElfFile file_;
  std::vector<Segment> segments_;
};

}  // namespace

ElfFile read_elf(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  std::array<unsigned char, EI_NIDENT> ident{};
  if (!fd || !read_at(fd.get(), 0, ident.data(), ident.size()) ||
      std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != kOwnOrder)
    return {};
  if (ident[EI_CLASS] == ELFCLASS64) return Reader<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(fd.get(), 64).read();
  if (ident[EI_CLASS] == ELFCLASS32) return Reader<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>(fd.get(), 32).read();
  return {};
}

}  // namespace sb::cache
