// Records of the remote, when they come from somebody who means no good.
#include "cache/remote_record.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "cache/remote_settings.h"
#include "cache/wire.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

const Key kAction{.high = 1, .low = 2};

RemoteResult sample(std::uint64_t number, bool has_list = true) {
  RemoteResult each;
  each.key = {.high = number, .low = 7};
  if (has_list) each.list = 0;
  each.result.printed = "a warning\n";
  each.result.took_ms = 120;
  each.result.outputs.push_back({.kind = Output::Kind::shared,
                                 .executable = false,
                                 .path = "/stage/build/one.o",
                                 .id = {.digest = {.high = 3, .low = number}, .size = 1000}});
  each.blobs.push_back({.sha256 = sha256_hex("bytes"), .name = sha256_hex("packed"), .size = 400});
  return each;
}

Bundle sample_bundle() {
  Bundle bundle;
  add_result(bundle, sample(1), {"../source/one.cc", "/usr/include/stdio.h"});
  add_result(bundle, sample(2), {"../source/one.cc"});
  return bundle;
}

// Bytes with the right checksum behind them.
std::string sealed(std::string bytes) {
  const std::string hex = sha256_hex(bytes);
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string head() {
  return "selfbuild results 1\n" + kAction.bytes();
}

TEST(RemoteRecord, comes_back_as_it_was_written) {
  ASSERT_OK(const Bundle read, bundle_from(to_bytes(sample_bundle(), kAction), kAction));
  ASSERT_EQ(read.results.size(), 2U);
  EXPECT_EQ(read.results[0].key, sample(2).key);
  EXPECT_EQ(read.results[1].key, sample(1).key);
  EXPECT_EQ(read.lists.at(read.results[0].list.value()), std::vector<std::string>{"../source/one.cc"});
  EXPECT_EQ(read.results[0].result.outputs, sample(2).result.outputs);
  EXPECT_EQ(read.results[0].result.printed, "a warning\n");
  EXPECT_EQ(read.results[0].blobs[0].name, sha256_hex("packed"));
  EXPECT_EQ(read.results[0].blobs[0].sha256, sha256_hex("bytes"));
}

TEST(RemoteRecord, keeps_the_newest_results_and_only_their_lists) {
  Bundle bundle;
  for (std::uint64_t i = 1; i <= 10; ++i) add_result(bundle, sample(i), {std::to_string(i)});
  ASSERT_EQ(bundle.results.size(), kMostResults);
  EXPECT_EQ(bundle.lists.size(), kMostResults);
  for (const RemoteResult& each : bundle.results)
    EXPECT_EQ(bundle.lists.at(each.list.value()), std::vector<std::string>{std::to_string(each.key.high)});
  EXPECT_EQ(bundle.results.front().key.high, 10U);
}

TEST(RemoteRecord, is_refused_when_any_byte_is_missing_or_changed) {
  const std::string good = to_bytes(sample_bundle(), kAction);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(good.substr(0, size), kAction));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(bad, kAction));
  }
  EXPECT_ERROR(ErrorKind::corrupt, bundle_from(good, Key{.high = 9, .low = 9}));
  EXPECT_ERROR(ErrorKind::corrupt, bundle_from("$5\r\nhello\r\n", kAction));
}

// Whoever writes there can compute a checksum: every prefix of a good one, and every changed byte, with the
// right sum behind it is refused or read, and never more than that.
TEST(RemoteRecord, survives_any_lie_with_a_good_checksum) {
  const std::string good = to_bytes(sample_bundle(), kAction);
  const std::string body = good.substr(0, good.size() - 32);
  ASSERT_OK(const Bundle same, bundle_from(sealed(body), kAction));
  EXPECT_EQ(same.results.size(), 2U);
  for (std::size_t size = 0; size < body.size(); ++size)
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(sealed(body.substr(0, size)), kAction));
  for (std::size_t i = 0; i < body.size(); ++i) {
    for (const char to : {'\0', '\x7f', '\x80', '\xff'}) {
      std::string bad = body;
      bad[i] = to;
      (void)bundle_from(sealed(bad), kAction);
    }
  }
}

