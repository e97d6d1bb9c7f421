#include "staging/repository.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/suggestion.h"
#include "staging/git_handles.h"
#include "staging/repository_owner.h"
#include "staging/tree_listing.h"

namespace sb::staging {
namespace fs = std::filesystem;
namespace {

std::string cycle_ref(std::int64_t cycle) {
  return fmt::format("refs/selfbuild/cycles/c-{}", cycle);
}

// The work tree above a folder; nothing when there is no repository.
std::optional<fs::path> discovered_root(const fs::path& inside) {
  git_buf found = GIT_BUF_INIT;
  if (git_repository_discover(&found, inside.c_str(), 0, nullptr) != 0) return std::nullopt;
  const fs::path git_dir = fs::path(found.ptr).parent_path();  // libgit2 ends it with a slash
  git_buf_dispose(&found);
  return git_dir.parent_path();
}

// Opening again with the owner check off; the switch belongs to the whole process, so one opener at a time.
int open_although_foreign(git_repository** out, const fs::path& inside) {
  static std::mutex switching;
  const std::scoped_lock lock(switching);
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  const int code = git_repository_open_ext(out, inside.c_str(), 0, nullptr);
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 1);
  return code;
}

std::string first_line(const char* text) {
  const std::string_view all = text == nullptr ? "" : text;
  return std::string(all.substr(0, all.find('\n')));
}

Result<Source> source_of(git_commit* commit) {
  const git_signature* author = git_commit_author(commit);
  return Source{.commit = hex(*git_commit_id(commit)),
                .tree = hex(*git_commit_tree_id(commit)),
                .summary = first_line(git_commit_message(commit)),
                .author = author == nullptr ? "" : fmt::format("{} <{}>", author->name, author->email)};
}

// "main" of "main~3^{tree}"; empty for ":/text" and "@{1}".
std::string name_in(const std::string& revision) {
  return revision.substr(0, revision.find_first_of("~^@:"));
}

std::vector<std::string> names_of_revisions(git_repository* repository) {
  std::vector<std::string> names{"HEAD"};
  git_reference_foreach_name(
      repository,
      [](const char* full_name, void* payload) {
        std::string_view name = full_name;
        for (const std::string_view prefix : {"refs/heads/", "refs/tags/", "refs/remotes/"}) {
          if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
            static_cast<std::vector<std::string>*>(payload)->emplace_back(name);
            break;
          }
        }
        return 0;
      },
      &names);
  return names;
}

Error unknown_revision(git_repository* repository, const std::string& revision) {
  if (git_repository_head_unborn(repository) == 1 && (revision == "HEAD" || revision.starts_with("HEAD~"))) {
    return make_error(ErrorKind::not_found,
                      fmt::format("{} has no commit yet", git_repository_workdir(repository)),
                      "git add --all && git commit -m 'first version'");
  }
  Error error = make_error(ErrorKind::not_found, fmt::format("there is no revision '{}'", revision));
  const std::vector<std::string> names = names_of_revisions(repository);
  const std::string name = name_in(revision);
  const bool is_known = std::ranges::find(names, name) != names.end();
  if (const auto near = nearest(name, names); near && !is_known) {
    error.what += fmt::format("; did you mean '{}'?", *near);
  } else if (git_repository_is_shallow(repository) == 1) {
    error.what += "; the clone is shallow, so its older commits are not here";
    error.next = "git fetch --unshallow";
  }
  return error;
}

}  // namespace

