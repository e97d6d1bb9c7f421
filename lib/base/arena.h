// Arena: bytes that are kept together and freed together. For many small texts that are never freed one by
// one.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace sb {

// Never moves what it keeps, not even when it is moved itself. Not thread-safe.
class Arena {
 public:
  [[nodiscard]] std::string_view keep(std::string_view bytes);

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t used_ = 0;  // of the last block
  std::size_t size_ = 0;
};

}  // namespace sb
