// Digests against published vectors: FIPS 180-4 examples for SHA-256, the xxHash reference implementation for
// XXH3.
#include "base/digest.h"

#include <string>

#include <gtest/gtest.h>

namespace sb {
namespace {

TEST(Digest, sha256_agrees_with_the_standard_s_examples) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, xxh3_agrees_with_the_reference_implementation) {
  EXPECT_EQ(xxh3_128_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3_128_hex("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(DigestStream, gives_the_same_digests_however_the_bytes_arrive) {
  std::string bytes;
  for (int i = 0; i < 10'000; ++i) bytes += static_cast<char>(i * 31);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    DigestStream stream;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      stream.update(std::string_view(bytes).substr(at, step));
    const auto digests = stream.finish();
    EXPECT_EQ(digests.sha256, sha256_hex(bytes)) << "in steps of " << step;
    EXPECT_EQ(digests.xxh3, xxh3_128_hex(bytes)) << "in steps of " << step;
    EXPECT_EQ(digests.size, bytes.size());
  }
}

TEST(DigestStream, of_nothing_is_the_digest_of_the_empty_text) {
  const auto digests = DigestStream().finish();
  EXPECT_EQ(digests.sha256, sha256_hex(""));
  EXPECT_EQ(digests.xxh3, xxh3_128_hex(""));
  EXPECT_EQ(digests.size, 0U);
}

}  // namespace
}  // namespace sb
