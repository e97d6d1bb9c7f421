// Owning pointers over libgit2's handles and its error text. For the .cc files of this folder only: it
// includes git2.h, which nothing outside should see.
#pragma once

#include <memory>
#include <string>

#include <git2.h>

#include "base/error.h"
#include "staging/repository.h"

namespace sb::staging {

template <auto Free>
struct GitFree {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

using GitRepository = std::unique_ptr<git_repository, GitFree<git_repository_free>>;
using GitObject = std::unique_ptr<git_object, GitFree<git_object_free>>;
using GitCommit = std::unique_ptr<git_commit, GitFree<git_commit_free>>;
using GitTree = std::unique_ptr<git_tree, GitFree<git_tree_free>>;
using GitTreeEntry = std::unique_ptr<git_tree_entry, GitFree<git_tree_entry_free>>;
using GitBlob = std::unique_ptr<git_blob, GitFree<git_blob_free>>;
using GitDiff = std::unique_ptr<git_diff, GitFree<git_diff_free>>;
using GitIndex = std::unique_ptr<git_index, GitFree<git_index_free>>;
using GitReference = std::unique_ptr<git_reference, GitFree<git_reference_free>>;
using GitConfig = std::unique_ptr<git_config, GitFree<git_config_free>>;
using GitConfigIterator = std::unique_ptr<git_config_iterator, GitFree<git_config_iterator_free>>;
using GitSignature = std::unique_ptr<git_signature, GitFree<git_signature_free>>;
using GitOdb = std::unique_ptr<git_odb, GitFree<git_odb_free>>;

struct Repository::Handle {
  GitRepository repository;
  [[nodiscard]] git_repository* get() const { return repository.get(); }
};

// What libgit2 said last on this thread, added to `what`. GIT_ENOTFOUND becomes not_found, GIT_EEXISTS and
// GIT_ELOCKED conflict, the rest environment.
[[nodiscard]] Error from_libgit2(std::string what, int code);

// Starts libgit2 once for the process, with what it must not read switched off. Call before any git_
// function.
void start_libgit2();

[[nodiscard]] std::string hex(const git_oid& id);
// Errors: usage when it is not 40 hex digits.
[[nodiscard]] Result<git_oid> parse_id(const std::string& hex_digits);

}  // namespace sb::staging
