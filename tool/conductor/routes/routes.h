// The conductor's methods (lib/rpc/METHODS.md), one file per group. They check what comes in, call the part
// that knows, and answer. HTTP's routes do so by the same methods.
#pragma once

namespace sb::tool {

class Conductor;

void add_conductor_routes(Conductor& conductor);
void add_service_routes(Conductor& conductor);
void add_activation_routes(Conductor& conductor);
void add_promotion_routes(Conductor& conductor);
void add_task_routes(Conductor& conductor);
void add_http_routes(Conductor& conductor);

}  // namespace sb::tool