Repository::Repository(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;
Repository::~Repository() = default;

Result<Repository> Repository::open(const fs::path& inside) {
  start_libgit2();
  git_repository* opened = nullptr;
  int code = git_repository_open_ext(&opened, inside.c_str(), 0, nullptr);
  // libgit2 1.5.1 says "not found" for a foreign owner, too, because it finds no safe.directory.
  if (code == GIT_EOWNER || code == GIT_ENOTFOUND) {
    if (const auto root = discovered_root(inside); root && belongs_to_another(*root)) {
      if (!is_declared_safe(*root)) return fail(foreign_owner(*root));
      code = open_although_foreign(&opened, inside);
    }
  }
  if (code == GIT_ENOTFOUND) {
    return fail(ErrorKind::not_found, fmt::format("{} is not inside a git repository", inside.string()),
                "git init");
  }
  if (code != 0)
    return fail(from_libgit2(fmt::format("cannot open the repository of {}", inside.string()), code));
  auto handle = std::make_unique<Handle>(Handle{.repository = GitRepository(opened)});
  if (git_repository_is_bare(opened) == 1 || git_repository_workdir(opened) == nullptr) {
    return fail(ErrorKind::usage,
                fmt::format("{} is a bare repository; selfbuild works from a checkout", inside.string()),
                fmt::format("git clone {} checkout", inside.string()));
  }
  return Repository(std::move(handle));
}

fs::path Repository::root() const {
  const fs::path path = git_repository_workdir(handle_->get());
  return path.has_filename() ? path : path.parent_path();
}

fs::path Repository::git_dir() const {
  const fs::path path = git_repository_commondir(handle_->get());
  return path.has_filename() ? path : path.parent_path();
}

Result<Source> Repository::resolve(const std::string& revision) const {
  git_object* found = nullptr;
  const int code = git_revparse_single(&found, handle_->get(), revision.c_str());
  const GitObject object(found);
  if (code == GIT_ENOTFOUND || code == GIT_EUNBORNBRANCH)
    return fail(unknown_revision(handle_->get(), revision));
  if (code == GIT_EAMBIGUOUS) {
    return fail(ErrorKind::usage,
                fmt::format("'{}' begins the names of several commits; write more of it", revision));
  }
  if (code != 0) {
    Error error = from_libgit2(fmt::format("'{}' is not a revision", revision), code);
    error.kind = ErrorKind::usage;
    return fail(std::move(error));
  }
  git_object* peeled = nullptr;
  if (git_object_peel(&peeled, object.get(), GIT_OBJECT_COMMIT) != 0) {
    return fail(ErrorKind::usage, fmt::format("'{}' names a {}, not a commit", revision,
                                              git_object_type2string(git_object_type(object.get()))));
  }
  const GitObject commit(peeled);
  return source_of(reinterpret_cast<git_commit*>(commit.get()));
}

Result<std::string> Repository::read_blob(const std::string& tree, const std::string& path) const {
  SB_TRY(const git_oid tree_id, parse_id(tree));
  git_tree* found_tree = nullptr;
  if (const int code = git_tree_lookup(&found_tree, handle_->get(), &tree_id); code != 0) {
    return fail(from_libgit2(fmt::format("cannot read tree {}", tree), code));
  }
  const GitTree root_tree(found_tree);
  git_tree_entry* found_entry = nullptr;
  if (git_tree_entry_bypath(&found_entry, root_tree.get(), path.c_str()) != 0) {
    return fail(ErrorKind::not_found, fmt::format("there is no {} in tree {}", path, tree.substr(0, 12)));
  }
  const GitTreeEntry entry(found_entry);
  if (git_tree_entry_type(entry.get()) != GIT_OBJECT_BLOB) {
    return fail(ErrorKind::not_found, fmt::format("{} is not a file in tree {}", path, tree.substr(0, 12)));
  }
  return read_blob_by_id(*handle_, hex(*git_tree_entry_id(entry.get())), path);
}

Result<std::string> Repository::head_branch() const {
  git_reference* found = nullptr;
  if (const int code = git_reference_lookup(&found, handle_->get(), "HEAD"); code != 0) {
    return fail(from_libgit2("cannot read HEAD", code));
  }
  const GitReference head(found);
  const char* target = git_reference_symbolic_target(head.get());
  constexpr std::string_view kBranches = "refs/heads/";
  if (target == nullptr || !std::string_view(target).starts_with(kBranches)) {
    return fail(ErrorKind::not_found,
                fmt::format("{} has no branch checked out (HEAD is detached)", root().string()),
                "git switch main");
  }
  return std::string(target).substr(kBranches.size());
}

Status Repository::keep(const Source& source, std::int64_t cycle) {
  SB_TRY(const git_oid commit, parse_id(source.commit));
  git_reference* made = nullptr;
  const int code = git_reference_create(&made, handle_->get(), cycle_ref(cycle).c_str(), &commit, 1, nullptr);
  const GitReference reference(made);
  if (code != 0) return fail(from_libgit2(fmt::format("cannot write {}", cycle_ref(cycle)), code));
  return {};
}

Status Repository::forget(std::int64_t cycle) {
  const int code = git_reference_remove(handle_->get(), cycle_ref(cycle).c_str());
  if (code != 0 && code != GIT_ENOTFOUND) {
    return fail(from_libgit2(fmt::format("cannot delete {}", cycle_ref(cycle)), code));
  }
  return {};
}

}  // namespace sb::staging
