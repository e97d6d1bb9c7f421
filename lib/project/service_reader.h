// Reads the spec of a manifest of kind Service.
#pragma once

#include "project/fields.h"
#include "supervise/service_spec.h"

namespace sb::project {

// Fills everything but the name; mistakes go to the findings of `spec`.
void read_service(Fields& spec, supervise::ServiceSpec& service);

}  // namespace sb::project
