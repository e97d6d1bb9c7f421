// From a command and an envelope to a running init with a running command below it.
#pragma once

#include <chrono>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/init_process.h"
#include "sandbox/limits.h"
#include "sandbox/run.h"

namespace sb::sandbox {

struct Launched {
  pid_t init = -1;
  pid_t command = -1;
  UniqueFd channel;  // orders to the init, its Ending; closing it lets the init go
  UniqueFd output;   // merged output of the command; non-blocking
  std::chrono::steady_clock::time_point started{};  // from which the wall time counts
  Limits limits;
};

// Returns when the program has been executed, or an error says why it was not. Thread-safe.
[[nodiscard]] Result<Launched> launch(const Command& command, const Envelope& envelope);

}  // namespace sb::sandbox
