// Portability: which results of a build would be the same at any other path. Only asked where stages have no
// common one (normal_form.h). A wrong yes would be a wrong hit, so all of this must hold:
//   The command is one of few kinds, and each of its words is known (portable_command.h).
//   What it made and printed has none of the stage's folders in it, and packs nothing (path_traces.h).
//   No source that it read can ask for a path and use it unseen (path_questions.h).
//   What it read outside of the stage it did not find by "..".
// All else is kept for builds at this path alone. Private to this folder.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cache/build_state.h"
#include "cache/path_questions.h"

namespace sb::cache {

class Portability {
 public:
  explicit Portability(const BuildCache::State& state);

  struct Made {
    const PlannedEdge* edge = nullptr;
    std::vector<FileTable::Number> discovered{};
    const ActionResult* result = nullptr;  // its files lie in the pool
  };
  // Of each.
  [[nodiscard]] Result<std::vector<bool>> of(const std::vector<Made>& made);

 private:
  struct StageText {
    bool asks = true;
    std::vector<std::string> climbing{};
  };
  [[nodiscard]] Result<bool> is_clean(const Made& made) const;
  [[nodiscard]] bool is_found_by_name(const Made& made) const;
  [[nodiscard]] bool read_host_texts(const Made& made);
  [[nodiscard]] bool are_silent(const Made& made);
  [[nodiscard]] bool stays_inside(const Made& made, FileTable::Number file,
                                  const std::vector<std::string>& climbing) const;
  [[nodiscard]] const StageText& stage_text(FileTable::Number file);
  [[nodiscard]] bool is_of_stage(const std::string& path) const;

  const BuildCache::State& state_;
  std::vector<std::string> traces_;
  PathQuestions questions_;
  std::unordered_map<FileTable::Number, bool> host_texts_;  // whether their macros are known
  std::unordered_map<FileTable::Number, StageText> stage_texts_;
};

}  // namespace sb::cache
