// Repository: the user's git repository as the update sees it: revisions, blobs, patched commits that are
// made in the object database alone, and the refs that keep them alive. First in the staging step, before any
// slot moves.
//
// Uses libgit2 without its hooks, filters or work tree functions, and without the system's and the user's git
// configuration (only safe.directory is read from there). The checkout, the index and the branches are only
// read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::staging {

// What a revision resolves to.
struct Source {
  std::string commit;   // 40 hex digits
  std::string tree;     // 40 hex digits
  std::string summary;  // first line of the commit message
  std::string author;
};

// Owns the libgit2 handle; one thread at a time.
class Repository {
 public:
  // Opens the repository that contains a folder. Errors: not_found; usage for a bare one; environment when it
  // belongs to another user and safe.directory does not name it (git's own rule, also for root).
  [[nodiscard]] static Result<Repository> open(const std::filesystem::path& inside);
  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;
  ~Repository();

  [[nodiscard]] std::filesystem::path root() const;     // the work tree
  [[nodiscard]] std::filesystem::path git_dir() const;  // the common .git folder
  // A revision as git-rev-parse(1) writes it. not_found names the nearest branch or tag.
  [[nodiscard]] Result<Source> resolve(const std::string& revision) const;
  [[nodiscard]] Result<std::string> read_blob(const std::string& tree,
                                              const std::string& path) const;  // not_found
  [[nodiscard]] Result<std::string> head_branch() const;  // "main"; not_found when detached

  // Applies a unified diff or a git-format-patch mail (or several in one file) to a commit, in the object
  // database only, after path_rules.h has allowed every path; makes a commit of the result (author and
  // message from the mail when there is one), and points refs/selfbuild/cycles/<cycle> at it. Errors: refused
  // (a rule says no: names the rule and the path), conflict (does not apply: names file and hunk).
  [[nodiscard]] Result<Source> apply_patch(const Source& base, std::string_view patch, std::int64_t cycle);
  // Keeps an unpatched source alive on refs/selfbuild/cycles/<cycle> as well.
  [[nodiscard]] Status keep(const Source& source, std::int64_t cycle);
  [[nodiscard]] Status forget(std::int64_t cycle);  // deletes that ref

  struct Handle;  // git_repository, for this folder's .cc files
  [[nodiscard]] Handle& handle() const { return *handle_; }

 private:
  explicit Repository(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace sb::staging
