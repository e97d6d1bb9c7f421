// The store itself: damage, other users, changes that nobody has approved yet.
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "sqlite/database.h"
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

class StoreTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    cmake("add_executable(tiny main.cc answer.cc)\n");
    write("main.cc", "int answer();\nint main() { return answer() - 42; }\n");
    write("answer.cc", "int answer() { return 42; }\n");
  }
  // Every object of the pool, by size or not, whatever it holds.
  template <typename Change>
  int each_object(const Change& change) {
    std::vector<fs::path> objects;
    for (const auto& entry : fs::recursive_directory_iterator(cache() / "outputs")) {
      if (entry.is_regular_file() && entry.path().extension() != ".damaged") objects.push_back(entry.path());
    }
    for (const fs::path& object : objects) {
      fs::permissions(object, fs::perms::owner_all);
      change(object);
    }
    return static_cast<int>(objects.size());
  }
};

TEST_F(StoreTraps, damaged_objects_are_set_aside_and_made_again) {
  const std::function<void(const fs::path&)> damages[] = {
      [](const fs::path& object) {
        std::fstream file(object, std::ios::in | std::ios::out | std::ios::binary);
        const int byte = file.get();
        file.seekp(0);
        file.put(static_cast<char>(byte ^ 1));
      },
      [](const fs::path& object) { fs::resize_file(object, fs::file_size(object) / 2); },
      [](const fs::path& object) { fs::remove(object); }};
  ASSERT_GOOD(build());
  for (const auto& damage : damages) {
    EXPECT_GT(each_object(damage), 3);
    const Built built = build_and_compare();
    EXPECT_EQ(built.report.edges_cached, 0) << "nothing that is damaged may be used";
    EXPECT_TRUE(built.report.configured);
    expect_all_hits();
  }
}

// What the store's log still holds comes into the file itself.
void close_log(const std::filesystem::path& file) {
  ASSERT_GOOD(sqlite::Database::open(file));
  ASSERT_FALSE(std::filesystem::exists(file.string() + "-wal"));
}

TEST_F(StoreTraps, an_index_that_is_no_database_is_begun_anew) {
  ASSERT_GOOD(build());
  close_log(cache() / "actions.db");
  tests::write(cache() / "actions.db", std::string(20'000, 'x'));
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
  expect_all_hits();
  EXPECT_TRUE(fs::exists(cache() / "actions.db.damaged"));
}

TEST_F(StoreTraps, an_index_that_is_damaged_inside_is_begun_anew) {
  ASSERT_GOOD(build());
  close_log(cache() / "actions.db");
  std::string bytes = read(cache() / "actions.db");
  ASSERT_GT(bytes.size(), 8192U);
  std::fill(bytes.begin() + 4096, bytes.end(), 'x');
  tests::write(cache() / "actions.db", bytes);
  const Result<Built> first = build_in(lay_out(), true);
  EXPECT_TRUE(!first || first->report.edges_cached == 0);
  const Result<Built> second = build();
  ASSERT_TRUE(second.has_value()) << format_error(second.error());
  expect_all_hits();
}

TEST_F(StoreTraps, results_of_a_change_are_its_own_until_it_is_kept) {
  const auto cached = [&](std::int64_t owner) {
    request_.cache_owner = owner;
    const Result<Built> built = build();
    EXPECT_TRUE(built.has_value());
    return built ? built->report.edges_cached : -1;
  };
  EXPECT_EQ(cached(7), 0);
  EXPECT_EQ(cached(7), 3) << "its own";
  EXPECT_EQ(cached(8), 0) << "another change's";
  EXPECT_EQ(cached(0), 0) << "everybody's";
  write("answer.cc", "int answer() { return 43; }\n");
  EXPECT_EQ(cached(9), 1) << "what everybody has";
  ASSERT_GOOD(build::settle(cache(), 9, false));
  EXPECT_EQ(cached(9), 1) << "it was not kept";
  ASSERT_GOOD(build::settle(cache(), 9, true));
  EXPECT_EQ(cached(0), 3) << "it was kept";
  ASSERT_GOOD(build::settle(cache(), 9, true));
  ASSERT_GOOD(build::settle(folder() / "nothing", 9, true));
}

TEST_F(StoreTraps, two_builds_at_once_share_it) {
  const auto stage_of = [&](const std::string& value) {
    write("answer.cc", "int answer() { return " + value + "; }\n");
    return lay_out();
  };
  std::vector<std::jthread> builders;
  std::vector<Result<Built>> results(4, fail(ErrorKind::bug, "did not run"));
  std::vector<fs::path> stages;
  for (const char* value : {"1", "2", "1", "3"}) stages.push_back(stage_of(value));
  for (std::size_t i = 0; i < stages.size(); ++i)
    builders.emplace_back([&, i] { results[i] = build_in(stages[i], true, fmt::format("log-{}", i)); });
  builders.clear();
  std::size_t i = 0;
  for (const char* value : {"1", "2", "1", "3"}) {
    const Result<Built>& built = results[i++];
    ASSERT_TRUE(built.has_value()) << format_error(built.error());
    (void)stage_of(value);
    ASSERT_OK(const Built alone, build_without_cache());
    EXPECT_EQ(products_of(built->build), products_of(alone.build)) << value;
  }
  expect_all_hits();
}

}  // namespace
}  // namespace sb::tests
