// Figures that depend on what else the machine does.
#pragma once

namespace sb::bench {

// From here on in a network namespace of its own, with a loopback and nothing else, and with real-time
// priority. Says so when that is not allowed; the figures scatter then. Before any thread is started.
void be_alone();

}  // namespace sb::bench
