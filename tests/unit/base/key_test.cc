// Keys of parts: what was added, not in how many pieces.
#include "base/key.h"

#include <gtest/gtest.h>

namespace sb {
namespace {

TEST(Key, of_raw_parts_is_that_of_the_whole_however_long_they_are) {
  for (const std::size_t size : {0U, 1U, 100U, 16'384U, 16'385U, 200'000U}) {
    std::string whole;
    for (std::size_t i = 0; i < size; ++i) whole += static_cast<char>('a' + i % 23);
    for (const std::size_t piece : {1U, 7U, 4'096U, 50'000U}) {
      KeyBuilder parts;
      for (std::size_t at = 0; at < size; at += piece)
        parts.add_raw(std::string_view(whole).substr(at, piece));
      EXPECT_EQ(parts.finish(), key_of(whole)) << size << " bytes in pieces of " << piece;
    }
  }
}

TEST(Key, tells_where_a_part_ends) {
  EXPECT_NE(KeyBuilder().add("ab").add("c").finish(), KeyBuilder().add("a").add("bc").finish());
  EXPECT_NE(KeyBuilder().add("a").finish(), KeyBuilder().add("a").add("").finish());
}

TEST(Key, can_be_asked_for_on_the_way) {
  KeyBuilder key;
  key.add("one");
  const Key early = key.finish();
  EXPECT_EQ(early, key.finish());
  key.add("two");
  EXPECT_EQ(key.finish(), KeyBuilder().add("one").add("two").finish());
  EXPECT_NE(key.finish(), early);
}

TEST(Key, comes_back_from_its_bytes) {
  const Key key = key_of("text");
  EXPECT_EQ(Key::from_bytes(key.bytes()), key);
  EXPECT_EQ(Key::from_bytes("too short"), Key());
}

}  // namespace
}  // namespace sb
