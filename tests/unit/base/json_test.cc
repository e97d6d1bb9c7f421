// JSON from a hostile peer: limits first, then types.
#include "base/json.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/result_matchers.h"

namespace sb {
namespace {

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(Json, nested_200000_deep_is_refused_instead_of_overflowing_the_stack) {
  EXPECT_ERROR(ErrorKind::refused, parse_json(nested(200'000)));
  EXPECT_ERROR(ErrorKind::refused, parse_json(std::string(200'000, '[')));
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += R"({"a":)";
  EXPECT_ERROR(ErrorKind::refused, parse_json(objects));
}

TEST(Json, is_read_to_the_depth_limit_and_not_beyond) {
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth)).has_value());
  EXPECT_ERROR(ErrorKind::refused, parse_json(nested(kMaxJsonDepth + 1)));
}

TEST(Json, brackets_inside_strings_do_not_count_as_nesting) {
  ASSERT_OK(const Json value, parse_json("[\"" + std::string(1000, '[') + "\", \"\\\"[\\\\\"]"));
  EXPECT_EQ(value.at(0).get<std::string>().size(), 1000U);
  EXPECT_EQ(value.at(1), "\"[\\");
}

TEST(Json, closing_brackets_in_front_do_not_hide_nesting) {
  EXPECT_FALSE(parse_json(std::string(300'000, ']') + std::string(200'000, '[')).has_value());
}

TEST(Json, above_the_size_limit_is_refused) {
  EXPECT_TRUE(parse_json("\"" + std::string(kMaxJsonBytes - 2, 'a') + "\"").has_value());
  EXPECT_ERROR(ErrorKind::refused, parse_json("\"" + std::string(kMaxJsonBytes - 1, 'a') + "\""));
}

TEST(Json, malformed_text_is_an_error_of_the_caller) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\":}", "nul", "1 2", "'a'", "\"\xff\"", "[1]]", "\"a",
                           "\"\\", "{\"a\" 1}", "01", "NaN", "\"\n\""}) {
    EXPECT_FALSE(parse_json(text).has_value()) << "was accepted: " << text;
  }
}

TEST(Json, dump_is_one_line_and_survives_bytes_that_are_not_utf8) {
  EXPECT_EQ(dump_json(Json{{"b", "x\ny"}, {"a", 1}}), R"({"a":1,"b":"x\ny"})");
  EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\"");
}

TEST(Json, typed_members_name_the_key_that_is_missing_or_wrong) {
  ASSERT_OK(const Json object, parse_json(R"({"name":"demo","count":3,"flag":true,"none":null,"half":0.5})"));
  EXPECT_EQ(json_string(object, "name"), "demo");
  EXPECT_EQ(json_integer(object, "count"), 3);
  EXPECT_EQ(json_bool_or(object, "flag", false), true);

  const auto missing = json_string(object, "other");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().kind, ErrorKind::usage);
  EXPECT_EQ(missing.error().what, "\"other\" is missing");
  const auto wrong = json_string(object, "count");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().what, "\"count\" must be a string, not number");
  EXPECT_ERROR(ErrorKind::usage, json_integer(object, "half"));
  EXPECT_ERROR(ErrorKind::usage, json_integer(object, "flag"));
  EXPECT_ERROR(ErrorKind::usage, json_string(Json::array(), "name"));
  EXPECT_ERROR(ErrorKind::usage, json_string(Json("text"), "name"));
}

TEST(Json, fallbacks_stand_in_for_missing_and_null_but_not_for_a_wrong_type) {
  ASSERT_OK(const Json object, parse_json(R"({"none":null,"text":"x"})"));
  EXPECT_EQ(json_string_or(object, "none", "f"), "f");
  EXPECT_EQ(json_string_or(object, "missing", "f"), "f");
  EXPECT_EQ(json_string_or(object, "text", "f"), "x");
  EXPECT_EQ(json_integer_or(object, "missing", 7), 7);
  EXPECT_EQ(json_bool_or(object, "none", true), true);
  EXPECT_ERROR(ErrorKind::usage, json_integer_or(object, "text", 7));
  EXPECT_ERROR(ErrorKind::usage, json_bool_or(object, "text", true));
}

TEST(Json, integers_that_do_not_fit_are_refused_instead_of_wrapped) {
  ASSERT_OK(const Json object, parse_json(R"({"max":9223372036854775807,"more":9223372036854775808,)"
                                          R"("min":-9223372036854775808,"most":18446744073709551615})"));
  EXPECT_EQ(json_integer(object, "max"), INT64_MAX);
  EXPECT_EQ(json_integer(object, "min"), INT64_MIN);
  EXPECT_ERROR(ErrorKind::usage, json_integer(object, "more"));
  EXPECT_ERROR(ErrorKind::usage, json_integer_or(object, "most", 0));
}

}  // namespace
}  // namespace sb
