// Work that falls into many equal pieces, on every processor.
#pragma once

#include <cstddef>
#include <functional>

namespace sb {

// Calls work(0) … work(count - 1) once each, in any order, on as many threads as there are processors, but on
// none that would get fewer than `fewest`. Returns when all are done. `work` throws nothing.
void on_threads(std::size_t count, std::size_t fewest, const std::function<void(std::size_t)>& work);

}  // namespace sb
