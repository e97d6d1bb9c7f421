// The token's file, and form values.
#include "http/access.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "http/event_text.h"
#include "os/file_system.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::http {
namespace {

TEST(Token, is_made_once_and_only_for_its_owner) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  ASSERT_OK(const os::Home home, os::Home::at(folder.path()));
  ASSERT_OK(const std::string token, token_of(home));
  EXPECT_EQ(token.size(), 64U);
  ASSERT_OK(const std::string again, token_of(home));
  EXPECT_EQ(token, again);
  struct stat there{};
  ASSERT_EQ(::stat((home.state() / "http.token").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777U, 0600U);
}

TEST(Token, is_refused_when_others_can_read_it_or_when_it_is_short) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  ASSERT_OK(const os::Home home, os::Home::at(folder.path()));
  ASSERT_OK(const std::string token, token_of(home));
  const std::string path = home.state() / "http.token";
  ::chmod(path.c_str(), 0644);
  EXPECT_FALSE(token_of(home).has_value());
  ::chmod(path.c_str(), 0600);
  EXPECT_TRUE(token_of(home).has_value());
  os::RealFileSystem files;
  ASSERT_TRUE(files.write_durably(path, "short\n", 0600).has_value());
  EXPECT_FALSE(token_of(home).has_value());
}

TEST(Token, is_never_empty_and_always_whole) {
  EXPECT_TRUE(same_token("abc", "abc"));
  EXPECT_FALSE(same_token("", ""));
  EXPECT_FALSE(same_token("ab", "abc"));
  EXPECT_FALSE(same_token("abcd", "abc"));
}

TEST(Form, values_are_decoded) {
  EXPECT_EQ(form_value("a=1&b=x%20y+z&c=", "b"), "x y z");
  EXPECT_EQ(form_value("a=1&b=2", "c"), "");
  EXPECT_EQ(form_value("a=%zz%4", "a"), "%zz%4");
}

TEST(EventText, has_an_id_a_kind_and_a_line_of_data_for_each_line) {
  EXPECT_EQ(event_text(7, "service", "one\ntwo"), "id: 7\nevent: service\ndata: one\ndata: two\n\n");
  EXPECT_EQ(last_event_id({{.name = "last-event-id", .value = "7"}}), 7);
  EXPECT_EQ(last_event_id({{.name = "last-event-id", .value = "7x"}}), std::nullopt);
  EXPECT_EQ(last_event_id({{.name = "last-event-id", .value = "-7"}}), std::nullopt);
  EXPECT_EQ(last_event_id({}), std::nullopt);
}

}  // namespace
}  // namespace sb::http
