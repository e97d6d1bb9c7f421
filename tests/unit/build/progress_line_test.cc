// Progress as a terminal and as a CI log shows it, and the status lines of Ninja that it comes from.
#include "build/progress_line.h"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "build/ninja.h"

namespace sb::build {
namespace {

// A stream in memory.
class Output {
 public:
  Output() : file_(::open_memstream(&bytes_, &size_)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    std::fclose(file_);
    std::free(bytes_);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream(3) asks for it
  }
  [[nodiscard]] std::FILE* file() const { return file_; }
  [[nodiscard]] std::string text() const {
    std::fflush(file_);
    return {bytes_, size_};
  }

 private:
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

Progress building(int done, int total, std::string edge = "Building CXX object a.cc.o") {
  return {Progress::Phase::building, done, total, std::move(edge)};
}

class ProgressLineTest : public testing::Test {
 protected:
  void SetUp() override { ::setenv("NO_COLOR", "1", 1); }
  void TearDown() override { ::unsetenv("NO_COLOR"); }
};

TEST_F(ProgressLineTest, rewrites_one_line_on_a_terminal_and_clears_it) {
  const Output output;
  {
    ProgressLine line(output.file(), true, 80);
    line.update(building(1, 2));
    line.update(building(2, 2, "Linking a"));
  }
  EXPECT_EQ(output.text(), "\r\x1b[K[1/2] Building CXX object a.cc.o\r\x1b[K[2/2] Linking a\r\x1b[K");
}

TEST_F(ProgressLineTest, cuts_to_the_width_of_the_terminal) {
  const Output output;
  ProgressLine line(output.file(), true, 20);
  line.update(building(1, 2));
  EXPECT_EQ(output.text(), "\r\x1b[K[1/2] Building CXX…");
}

TEST_F(ProgressLineTest, uses_colour_unless_told_not_to) {
  ::unsetenv("NO_COLOR");
  const Output output;
  ProgressLine line(output.file(), true, 80);
  line.update(building(1, 2, "x"));
  EXPECT_EQ(output.text(), "\r\x1b[K\x1b[1m[1/2]\x1b[0m x");
}

TEST_F(ProgressLineTest, writes_a_line_per_phase_and_tenth_elsewhere) {
  const Output output;
  {
    ProgressLine line(output.file(), false, 0);
    line.update({Progress::Phase::configuring, 0, 0, "first time"});
    line.update({Progress::Phase::configuring, 0, 0, "Configuring done"});
    for (int done = 1; done <= 40; ++done) line.update(building(done, 40));
  }
  EXPECT_EQ(output.text(),
            "configuring\nbuilding\nbuilding 10% [4/40]\nbuilding 20% [8/40]\nbuilding 30% [12/40]\n"
            "building 40% [16/40]\nbuilding 50% [20/40]\nbuilding 60% [24/40]\nbuilding 70% [28/40]\n"
            "building 80% [32/40]\nbuilding 90% [36/40]\nbuilding 100% [40/40]\n");
}

TEST_F(ProgressLineTest, prints_other_text_on_a_line_of_its_own) {
  const Output output;
  ProgressLine line(output.file(), true, 80);
  line.update(building(1, 2, "x"));
  line.print("hello");
  EXPECT_EQ(output.text(), "\r\x1b[K[1/2] x\r\x1b[Khello\n");
}

TEST(EdgeLine, reads_the_status_that_we_ask_for) {
  const auto edge = parse_edge_line("[3/12/2] Building CXX object a.cc.o");
  ASSERT_TRUE(edge.has_value());
  EXPECT_EQ(edge->finished, 3);
  EXPECT_EQ(edge->total, 12);
  EXPECT_EQ(edge->text, "Building CXX object a.cc.o");
}

TEST(EdgeLine, is_nothing_else) {
  for (const std::string_view line : {"", "[", "[1/2] x", "[1/2/3]x", "[a/2/3] x", "[-1/2/3] x", "[5/2/1] x",
                                      "[99999999999/2/3] x", "ninja: no work to do."}) {
    EXPECT_FALSE(parse_edge_line(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace sb::build
