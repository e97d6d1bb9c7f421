#include "staging/git_handles.h"

#include <array>

#include <dlfcn.h>
#include <fmt/format.h>

namespace sb::staging {
namespace {

thread_local bool libgit2_starts = false;

// Lives as long as the process: libgit2 counts its users, and we are one.
struct Libgit2 {
  Libgit2() {
    libgit2_starts = true;
    git_libgit2_init();
    libgit2_starts = false;
    git_error_clear();  // what it says of certificates
    // The user's and the system's files may name filters, hooks and fsmonitor programs. We run none of them,
    // and a stage must not depend on who makes it.
    for (const int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                            GIT_CONFIG_LEVEL_GLOBAL}) {
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    // A ref to an object that a power cut took away would break the user's own `git gc`.
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    // Sparse checkouts and partial clones only change what the work tree holds, and that we never read.
    std::array<const char*, 2> extensions{"worktreeconfig", "partialclone"};
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions.data(), extensions.size());
  }
  ~Libgit2() { git_libgit2_shutdown(); }
  Libgit2(const Libgit2&) = delete;
  Libgit2& operator=(const Libgit2&) = delete;
};

}  // namespace

// Where libgit2 speaks TLS by mbedtls, as in Debian, it parses all certificates of the host when it starts:
// three milliseconds of every command, and we never let it reach for the network. This one is found before
// the library's, and reads none for it: a connection would be refused, as one to a host that nobody vouches
// for.
extern "C" int mbedtls_x509_crt_parse_file(void* chain, const char* path) {
  constexpr int kFileIoError = -0x2900;  // MBEDTLS_ERR_X509_FILE_IO_ERROR
  if (libgit2_starts) return kFileIoError;
  using Parse = int (*)(void*, const char*);
  const auto next = reinterpret_cast<Parse>(::dlsym(RTLD_NEXT, "mbedtls_x509_crt_parse_file"));
  return next != nullptr ? next(chain, path) : kFileIoError;
}

void start_libgit2() {
  static const Libgit2 kLibgit2;
}

Error from_libgit2(std::string what, int code) {
  const git_error* error = git_error_last();
  ErrorKind kind = ErrorKind::environment;
  if (code == GIT_ENOTFOUND) kind = ErrorKind::not_found;
  if (code == GIT_EEXISTS || code == GIT_ELOCKED) kind = ErrorKind::conflict;
  if (error == nullptr || error->message == nullptr) return make_error(kind, std::move(what));
  return make_error(kind, fmt::format("{}: {}", what, error->message));
}

std::string hex(const git_oid& id) {
  std::string text(GIT_OID_HEXSZ, '0');
  git_oid_fmt(text.data(), &id);
  return text;
}

Result<git_oid> parse_id(const std::string& hex_digits) {
  git_oid id{};
  if (hex_digits.size() != GIT_OID_HEXSZ || git_oid_fromstr(&id, hex_digits.c_str()) != 0) {
    return fail(ErrorKind::usage, fmt::format("'{}' is not the name of a git object", hex_digits));
  }
  return id;
}

}  // namespace sb::staging
