// What an ELF file says about how it is loaded. Read defensively: the file may be anybody's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sb::cache {

struct ElfFile {
  int bits = 0;  // 64 or 32; 0: no ELF file that this machine could load
  std::uint16_t machine = 0;
  std::string interpreter;          // /lib64/ld-linux-x86-64.so.2
  std::vector<std::string> needed;  // DT_NEEDED, as written
  std::vector<std::string> rpath;   // folders, as written ($ORIGIN); empty when there is a RUNPATH
  std::vector<std::string> runpath;
};

// bits = 0 also for a file that cannot be opened. One that is stranger than any linker makes it needs a
// library without a name.
[[nodiscard]] ElfFile read_elf(const std::string& path);

}  // namespace sb::cache
