// Repository::apply_patch: reads the patch, has it judged and worked out in memory, and only then writes
// blobs, trees and one commit for every mail into the object database, and the cycle's ref.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "staging/git_handles.h"
#include "staging/patch_reader.h"
#include "staging/patched_tree.h"
#include "staging/tree_listing.h"

namespace sb::staging {
namespace {

constexpr const char* kOurName = "selfbuild";
constexpr const char* kOurEmail = "selfbuild@localhost";

// Removes what the commit object cannot hold: git_signature_new refuses names with '<', '>' or control
// characters.
std::string plain_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '<' && c != '>' && static_cast<unsigned char>(c) >= 0x20) out.push_back(c);
  }
  return out;
}

Result<GitSignature> signature(const std::string& name, const std::string& email, std::int64_t time,
                               int minutes_east) {
  git_signature* made = nullptr;
  if (const int code = git_signature_new(&made, name.c_str(), email.c_str(), time, minutes_east); code != 0) {
    return fail(from_libgit2(fmt::format("cannot write '{} <{}>' as an author", name, email), code));
  }
  return GitSignature(made);
}

// Writes the objects of an allowed patch. The commits depend on the base and on the patch alone, so that the
// same patch gives the same commit however often it is tried.
class CommitWriter {
 public:
  explicit CommitWriter(git_repository* repository) : repository_(repository) {}

  Status begin(const Source& base) {
    SB_TRY(const git_oid commit, parse_id(base.commit));
    git_commit* found = nullptr;
    if (const int code = git_commit_lookup(&found, repository_, &commit); code != 0) {
      return fail(from_libgit2(fmt::format("cannot read commit {}", base.commit), code));
    }
    parent_.reset(found);
    time_ = git_commit_time(found);
    git_tree* tree = nullptr;
    if (const int code = git_commit_tree(&tree, found); code != 0) {
      return fail(from_libgit2(fmt::format("cannot read the tree of {}", base.commit), code));
    }
    const GitTree root(tree);
    git_index* made = nullptr;
    int code = git_index_new(&made);
    index_.reset(made);
    if (code == 0) code = git_index_read_tree(made, root.get());
    if (code != 0) return fail(from_libgit2("cannot list the base tree", code));
    return {};
  }

  Status write_blobs(const std::map<std::string, std::string>& blobs) {
    for (const auto& [id, bytes] : blobs) {
      git_oid written{};
      if (const int code = git_blob_create_from_buffer(&written, repository_, bytes.data(), bytes.size());
          code != 0) {
        return fail(from_libgit2("cannot write a blob into the repository", code));
      }
      if (hex(written) != id)
        return fail(ErrorKind::bug, fmt::format("blob {} was written as {}", id, hex(written)));
    }
    return {};
  }

  Status commit(const Mail& mail, const TreeChange& change) {
    SB_CHECK(change_index(change));
    git_oid tree_id{};
    if (const int code = git_index_write_tree_to(&tree_id, index_.get(), repository_); code != 0) {
      return fail(from_libgit2("cannot write the patched tree", code));
    }
    git_tree* found = nullptr;
    if (const int code = git_tree_lookup(&found, repository_, &tree_id); code != 0) {
      return fail(from_libgit2("cannot read the patched tree", code));
    }
    const GitTree tree(found);
    time_ = std::max(time_, mail.unix_time.value_or(time_));
    const bool signed_by_mail =
        !plain_name(mail.author_name).empty() && !plain_name(mail.author_email).empty();
    SB_TRY(const GitSignature author,
           signed_by_mail ? signature(plain_name(mail.author_name), plain_name(mail.author_email),
                                      mail.unix_time.value_or(time_), mail.minutes_east)
                          : signature(kOurName, kOurEmail, time_, 0));
    SB_TRY(const GitSignature committer, signature(kOurName, kOurEmail, time_, 0));
    const std::string message = mail.message.empty() ? "Apply a patch\n" : mail.message;
    const git_commit* parents[] = {parent_.get()};
    git_oid made{};
    int code = git_commit_create(&made, repository_, nullptr, author.get(), committer.get(), nullptr,
                                 message.c_str(), tree.get(), 1, parents);
    git_commit* next = nullptr;
    if (code == 0) code = git_commit_lookup(&next, repository_, &made);
    if (code != 0) return fail(from_libgit2("cannot write the patched commit", code));
    parent_.reset(next);
    return {};
  }

  [[nodiscard]] std::string last_commit() const { return hex(*git_commit_id(parent_.get())); }

 private:
  Status change_index(const TreeChange& change) {
    int code = 0;
    for (const std::string& path : change.removed) {
      if (code == 0) code = git_index_remove(index_.get(), path.c_str(), 0);
    }
    for (const auto& [path, entry] : change.written) {
      SB_TRY(const git_oid id, parse_id(entry.id));
      git_index_entry added{};
      added.mode = entry.mode;
      added.id = id;
      added.path = path.c_str();
      if (code == 0) code = git_index_add(index_.get(), &added);
    }
    if (code != 0) return fail(from_libgit2("cannot list the patched files", code));
    return {};
  }

  git_repository* repository_;
  GitCommit parent_;
  GitIndex index_;
  std::int64_t time_ = 0;
};

}  // namespace

Result<Source> Repository::apply_patch(const Source& base, std::string_view patch, std::int64_t cycle) {
  SB_TRY(const std::vector<Mail> mails, read_patch(patch));
  SB_TRY(TreeListing listing, list_tree(*handle_, base.tree));
  PatchedTree tree(std::move(listing), [this](const std::string& id, std::string_view path) {
    return read_blob_by_id(*handle_, id, path);
  });
  SB_CHECK(tree.check_names(mails));
  std::vector<TreeChange> changes;
  for (const Mail& mail : mails) {
    SB_TRY(TreeChange change, tree.apply(mail));
    changes.push_back(std::move(change));
  }
  SB_CHECK(tree.check_result());

  // Everything is allowed; from here on objects are written, and a ref last, so that a crash leaves only
  // loose ends that git collects.
  CommitWriter writer(handle_->get());
  SB_CHECK(writer.begin(base));
  SB_CHECK(writer.write_blobs(tree.new_blobs()));
  for (std::size_t i = 0; i < mails.size(); ++i) SB_CHECK(writer.commit(mails[i], changes[i]));
  SB_TRY(Source result, resolve(writer.last_commit()));
  SB_CHECK(keep(result, cycle));
  return result;
}

}  // namespace sb::staging
