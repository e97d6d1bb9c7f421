#include "support/held_syncs.h"

#include <fstream>
#include <utility>

namespace sb::tests {

HeldSyncs::HeldSyncs(std::filesystem::path file) : file_(std::move(file)) {
  std::ofstream made(file_);
}

HeldSyncs::~HeldSyncs() {
  std::error_code gone_already;
  std::filesystem::remove(file_, gone_already);
}

}  // namespace sb::tests
