// Verification: whether what a build took from the cache is what a build makes. A sample of the hits is built
// once more, from a copy of the stage that the commands see at the stage's own path, and compared by bytes.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "build/builder.h"

namespace sb::build {

struct Sample {
  int percent = 10;        // of the hits, rounded up: at least one
  std::uint64_t seed = 0;  // the same seed chooses the same of the same hits
};

// Edges by their first output, as build.ninja writes it.
struct Verified {
  int hits = 0;
  int checked = 0;
  std::vector<std::string> wrong;           // the cache had other bytes; it has dropped them
  std::vector<std::string> unreproducible;  // two runs of the same made different bytes
  std::vector<std::string> made_of_these;   // differ as well, and read what one of these made
};

// Whether this host can: environment without views, where each stage has a path of its own.
[[nodiscard]] Status check_verifiable(const BuildRequest& request);

// After a build of this request with list_edges, whose stage nobody has touched since; leaves it alone. Works
// in a folder below request.cache, as large as the stage, that is gone afterwards. Errors: environment as
// above; build_failed when an edge of the sample does not run to its end; interrupted; what copying and
// running may fail of.
[[nodiscard]] Result<Verified> verify_hits(const BuildRequest& request, const BuildReport& report,
                                           const Sample& sample, const ProgressSink& progress,
                                           const std::stop_token& stop = {});

}  // namespace sb::build
