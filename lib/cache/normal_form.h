// NormalForm: where the stages of a host have no common path (no View), their files get names in keys and in
// the store that do not depend on where a stage lies: those that they would have in a view. Read back, a name
// is that of the same file in the stage that reads. With a view there is nothing to do.
//
// Which results may be used at another path at all is decided elsewhere (portability.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/key.h"
#include "cache/places.h"

namespace sb::cache {

class NormalForm {
 public:
  NormalForm() = default;  // changes nothing, as with a view
  explicit NormalForm(const Places& places);

  [[nodiscard]] bool is_needed() const { return needed_; }
  // Of an absolute path, or of a text that begins with one; all else stays as it is.
  [[nodiscard]] std::string of(std::string_view path) const;
  // The other way round.
  [[nodiscard]] std::string here(std::string_view normal) const;
  // … and every other place in the text.
  [[nodiscard]] std::string of_text(std::string_view text) const;
  // Of a file that is not the stage's, but would be taken for one when it is read back.
  [[nodiscard]] bool is_ambiguous(std::string_view path) const;
  KeyBuilder& add(KeyBuilder& key, std::string_view path) const {
    return needed_ ? key.add(of(path)) : key.add(path);
  }

  // How the source lies to the build folder: relative paths in commands depend on it.
  [[nodiscard]] std::string relation() const;

 private:
  struct Folder {
    std::string here;
    std::string normal;
  };
  // The folder that the path begins with, at a boundary between names.
  [[nodiscard]] const Folder* folder_of(std::string_view path) const;

  bool needed_ = false;
  std::vector<Folder> folders_;  // one that lies in another one before that
};

// The key of an action, and at once the one that the same action has in every stage.
class ActionKeys {
 public:
  explicit ActionKeys(const NormalForm& normal) : normal_(normal) {}
  // What differs from stage to stage, and what stands for it.
  ActionKeys& add(std::string_view own, std::string_view portable);
  ActionKeys& add(const Key& own, const Key& portable);
  ActionKeys& add_path(std::string_view path);
  ActionKeys& add_text(std::string_view text);
  ActionKeys& add(std::uint64_t number);
  ActionKeys& add(const Key& key);
  [[nodiscard]] Key own() const { return own_.finish(); }
  [[nodiscard]] Key portable() const { return portable_.finish(); }

 private:
  const NormalForm& normal_;
  KeyBuilder own_;
  KeyBuilder portable_;
};

}  // namespace sb::cache
