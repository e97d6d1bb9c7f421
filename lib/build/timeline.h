// Timeline: what a build spent its time with: its phases, one after the other, and the edges that Ninja ran.
// All times count from the timeline's beginning.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "ninja/build_log.h"

namespace sb::build {

struct Phase {
  std::string name;  // "stage", "configure", "decide and place", "ninja", "keep"
  std::chrono::microseconds start{0};
  std::chrono::microseconds took{0};
};

struct RanEdge {
  std::string output;  // the shortest one, as build.ninja writes it
  std::chrono::milliseconds start{0};
  std::chrono::milliseconds end{0};
};

class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  // A phase that ends now.
  void add_phase(std::string name, Clock::time_point start);
  // What was done before the timeline began; everything else moves behind it.
  void begin_with(std::string name, std::chrono::microseconds took);
  // The edges that Ninja ran, by its log before and after; `start` is when it was started. What it left alone
  // has the same entry in both.
  void add_edges(Clock::time_point start, const ninja::BuildLog& before, const ninja::BuildLog& after);

  [[nodiscard]] const std::vector<Phase>& phases() const { return phases_; }
  [[nodiscard]] const std::vector<RanEdge>& edges() const { return edges_; }  // by their start
  [[nodiscard]] std::vector<RanEdge> slowest(std::size_t most) const;         // the slowest first

 private:
  [[nodiscard]] std::chrono::microseconds since_begin(Clock::time_point time) const;

  Clock::time_point began_ = Clock::now();
  std::chrono::microseconds before_{0};
  std::vector<Phase> phases_;
  std::vector<RanEdge> edges_;
};

}  // namespace sb::build
