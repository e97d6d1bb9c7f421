// SharedLibraries: what a program of the host loads when it starts, found where ld.so(8) looks for it,
// without running anything: along RPATH, LD_LIBRARY_PATH, RUNPATH, /etc/ld.so.cache and the system's folders.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/elf_file.h"
#include "cache/places.h"

namespace sb::cache {

class SharedLibraries {
 public:
  // `environment`: "NAME=value", of the commands.
  SharedLibraries(const Places& places, const std::vector<std::string>& environment);

  struct Loaded {
    std::vector<std::string> files;  // as the commands see them; the loader itself among them
    bool whole = true;               // false: a name was found nowhere
  };
  // Of a program as the commands see it, with all that its libraries load. Nothing of what is no ELF file.
  [[nodiscard]] Loaded of(const std::string& program);

 private:
  struct Object {
    std::string path;
    std::vector<std::string> inherited;  // RPATHs of those that load it
  };
  struct Search {
    std::vector<std::string> before;  // the cache
    std::vector<std::string> after;
  };
  [[nodiscard]] const ElfFile& file(const std::string& path);
  // RPATHs, LD_LIBRARY_PATH, RUNPATHs.
  [[nodiscard]] std::vector<std::string> folders_of(const Object& object, const ElfFile& elf,
                                                    const std::vector<std::string>& rpaths) const;
  // Adds the files that `name` may mean to who asks for it; false when there is none.
  bool add(const std::string& name, const ElfFile& asking, const Search& search,
           std::vector<std::string>& found);
  bool add_from(const std::string& folder, const std::string& name, const ElfFile& asking,
                std::vector<std::string>& found);
  bool add_file(const std::string& path, const ElfFile& asking, std::vector<std::string>& found);
  void read_cache(std::string_view bytes);

  const Places& places_;
  std::vector<std::string> folders_;                                  // LD_LIBRARY_PATH
  std::vector<std::string> preloaded_;                                // LD_PRELOAD and /etc/ld.so.preload
  std::unordered_map<std::string, std::vector<std::string>> cached_;  // ld.so.cache: paths by name
  std::unordered_map<std::string, ElfFile> files_;                    // by path
  std::unordered_map<std::string, std::vector<std::string>> capabilities_;  // folders for better processors
};

}  // namespace sb::cache
