// Objects whose bytes have changed on the disk are noticed by every way of reading, and mended by storing
// again.
#include <fstream>

#include <gmock/gmock.h>

#include "unit/artifacts/store_test.h"

namespace sb::artifacts {
namespace {

const std::string kGood = "the good bytes of a program";

struct Damage {
  const char* name;
  std::string bytes;
};

class ObjectDamageTest : public StoreTest, public ::testing::WithParamInterface<Damage> {
 protected:
  void SetUp() override {
    ASSERT_OK(stored_, store_.put_bytes(kGood));
    ASSERT_EQ(::chmod(object().c_str(), 0644), 0);
    std::ofstream(object(), std::ios::binary | std::ios::trunc) << GetParam().bytes;
    ASSERT_EQ(tests::read(object()), GetParam().bytes);
  }
  [[nodiscard]] std::filesystem::path object() const { return file_of(stored_.id); }
  [[nodiscard]] std::filesystem::path set_aside() const { return object().string() + ".damaged"; }

  StoredFile stored_;
};

TEST_P(ObjectDamageTest, is_noticed_by_reading_and_set_aside) {
  const Result<std::string> bytes = store_.get_bytes(stored_.id);
  ASSERT_FALSE(bytes.has_value());
  EXPECT_EQ(bytes.error().kind, ErrorKind::corrupt);
  EXPECT_THAT(bytes.error().what, ::testing::HasSubstr(stored_.id.to_string()));
  EXPECT_EQ(tests::read(set_aside()), GetParam().bytes);
  EXPECT_FALSE(store_.contains(stored_.id));
  EXPECT_ERROR(ErrorKind::not_found, store_.get_bytes(stored_.id));
}

TEST_P(ObjectDamageTest, is_noticed_by_copying_which_leaves_no_file) {
  EXPECT_ERROR(ErrorKind::corrupt, store_.copy_to(stored_.id, folder_.path() / "copy", 0755));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "copy"));
  EXPECT_EQ(tests::read(set_aside()), GetParam().bytes);
  EXPECT_ERROR(ErrorKind::not_found, store_.copy_to(stored_.id, folder_.path() / "copy", 0755));
}

TEST_P(ObjectDamageTest, is_mended_by_storing_the_bytes_again) {
  tests::write(folder_.path() / "file", kGood);
  ASSERT_OK(const StoredFile again, store_.put_file(folder_.path() / "file"));
  EXPECT_EQ(again.id, stored_.id);
  EXPECT_EQ(store_.get_bytes(stored_.id), kGood);
  EXPECT_EQ(mode(object()), 0444U);
  EXPECT_EQ(tests::read(set_aside()), GetParam().bytes);
}

TEST_P(ObjectDamageTest, stays_as_it_is_when_mending_fails_and_can_be_mended_later) {
  file_system_.fail_call(1);
  EXPECT_ERROR(ErrorKind::environment, store_.put_bytes(kGood));
  EXPECT_ERROR(ErrorKind::corrupt, store_.get_bytes(stored_.id));
  EXPECT_FALSE(store_.contains(stored_.id));
  EXPECT_EQ(tests::read(set_aside()), GetParam().bytes);
  ASSERT_GOOD(store_.put_bytes(kGood));
  EXPECT_EQ(store_.get_bytes(stored_.id), kGood);
}

INSTANTIATE_TEST_SUITE_P(AnyChange, ObjectDamageTest,
                         ::testing::Values(Damage{"flipped_bit", "the good bytes of a prograM"},
                                           Damage{"cut_off", "the good bytes"}, Damage{"emptied", ""},
                                           Damage{"longer", kGood + "!"},
                                           Damage{"zeroed", std::string(kGood.size(), '\0')}),
                         [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace
}  // namespace sb::artifacts
