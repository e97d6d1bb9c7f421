// libcurl is loaded when it is asked for, and does what the linked one would.
#include "os/curl.h"

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb::os {
namespace {

TEST(LoadedCurl, reads_a_url_and_names_its_errors) {
  ASSERT_GOOD(load_curl());
  CURLU* url = curl().url();
  ASSERT_EQ(curl().url_set(url, CURLUPART_URL, "http://host:8080/path", 0), CURLUE_OK);
  char* port = nullptr;
  ASSERT_EQ(curl().url_get(url, CURLUPART_PORT, &port, 0), CURLUE_OK);
  EXPECT_STREQ(port, "8080");
  curl().free(port);
  curl().url_cleanup(url);
  EXPECT_STRNE(curl().easy_strerror(CURLE_COULDNT_CONNECT), "");
}

}  // namespace
}  // namespace sb::os
