// selfbuild worker: the service that carries out updates. The conductor starts it; people rarely do.
#include "tool/selfbuild/worker_loop.h"

namespace sb::tool {

void add_worker(Program& program) {
  program.add("worker", "Keep",
              {.sentence = "Carry out queued updates, under the conductor.",
               .examples = {{"selfbuild worker", "what the conductor starts; stop it with SIGTERM"}},
               .changes = "stages, builds, versions and history of the projects whose updates it carries out",
               .exits = {kDone, kUnavailable}},
              [&program] { return run_worker(program); });
}

}  // namespace sb::tool
