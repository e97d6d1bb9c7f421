// PathQuestions: whether a source can have its own path in what is made of it without showing it: by a hash
// or the length of __FILE__, say. A path that is used as it is, is found in the object file; this is about
// the rest. Sources of the stage may not say the word at all, nor any macro of the host whose text says it.
// Errs on the side of yes, except for assert(3), whose path is a string in the object file or not there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sb::cache {

class PathQuestions {
 public:
  // A header that is not of a stage: what its macros say counts for all that is asked about afterwards.
  // False: it asks where its user lies by itself (std::source_location).
  bool add_host(std::string_view name, std::string_view text);
  // After the last host header.
  void close();
  // Of a text of the stage.
  [[nodiscard]] bool asks(std::string_view text) const;

 private:
  using Name = std::uint32_t;
  struct Macro {
    Name name = 0;
    bool pastes = false;
    std::vector<Name> says;    // the identifiers of its text, but for its parameters
    std::vector<Name> begins;  // those of them that something is pasted to
  };
  [[nodiscard]] Name number(std::string_view name);
  void add_macro(std::string_view line, bool is_assert_header);
  [[nodiscard]] bool asks(const Macro& macro) const;
  [[nodiscard]] bool pastes(const Macro& macro) const;
  void collect_pieces();

  std::unordered_map<std::string, Name> numbers_;
  std::vector<std::string> names_;
  std::vector<Macro> macros_;
  std::unordered_set<std::string> asking_;   // words and macros that say the path
  std::unordered_set<std::string> pasting_;  // macros that paste
  std::unordered_set<std::string> pieces_;   // what must be pasted to to get one that asks
};

// The names in a text's #include "../x" and the like, each once: those that leave a folder. One that leaves
// every stage for what is pieced together.
[[nodiscard]] std::vector<std::string> climbing_names(std::string_view text);

}  // namespace sb::cache
