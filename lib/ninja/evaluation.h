// What a text of the manifest means: escapes read, references replaced. Private to lib/ninja.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ninja/graph.h"

namespace sb::ninja {

// References may double a text over and over ("a = $b$b"), so everything read, written and
// looked up is charged.
class Budget {
 public:
  explicit Budget(std::size_t left) : left_(left) {}
  [[nodiscard]] bool spend(std::size_t n) {
    exhausted_ = exhausted_ || n > left_;
    left_ -= exhausted_ ? left_ : n;
    return !exhausted_;
  }
  [[nodiscard]] bool exhausted() const { return exhausted_; }

 private:
  std::size_t left_;
  bool exhausted_ = false;
};

// Appends text for a file's scope, with the bindings of an edge first when there is one. What comes out is of
// no use when the budget is exhausted.
void evaluate(const Graph& graph, Text text, std::uint32_t scope, const EdgeRecord* edge, Budget& budget,
              std::string& out);

// Appends the value of a variable of an edge: $in and $out, then its bindings, its rule, its scope. quote:
// paths in $in and $out are written for a shell. The edge's rule must not be cyclic for it.
void evaluate_variable(const Graph& graph, const EdgeRecord& edge, std::string_view name, bool quote,
                       Budget& budget, std::string& out);

// Whether some of the rule's variables name each other, as an edge with these bindings sees them (null: one
// with none). Unknown, and true, when the budget is exhausted.
[[nodiscard]] bool is_cyclic(const Graph& graph, const Rule& rule, const EdgeRecord* edge, Budget& budget);

}  // namespace sb::ninja
