// Storing, reading and copying objects.
#include "artifacts/object_store.h"

#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>

#include "base/digest.h"
#include "unit/artifacts/store_test.h"

namespace sb::artifacts {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using ObjectStoreTest = StoreTest;

TEST_F(ObjectStoreTest, gives_back_what_was_stored_under_its_digests) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("abc"));
  EXPECT_EQ(stored.id.to_string(), "06b05ab6733a618578af5f94892f3950-3");
  EXPECT_EQ(stored.sha256, sha256_hex("abc"));
  EXPECT_TRUE(store_.contains(stored.id));
  EXPECT_EQ(store_.get_bytes(stored.id), "abc");
  EXPECT_THAT(files(), ElementsAre("06/b05ab6733a618578af5f94892f3950-3"));
  EXPECT_EQ(mode(file_of(stored.id)), 0444U);
}

TEST_F(ObjectStoreTest, stores_a_file_as_the_same_object_as_its_bytes) {
  std::string bytes;
  for (int i = 0; bytes.size() < 1'000'000; ++i) bytes += std::to_string(i);
  const auto path = folder_.path() / "big";
  tests::write(path, bytes);
  ASSERT_OK(const StoredFile file, store_.put_file(path));
  ASSERT_OK(const StoredFile same, store_.put_bytes(bytes));
  EXPECT_EQ(file.id, same.id);
  EXPECT_EQ(file.sha256, sha256_hex(bytes));
  EXPECT_EQ(same.sha256, file.sha256);
  EXPECT_EQ(store_.get_bytes(file.id), bytes);
}

TEST_F(ObjectStoreTest, empty_file_is_an_object_like_any_other) {
  tests::write(folder_.path() / "empty", "");
  ASSERT_OK(const StoredFile file, store_.put_file(folder_.path() / "empty"));
  EXPECT_EQ(file.id.size, 0U);
  EXPECT_EQ(store_.get_bytes(file.id), "");
  ASSERT_GOOD(store_.copy_to(file.id, folder_.path() / "copy", 0644));
  EXPECT_EQ(std::filesystem::file_size(folder_.path() / "copy"), 0U);
}

TEST_F(ObjectStoreTest, storing_what_is_there_leaves_the_object_alone) {
  tests::write(folder_.path() / "file", "abc");
  ASSERT_OK(const StoredFile first, store_.put_file(folder_.path() / "file"));
  const ino_t before = inode(file_of(first.id));
  ASSERT_OK(const StoredFile second, store_.put_file(folder_.path() / "file"));
  ASSERT_GOOD(store_.put_bytes("abc"));
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.sha256, first.sha256);
  EXPECT_EQ(inode(file_of(first.id)), before);
  EXPECT_EQ(file_system_.calls(), 1) << "only the first one renames anything";
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(ObjectStoreTest, refuses_what_is_not_a_regular_file) {
  EXPECT_ERROR(ErrorKind::not_found, store_.put_file(folder_.path() / "missing"));
  EXPECT_ERROR(ErrorKind::refused, store_.put_file(folder_.path()));
  ASSERT_EQ(::mkfifo((folder_.path() / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::refused,
               store_.put_file(folder_.path() / "pipe"));  // and does not wait for a writer
}

TEST_F(ObjectStoreTest, keeps_nothing_when_the_rename_fails) {
  tests::write(folder_.path() / "file", "abc");
  file_system_.fail_call(1, ENOSPC);
  EXPECT_ERROR(ErrorKind::environment, store_.put_file(folder_.path() / "file"));
  EXPECT_THAT(files(), IsEmpty());
  file_system_.fail_call(1, ENOSPC);
  EXPECT_ERROR(ErrorKind::environment, store_.put_bytes("abc"));
  EXPECT_THAT(files(), IsEmpty());
  ASSERT_OK(const StoredFile stored, store_.put_file(folder_.path() / "file"));
  EXPECT_EQ(store_.get_bytes(stored.id), "abc");
}

TEST_F(ObjectStoreTest, reading_what_was_never_stored_is_not_found) {
  const ObjectId id{.xxh3 = xxh3_128_hex("x"), .size = 1};
  EXPECT_FALSE(store_.contains(id));
  EXPECT_ERROR(ErrorKind::not_found, store_.get_bytes(id));
  EXPECT_ERROR(ErrorKind::not_found, store_.copy_to(id, folder_.path() / "copy", 0755));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "copy"));
}

