#include "staging/binary_patch.h"

#include <charconv>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "os/file_system.h"
#include "staging/path_rules.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/staging/patch_text.h"

namespace sb::staging::tests {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

std::string deflated_zeros(std::size_t mebibytes) {
  z_stream stream{};
  deflateInit(&stream, Z_BEST_SPEED);
  std::string zeros(kMiB, '\0');
  std::string out;
  std::string block(kMiB, '\0');
  for (std::size_t i = 0; i <= mebibytes; ++i) {
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = i < mebibytes ? static_cast<uInt>(zeros.size()) : 0U;
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    deflate(&stream, i < mebibytes ? Z_NO_FLUSH : Z_FINISH);
    out.append(block.data(), block.size() - stream.avail_out);
  }
  deflateEnd(&stream);
  return out;
}

// The most memory that this process had since the last forget_peak(), in bytes.
std::size_t peak_memory() {
  const std::string status = sb::tests::read("/proc/self/status");
  const std::size_t at = status.find("VmHWM:");
  std::size_t kilobytes = 0;
  const std::size_t digit = status.find_first_of("0123456789", at);
  std::from_chars(status.data() + digit, status.data() + status.size(), kilobytes);
  return kilobytes * 1024;
}
void forget_peak() {
  sb::tests::write("/proc/self/clear_refs", "5");
}

TEST(BinaryPatch, inflates_no_more_than_it_says) {
  BinaryHunk bomb{.is_delta = false, .size = 10, .deflated = deflated_zeros(256)};
  ASSERT_LT(bomb.deflated.size(), 4 * kMiB);
  forget_peak();
  const std::size_t before = peak_memory();
  EXPECT_ERROR(ErrorKind::refused, apply_binary(bomb, "", "bomb", kMaxFileBytes));
  EXPECT_LT(peak_memory(), before + 64 * kMiB);
  // The same bytes with an honest size are too large for any file.
  bomb.size = 256 * kMiB;
  EXPECT_ERROR(ErrorKind::refused, apply_binary(bomb, "", "bomb", kMaxFileBytes));
  EXPECT_LT(peak_memory(), before + 64 * kMiB);
}

TEST(BinaryPatch, delta_copies_and_inserts) {
  const std::string old = "0123456789abcdef";
  // Sizes 16 and 9; copy 4 bytes from 10; insert "XY"; copy 3 bytes from 0.
  const std::string delta = std::string("\x10\x09\x91\x0a\x04\x02XY\x90\x03", 10);
  const BinaryHunk hunk{.is_delta = true, .size = delta.size(), .deflated = deflated(delta)};
  ASSERT_OK(const std::string made, apply_binary(hunk, old, "file", kMaxFileBytes));
  EXPECT_EQ(made, "abcdXY012");
  EXPECT_ERROR(ErrorKind::conflict, apply_binary(hunk, "another file", "file", kMaxFileBytes));
}

TEST(BinaryPatch, delta_of_any_bytes_is_refused_or_makes_the_size_it_names) {
  const std::string old = "0123456789abcdef";
  unsigned random = 7;
  int refused = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    std::string delta("\x10\x09", 2);
    for (unsigned i = 0; i < 1 + round % 12; ++i) {
      random = random * 1664525 + 1013904223;
      delta.push_back(static_cast<char>(random >> 24U));
    }
    const BinaryHunk hunk{.is_delta = true, .size = delta.size(), .deflated = deflated(delta)};
    const auto made = apply_binary(hunk, old, "file", kMaxFileBytes);
    refused += made ? 0 : 1;
    EXPECT_EQ(made ? made->size() : 9U, 9U);
  }
  EXPECT_GT(refused, 10'000);
}

TEST(BinaryPatch, base85_lines_of_every_length_come_back) {
  for (std::size_t length = 1; length <= 52; ++length) {
    std::string bytes;
    for (std::size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(i * 37 + length));
    std::string line = base85(bytes);
    line.resize(line.size() - 2);
    std::string back;
    ASSERT_TRUE(append_base85_line(line, back)) << line;
    EXPECT_EQ(back, bytes);
    EXPECT_FALSE(append_base85_line(line.substr(0, line.size() - 1), back));
    EXPECT_FALSE(append_base85_line(line + "0", back));
  }
  std::string out;
  EXPECT_FALSE(append_base85_line("D~~~~~", out)) << "above 32 bits";
  EXPECT_FALSE(append_base85_line("D\"0000", out)) << "not in the alphabet";
}

}  // namespace
}  // namespace sb::staging::tests
