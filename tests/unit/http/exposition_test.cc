// Prometheus's text format, to the letter.
#include "http/exposition.h"

#include <gtest/gtest.h>

namespace sb::http {
namespace {

TEST(Exposition, writes_a_family_and_its_samples) {
  Exposition text;
  text.family("restarts_total", Exposition::Type::counter, "Starts after an end.");
  text.sample({{"service", "web"}, {"version", "3"}}, 7);
  text.sample(2);
  text.family("up", Exposition::Type::gauge, "1: it runs.");
  text.sample({{"service", "web"}}, -1);
  EXPECT_EQ(text.text(),
            "# HELP restarts_total Starts after an end.\n"
            "# TYPE restarts_total counter\n"
            "restarts_total{service=\"web\",version=\"3\"} 7\n"
            "restarts_total 2\n"
            "# HELP up 1: it runs.\n"
            "# TYPE up gauge\n"
            "up{service=\"web\"} -1\n");
}

TEST(Exposition, escapes_what_would_end_a_line_or_a_value) {
  Exposition text;
  text.family("a", Exposition::Type::gauge, "one\\two\nthree \"four\"");
  text.sample({{"b", "q\"uote \\ new\nline"}}, 1);
  EXPECT_EQ(text.text(),
            "# HELP a one\\\\two\\nthree \"four\"\n"
            "# TYPE a gauge\n"
            "a{b=\"q\\\"uote \\\\ new\\nline\"} 1\n");
}

}  // namespace
}  // namespace sb::http
