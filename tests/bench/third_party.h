// Projects of other people, as git repositories: Debian's source packages, with Debian's patches as commits.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/installation.h"

namespace sb::bench {

struct Package {
  std::string name;                  // of the Debian source package
  std::vector<std::string> options;  // for CMake
  std::string output;                // a file that is built, as selfbuild.yaml wants one
};

// About 50, 200 and 400 edges. None of them needs more than a compiler; built without optimisation, because
// it is not the compiler that is measured.
[[nodiscard]] const std::vector<Package>& packages();

// The source packages, fetched and verified by apt into `folder`.
void fetch(const std::vector<Package>& packages, const std::filesystem::path& folder);

// The package as it was released, with a selfbuild.yaml, as the first commit of the installation's
// repository.
void import(const Package& package, const std::filesystem::path& fetched, const tests::Installation& to);

struct Change {
  std::string commit;
  std::string what;
};

// Debian's patches, a commit each, on top of what is there. One that does not apply is left out.
[[nodiscard]] std::vector<Change> commit_patches(const tests::Installation& repository);
// Adds to one of these files what changes its object (source) or only its text (header), by chance and the
// seed, and commits that.
[[nodiscard]] Change commit_touch(const tests::Installation& repository,
                                  const std::vector<std::string>& files, unsigned seed);

[[nodiscard]] std::string head_of(const tests::Installation& repository);

}  // namespace sb::bench
