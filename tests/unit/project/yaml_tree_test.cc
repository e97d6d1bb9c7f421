// The strict layer above yaml-cpp: what it keeps of a text, and what it refuses before anything recurses.
#include "project/yaml_tree.h"

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb::project {
namespace {

std::string error_of(std::string_view text) {
  const auto documents = parse_yaml(text, "f.yaml");
  return documents ? "parsed" : documents.error().what;
}

TEST(YamlTree, keeps_places_and_quotes) {
  ASSERT_OK(const auto documents, parse_yaml("a: 1\nb:\n  - \"2\"\n", "f.yaml"));
  ASSERT_EQ(documents.size(), 1U);
  const YamlNode& root = documents.front();
  ASSERT_EQ(root.keys.size(), 2U);
  EXPECT_EQ(root.keys[1].text, "b");
  EXPECT_EQ(root.keys[1].at.line, 2);
  EXPECT_EQ(root.items[0].text, "1");
  EXPECT_FALSE(root.items[0].quoted);
  const YamlNode& item = root.items[1].items.at(0);
  EXPECT_TRUE(item.quoted);
  EXPECT_EQ(item.at.line, 3);
  EXPECT_EQ(item.at.column, 5);
}

TEST(YamlTree, reads_several_documents_and_drops_empty_ones) {
  ASSERT_OK(const auto documents, parse_yaml("---\na:\n---\n---\nb: 2\n---\n", "f.yaml"));
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_EQ(documents[1].keys.at(0).text, "b");
}

TEST(YamlTree, reads_an_empty_text_as_no_document) {
  ASSERT_OK(const auto documents, parse_yaml("", "f.yaml"));
  EXPECT_TRUE(documents.empty());
}

TEST(YamlTree, allows_32_levels_and_refuses_the_next) {
  EXPECT_EQ(error_of(std::string(32, '[') + std::string(32, ']')), "parsed");
  EXPECT_EQ(error_of(std::string(33, '[') + std::string(33, ']')),
            "f.yaml:1:33: nested deeper than 32 levels");
}

TEST(YamlTree, survives_nesting_of_a_megabyte) {
  const std::size_t size = kMaxYamlBytes;
  EXPECT_EQ(error_of(std::string(size / 2, '[') + std::string(size / 2, ']')),
            "f.yaml:1:33: nested deeper than 32 levels");
  EXPECT_NE(error_of(std::string(size, '[')), "parsed");
  EXPECT_NE(error_of(std::string(size, '{')), "parsed");
  std::string dashes;
  while (dashes.size() + 2 <= size) dashes += "- ";
  EXPECT_EQ(error_of(dashes), "f.yaml:1:65: nested deeper than 32 levels");
  std::string keys;
  while (keys.size() + 2 <= size) keys += "? ";
  EXPECT_NE(error_of(keys), "parsed");
}

TEST(YamlTree, refuses_more_than_a_megabyte) {
  EXPECT_EQ(error_of(std::string(kMaxYamlBytes + 1, ' ')), "f.yaml:1:1: larger than 1048576 bytes");
  EXPECT_EQ(error_of(std::string(kMaxYamlBytes, '\n')), "parsed");
}

TEST(YamlTree, refuses_aliases_before_they_can_multiply) {
  EXPECT_EQ(error_of("a: &x [1, 2]\nb: [*x, *x]\n"),
            "f.yaml:1:4: anchors (&name) are not supported; write the value where it is needed");
  EXPECT_EQ(error_of("a: &x 1\n"),
            "f.yaml:1:4: anchors (&name) are not supported; write the value where it is needed");
}

TEST(YamlTree, refuses_too_many_keys) {
  std::string text;
  for (int i = 0; i <= 1000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(error_of(text), "f.yaml:1001:1: more than 1000 keys in one mapping");
}

TEST(YamlTree, refuses_bytes_that_are_not_text) {
  EXPECT_EQ(error_of("a: \xff\n"), "f.yaml:1:4: byte 0xff is not text in UTF-8");
  EXPECT_EQ(error_of("a: 1\nb: \xc0\xaf\n"), "f.yaml:2:4: byte 0xc0 is not text in UTF-8");  // overlong
  EXPECT_EQ(error_of("a: \xed\xa0\x80\n"), "f.yaml:1:4: byte 0xed is not text in UTF-8");    // surrogate
  EXPECT_EQ(error_of("a: \xe2\x82"), "f.yaml:1:4: byte 0xe2 is not text in UTF-8");          // cut off
  EXPECT_EQ(error_of(std::string("a: \0b\n", 6)), "f.yaml:1:4: byte 0x00 is not text in UTF-8");
  EXPECT_EQ(error_of("a: \x1b[31m\n"), "f.yaml:1:4: byte 0x1b is not text in UTF-8");
  EXPECT_EQ(error_of("a: \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\n"), "parsed");
}

TEST(YamlTree, refuses_what_manifests_have_no_use_for) {
  EXPECT_EQ(error_of("a: !!str 1\n"), "f.yaml:1:4: tags (!name) are not supported");
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: duplicate key \"a\"; the first is on line 1");
  EXPECT_EQ(error_of("{a: 1, a: 2}\n"), "f.yaml:1:8: duplicate key \"a\"; the first is on line 1");
  EXPECT_EQ(error_of("[a]: 1\n"), "f.yaml:1:1: a key must be a text, not a list");
  EXPECT_EQ(error_of("~: 1\n"), "f.yaml:1:1: a key must be a text, not nothing");
  EXPECT_EQ(error_of("a: \"x\\0y\"\n"), "f.yaml:1:4: a text cannot contain the character NUL");
  EXPECT_EQ(error_of("{a: 1} {b: 2}\n"),
            "f.yaml:1:8: text after the end of the document; begin another one with \"---\"");
}

TEST(YamlTree, ends_at_a_token_that_can_begin_nothing) {
  EXPECT_EQ(error_of(",a: 1\n"), "f.yaml:1:1: no value can begin here");
  EXPECT_EQ(error_of("a: 1\n---\n,b: 1\n"), "f.yaml:3:1: no value can begin here");
  EXPECT_EQ(error_of("]\n"), "f.yaml:1:1: illegal flow end");
}

TEST(YamlTree, gives_the_place_of_syntax_errors) {
  EXPECT_EQ(error_of("a: [1, 2\nb: 3\n"), "f.yaml:2:2: end of sequence flow not found");
  EXPECT_EQ(error_of("a: b: c\n"), "f.yaml:1:5: illegal map value");
}

}  // namespace
}  // namespace sb::project
