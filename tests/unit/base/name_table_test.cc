#include "base/name_table.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/arena.h"

namespace sb {
namespace {

TEST(NameTable, numbers_names_in_the_order_in_which_they_come) {
  constexpr NameTable::Number kMany = 10'000;
  Arena arena;
  NameTable table;
  const auto keep = [&](std::string_view name) { return arena.keep(name); };
  EXPECT_EQ(table.find("name 0"), std::nullopt);
  for (NameTable::Number i = 0; i < kMany; ++i) ASSERT_EQ(table.intern(fmt::format("name {}", i), keep), i);
  EXPECT_EQ(table.size(), kMany);
  for (NameTable::Number i = 0; i < kMany; ++i) {
    const std::string name = fmt::format("name {}", i);
    ASSERT_EQ(table.name(i), name);
    ASSERT_EQ(table.find(name), i);
    ASSERT_EQ(table.intern(name, keep), i);
  }
  EXPECT_EQ(table.find("name"), std::nullopt);
  EXPECT_EQ(table.size(), kMany);
}

TEST(NameTable, knows_the_empty_name) {
  NameTable table;
  EXPECT_EQ(table.find(""), std::nullopt);
  EXPECT_EQ(table.intern("", [](std::string_view) { return std::string_view(); }), 0U);
  EXPECT_EQ(table.find(""), 0U);
}

TEST(Arena, keeps_texts_where_they_are) {
  Arena arena;
  const std::string large(1UL << 20U, 'x');
  const std::string_view first = arena.keep("first");
  const std::string_view second = arena.keep(large);
  Arena moved = std::move(arena);
  const std::string_view third = moved.keep("third");
  EXPECT_EQ(first, "first");
  EXPECT_EQ(second, large);
  EXPECT_EQ(third, "third");
  EXPECT_TRUE(moved.keep("").empty());
}

}  // namespace
}  // namespace sb
