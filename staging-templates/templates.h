// The files that `selfbuild init` writes, as part of the program. The text is in the folders beside this
// header.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sb::templates {

struct TemplateFile {
  std::string_view template_name;  // "service", "tool"
  std::string_view path;           // relative to the new project
  std::string_view content;        // as in the source, with its @NAME@
  bool executable = false;
};

// All files of all templates, sorted by template and path; they live as long as the program.
[[nodiscard]] std::span<const TemplateFile> template_files();

// A content or a path with the project's name in place of every @NAME@.
[[nodiscard]] std::string fill(std::string_view text, std::string_view name);

}  // namespace sb::templates
