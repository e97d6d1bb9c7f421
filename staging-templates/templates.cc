// What is done with the embedded files; the files themselves are in the generated template_files.cc.
#include "staging-templates/templates.h"

namespace sb::templates {

std::string fill(std::string_view text, std::string_view name) {
  constexpr std::string_view kPlace = "@NAME@";
  std::string filled;
  while (true) {
    const std::size_t place = text.find(kPlace);
    filled += text.substr(0, place);
    if (place == std::string_view::npos) return filled;
    filled += name;
    text.remove_prefix(place + kPlace.size());
  }
}

}  // namespace sb::templates