TEST_F(ObjectStoreTest, id_that_names_a_path_leads_nowhere) {
  tests::write(folder_.path() / "secret-6", "secret");
  ASSERT_GOOD(store_.put_bytes("abc"));
  for (const char* hostile : {"../../secret", "", "/", "..", "ABCDEF0123456789ABCDEF0123456789"}) {
    const ObjectId id{.xxh3 = hostile, .size = 6};
    EXPECT_FALSE(store_.contains(id)) << hostile;
    EXPECT_ERROR(ErrorKind::not_found, store_.get_bytes(id));
  }
}

TEST_F(ObjectStoreTest, copies_with_exactly_the_mode_that_was_asked_for) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("#!/bin/sh\n"));
  const mode_t before = ::umask(0077);
  const Status copied = store_.copy_to(stored.id, folder_.path() / "copy", 0755);
  ::umask(before);
  ASSERT_GOOD(copied);
  EXPECT_EQ(mode(folder_.path() / "copy"), 0755U);
  EXPECT_EQ(tests::read(folder_.path() / "copy"), "#!/bin/sh\n");
}

TEST_F(ObjectStoreTest, copy_may_be_rewritten_without_harm_to_the_object) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("abc"));
  ASSERT_GOOD(store_.copy_to(stored.id, folder_.path() / "copy", 0644));
  tests::write(folder_.path() / "copy", "rewritten in place, as strip does");
  EXPECT_EQ(store_.get_bytes(stored.id), "abc");
}

TEST_F(ObjectStoreTest, copy_never_replaces_a_file_or_follows_a_link) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("abc"));
  tests::write(folder_.path() / "taken", "mine");
  std::filesystem::create_symlink(folder_.path() / "elsewhere", folder_.path() / "link");
  EXPECT_ERROR(ErrorKind::conflict, store_.copy_to(stored.id, folder_.path() / "taken", 0644));
  EXPECT_ERROR(ErrorKind::conflict, store_.copy_to(stored.id, folder_.path() / "link", 0644));
  EXPECT_EQ(tests::read(folder_.path() / "taken"), "mine");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "elsewhere"));
}

TEST_F(ObjectStoreTest, several_writers_of_the_same_bytes_make_one_object) {
  const std::string bytes(300'000, 'x');
  tests::write(folder_.path() / "file", bytes);
  std::vector<std::string> errors(4);
  {
    std::vector<std::jthread> writers;
    writers.reserve(errors.size());
    for (std::string& error : errors) {
      writers.emplace_back([&, this] {
        os::RealFileSystem real;
        ObjectStore store(root_, real);
        const Result<StoredFile> stored = store.put_file(folder_.path() / "file");
        if (!stored) error = format_error(stored.error());
      });
    }
  }
  EXPECT_THAT(errors, Each(""));
  EXPECT_EQ(files().size(), 1U);
  EXPECT_EQ(store_.get_bytes({.xxh3 = xxh3_128_hex(bytes), .size = bytes.size()}), bytes);
}

TEST(ObjectId, reads_back_its_own_spelling_and_no_other) {
  const std::string hex = "06b05ab6733a618578af5f94892f3950";
  ASSERT_OK(const ObjectId id, ObjectId::parse(hex + "-3"));
  EXPECT_EQ(id, (ObjectId{.xxh3 = hex, .size = 3}));
  EXPECT_EQ(ObjectId::parse(hex + "-18446744073709551615")->size, UINT64_MAX);
  EXPECT_EQ(ObjectId::parse(hex + "-0")->size, 0U);
  for (const std::string& wrong :
       {std::string(), hex, hex + "-", hex + "-03", hex + "-+3", hex + "--3", hex + "-3 ", hex + "-3x",
        hex + "_3", hex + "-18446744073709551616", std::string("06B05AB6733A618578AF5F94892F3950-3"),
        hex.substr(1) + "-3", "g" + hex.substr(1) + "-3", "0" + hex + "-3", "../" + hex.substr(3) + "-3"}) {
    EXPECT_FALSE(ObjectId::parse(wrong).has_value()) << "accepted \"" << wrong << '"';
  }
}

}  // namespace
}  // namespace sb::artifacts