TEST(RemoteRecord, is_refused_when_it_claims_huge_numbers) {
  for (const std::uint64_t huge : {std::uint64_t{5}, std::uint64_t{1} << 32U, ~std::uint64_t{0}}) {
    std::string lists = head();
    put_number(lists, huge);
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(sealed(lists), kAction));
    std::string results = head();
    put_number(results, 0);
    put_number(results, huge);
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(sealed(results), kAction));
    std::string paths = head();
    put_number(paths, 1);
    put_number(paths, huge * 100'000);
    EXPECT_ERROR(ErrorKind::corrupt, bundle_from(sealed(paths), kAction));
  }
  RemoteResult large = sample(1);
  large.result.outputs[0].id.size = kLargestFile + 1;
  Bundle bundle;
  add_result(bundle, large, {});
  EXPECT_ERROR(ErrorKind::corrupt, bundle_from(to_bytes(bundle, kAction), kAction));
  large = sample(1);
  large.blobs[0].size = 1 << 20;  // of a file of 1000 bytes
  add_result(bundle, large, {});
  EXPECT_ERROR(ErrorKind::corrupt, bundle_from(to_bytes(bundle, kAction), kAction));
}

TEST(RemoteRecord, shows_no_control_characters) {
  RemoteResult rude = sample(1);
  rude.result.printed = "\x1b[2Jone\r\n\ttwo\a";
  Bundle bundle;
  add_result(bundle, rude, {});
  ASSERT_OK(const Bundle read, bundle_from(to_bytes(bundle, kAction), kAction));
  EXPECT_EQ(read.results[0].result.printed, "[2Jone\n\ttwo");
}

TEST(RemoteRecord, is_unpacked_to_no_more_than_expected) {
  ASSERT_OK(const std::string bomb, pack(std::string(64 << 20, '\0')));
  EXPECT_LT(bomb.size(), 100'000U);
  EXPECT_ERROR(ErrorKind::corrupt, unpack(bomb, 1 << 20));
  // A header that lies: the second frame is more than the first one said.
  ASSERT_OK(const std::string small, pack("hello"));
  EXPECT_ERROR(ErrorKind::corrupt, unpack(small + bomb, 1 << 20));
  ASSERT_OK(const std::string back, unpack(small, 5));
  EXPECT_EQ(back, "hello");
  EXPECT_ERROR(ErrorKind::corrupt, unpack(small, 4));
  for (std::size_t size = 0; size < small.size(); ++size)
    EXPECT_ERROR(ErrorKind::corrupt, unpack(small.substr(0, size), 100));
}

TEST(RemoteUrl, is_taken_apart) {
  ASSERT_OK(const RemoteAddress redis, parse_remote_url("redis://me:pass%2Fword@cache.example:7000/3"));
  EXPECT_EQ(redis.kind, RemoteAddress::Kind::redis);
  EXPECT_EQ(redis.connect, "http://cache.example:7000");
  EXPECT_EQ(redis.database, 3);
  EXPECT_EQ(redis.user, "me");
  EXPECT_EQ(redis.password, "pass/word");
  EXPECT_EQ(redis.shown, "redis://cache.example:7000/3");
  ASSERT_OK(const RemoteAddress plain, parse_remote_url("redis://[::1]"));
  EXPECT_EQ(plain.connect, "http://[::1]:6379");
  ASSERT_OK(const RemoteAddress http, parse_remote_url("https://me:secret@cache.example/a/b/"));
  EXPECT_EQ(http.kind, RemoteAddress::Kind::http);
  EXPECT_EQ(http.base, "https://cache.example/a/b");
  EXPECT_EQ(http.shown, "https://cache.example/a/b");
}

TEST(RemoteUrl, is_refused_without_showing_it) {
  for (const char* url : {"", "cache", "ftp://me:secret@host/", "file:///etc/passwd",
                          "redis://me:secret@host/x", "redis://host/99999999999", "redis://host/-1",
                          "http://me:secret@host/a?b=c", "http://host/#x", "http://"}) {
    const auto address = parse_remote_url(url);
    EXPECT_FALSE(address.has_value()) << url;
    const std::string shown = address ? "" : format_error(address.error());
    EXPECT_EQ(shown.find("secret"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace sb::cache
