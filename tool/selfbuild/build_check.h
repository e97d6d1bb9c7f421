// What `selfbuild build --verify` says.
#pragma once

#include <string>

#include "base/json.h"
#include "build/verification.h"

namespace sb::tool {

[[nodiscard]] std::string check_text(const build::Verified& verified, const build::Sample& sample);
[[nodiscard]] Json check_json(const build::Verified& verified, const build::Sample& sample);

}  // namespace sb::tool
