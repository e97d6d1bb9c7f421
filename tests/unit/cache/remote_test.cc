// The remote cache against real servers: what another machine built is not built again, and whatever the
// remote does or has become, the build is right.
#include <algorithm>
#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "cache/remote_record.h"
#include "support/cache_servers.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "support/tcp_proxy.h"
#include "unit/cache/remote_build.h"

namespace sb::cache {
namespace {

using tests::TcpProxy;
using namespace std::chrono_literals;

class Remote : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    server_ = start();
    if (!server_) GTEST_SKIP() << GetParam() << " is not installed: ci/setup check";
    settings_.url = server_->url();
  }
  static std::unique_ptr<tests::CacheServer> start(const std::string& password = {}) {
    return std::string_view(GetParam()) == "redis" ? tests::start_redis(password)
                                                   : tests::start_nginx(password);
  }
  [[nodiscard]] std::unique_ptr<RemoteStore> store() const {
    return open_remote(settings_, RemoteBuild::patient()).value();
  }
  static Deadline soon() { return std::chrono::steady_clock::now() + 60s; }

  [[nodiscard]] std::vector<RemoteName> names(Shelf shelf) const {
    const std::string prefix = shelf == Shelf::blobs ? "cas/" : "ac/";
    std::vector<RemoteName> found;
    for (const std::string& name : server_->names()) {
      if (name.starts_with(prefix)) found.push_back({.shelf = shelf, .sha256 = name.substr(prefix.size())});
    }
    return found;
  }
  // Replaces everything on a shelf.
  void replace(Shelf shelf, const std::function<std::string(const std::string&)>& by) const {
    std::vector<Wanted> wanted;
    for (const RemoteName& name : names(shelf)) wanted.push_back({.name = name, .largest = 64 << 20});
    std::vector<Offered> changed(wanted.size());
    ASSERT_GOOD(store()->get_many(wanted, soon(), [&](std::size_t i, const std::string& bytes) {
      changed[i] = {.name = wanted[i].name, .bytes = by(bytes)};
    }));
    ASSERT_GOOD(store()->put_many(changed, soon()));
  }
  [[nodiscard]] std::vector<Offered> snapshot() const {
    std::vector<Wanted> wanted;
    for (const Shelf shelf : {Shelf::blobs, Shelf::results}) {
      for (const RemoteName& name : names(shelf)) wanted.push_back({.name = name, .largest = 64 << 20});
    }
    std::vector<Offered> all(wanted.size());
    EXPECT_TRUE(store()->get_many(wanted, soon(), [&](std::size_t i, std::string bytes) {
      all[i] = {.name = wanted[i].name, .bytes = std::move(bytes)};
    }));
    return all;
  }
  // The same, with the results taken apart and put together again.
  void edit_results(const std::function<void(RemoteResult&, Bundle&)>& edit) const {
    replace(Shelf::results, [&](const std::string& packed) {
      const std::string bytes = unpack(packed, 1 << 20).value();
      const Key action = Key::from_bytes(std::string_view(bytes).substr(20, 16));
      Bundle bundle = bundle_from(bytes, action).value();
      for (RemoteResult& each : bundle.results) edit(each, bundle);
      return pack(to_bytes(bundle, action)).value();
    });
  }
  RemoteBuild build_;
  std::unique_ptr<tests::CacheServer> server_;
  RemoteSettings settings_;
};

TEST_P(Remote, spares_another_machine_every_edge) {
  const Built first = build_.build(build_.machine("first"), settings_);
  EXPECT_EQ(first.taken.hits, 0);
  EXPECT_EQ(first.ran, kEdges);
  EXPECT_EQ(first.use.sent_results, kEdges);
  EXPECT_EQ(first.use.sent_files, kFiles);
  EXPECT_EQ(first.use.note, "");
  EXPECT_EQ(names(Shelf::results).size(), std::size_t{kEdges});
  EXPECT_EQ(names(Shelf::blobs).size(), std::size_t{kFiles});

  const Built second = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(second.use.asked, kEdges);
  EXPECT_EQ(second.use.results, kEdges);
  EXPECT_EQ(second.use.files, kFiles);
  EXPECT_EQ(second.use.refused, 0);
  EXPECT_EQ(second.taken.hits, kEdges);
  EXPECT_EQ(second.ran, 0);
  EXPECT_EQ(second.files, first.files);
  EXPECT_EQ(second.use.sent_results, 0);
  EXPECT_EQ(second.use.note, "");

  // What it took over is its own now: nobody is asked.
  server_->kill();
  const Built third = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(third.taken.hits, kEdges);
  EXPECT_EQ(third.use.asked, 0);
  EXPECT_EQ(third.use.note, "");
}

// Copying and `rm` may do anything with a path, and what they make is needed for all but two.o.
TEST_P(Remote, spares_a_machine_whose_stage_lies_elsewhere_what_no_path_is_part_of) {
  const Built first = build_.build(build_.machine("first"), settings_);
  const RemoteBuild elsewhere;
  ASSERT_NE(elsewhere.folder(), build_.folder());
  const Built second = elsewhere.build(elsewhere.machine("second"), settings_);
  EXPECT_EQ(second.taken.hits, 1);
  EXPECT_EQ(second.ran, kEdges - 1);
  EXPECT_EQ(second.use.refused, 0);
  EXPECT_EQ(second.files.at("two.o"), first.files.at("two.o"));
}

TEST_P(Remote, knows_the_newest_results_of_an_edge) {
  const auto two = [](int i) {
    return "#include \"common.h\"\nint two() { return 2 + " + std::to_string(i) + " - " + std::to_string(i) +
           "; }\n";
  };
  for (int i = 0; i < 3; ++i) {
    build_.edit("two.cc", two(i) + "int extra" + std::to_string(i) + ";\n");
    (void)build_.build(build_.machine("first"), settings_);
  }
  // The sources of the first build again, on a machine that has seen none of them.
  build_.edit("two.cc", two(0) + "int extra0;\n");
  const Built other = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(other.taken.hits, kEdges);
  EXPECT_EQ(other.ran, 0);
}

TEST_P(Remote, is_asked_for_what_a_machine_does_not_remember_of_its_last_build) {
  for (int i = 0; i < 2; ++i) (void)build_.build(build_.machine("first"), settings_);
  build_.edit("two.cc", "#include \"common.h\"\nint extra;\nint two() { return 2; }\n");
  const Built other = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(other.ran, 3) << "two.o, libtwo.a and app";
  const Built first = build_.build(build_.machine("first"), settings_);
  EXPECT_EQ(first.taken.hits, kEdges);
  EXPECT_EQ(first.ran, 0);
  EXPECT_GE(first.use.results, 3);
  EXPECT_EQ(first.files, other.files);
}

TEST_P(Remote, uses_no_file_that_was_damaged) {
  const Built first = build_.build(build_.machine("first"), settings_);
  const std::vector<Offered> good = snapshot();
  const std::vector<std::function<std::string(const std::string&)>> damages = {
      [](const std::string& bytes) { return bytes.substr(0, bytes.size() / 2); },
      [](const std::string& bytes) { return std::string(bytes.size(), 'x'); },
      [](const std::string& bytes) {  // packed as it should be, and of another content
        std::string other = unpack(bytes, 64 << 20).value();
        other.front() = static_cast<char>(other.front() ^ 1);
        return pack(other).value();
      },
      [](const std::string& bytes) {  // within the size of what is stored, much more than the file
        return pack(std::string(64 << 20, '\0')).value().substr(0, bytes.size());
      },
  };
  RemoteSettings read_only = settings_;
  read_only.write = false;
  for (std::size_t i = 0; i < damages.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_NO_FATAL_FAILURE(replace(Shelf::blobs, damages[i]));
    const Built built = build_.build(build_.machine("damaged" + std::to_string(i)), read_only);
    EXPECT_EQ(built.use.files, 0);
    EXPECT_EQ(built.taken.hits, 0);
    EXPECT_EQ(built.ran, kEdges);
    EXPECT_EQ(built.files, first.files);
    ASSERT_GOOD(store()->put_many(good, soon()));
  }
}

TEST_P(Remote, counts_and_replaces_what_is_not_what_it_should_be) {
  const Built first = build_.build(build_.machine("first"), settings_);
  ASSERT_NO_FATAL_FAILURE(replace(Shelf::blobs, [](const std::string& bytes) {
    std::string bad = bytes;
    bad.back() = static_cast<char>(bad.back() ^ 1);
    return bad;
  }));
  const Built second = build_.build(build_.machine("second"), settings_);
  // The header, the object that does not read it, and the archive; the others wait for these.
  EXPECT_EQ(second.use.refused, 3);
  EXPECT_EQ(second.ran, kEdges);
  EXPECT_EQ(second.files, first.files);
  EXPECT_EQ(second.use.sent_files, 3);
  const Built third = build_.build(build_.machine("third"), settings_);
  EXPECT_EQ(third.use.refused, 2);
  EXPECT_EQ(third.taken.hits, 3);
  EXPECT_EQ(third.files, first.files);
  EXPECT_EQ(build_.build(build_.machine("fourth"), settings_).ran, 0);
}

TEST_P(Remote, takes_only_results_of_the_files_that_the_edge_makes) {
  const Built first = build_.build(build_.machine("first"), settings_);
  const std::vector<std::function<void(RemoteResult&, Bundle&)>> lies = {
      [](RemoteResult& each, Bundle&) { each.result.outputs[0].path = "../../x"; },
      [&](RemoteResult& each, Bundle&) { each.result.outputs[0].path = build_.folder() / "x"; },
      [](RemoteResult& each, Bundle&) { each.result.outputs[0].path += "/../../../../x"; },
      [](RemoteResult& each, Bundle&) { each.result.outputs[0].kind = Output::Kind::folder; },
      [](RemoteResult& each, Bundle&) {
        each.result.outputs[0].kind = Output::Kind::symlink;
        each.result.outputs[0].link = "/etc/passwd";
      },
      [](RemoteResult& each, Bundle&) {
        each.result.outputs[0].kind = Output::Kind::symlink;
        each.result.outputs[0].link = "../../../x";
      },
      [](RemoteResult& each, Bundle&) {
        each.result.outputs.push_back(each.result.outputs[0]);
        each.blobs.push_back(each.blobs[0]);
        each.result.outputs.back().path = "/tmp/x";
      },
      [](RemoteResult& each, Bundle&) {
        each.result.outputs.clear();
        each.blobs.clear();
      },
  };
  const std::vector<Offered> good = snapshot();
  RemoteSettings read_only = settings_;
  read_only.write = false;
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_NO_FATAL_FAILURE(edit_results(lies[i]));
    const Built built = build_.build(build_.machine("lied to " + std::to_string(i)), read_only);
    EXPECT_EQ(built.use.refused, kEdges);
    EXPECT_EQ(built.use.results, 0);
    EXPECT_EQ(built.ran, kEdges);
    EXPECT_EQ(built.files, first.files);
    EXPECT_FALSE(std::filesystem::exists(build_.folder() / "x"));
    ASSERT_GOOD(store()->put_many(good, soon()));
  }
}

TEST_P(Remote, reads_no_device_that_a_list_names) {
  (void)build_.build(build_.machine("first"), settings_);
  for (const char* path :
       {"/dev/zero", "/proc/self/environ", "/sys/kernel/uevent_seqnum", "../../../../dev/zero"}) {
    ASSERT_NO_FATAL_FAILURE(edit_results([&](RemoteResult& each, Bundle& bundle) {
      if (each.list) bundle.lists[*each.list] = {path};
    }));
    RemoteSettings read_only = settings_;
    read_only.write = false;
    const Built built =
        build_.build(build_.machine(std::string("list ") + std::string(path).substr(5, 3)), read_only);
    EXPECT_EQ(built.use.refused, 2) << path;
    EXPECT_EQ(built.ran, 4) << path << ": all but the copied header";
  }
}

TEST_P(Remote, is_not_used_when_its_results_are_garbage) {
  const Built first = build_.build(build_.machine("first"), settings_);
  for (const std::string& garbage : {std::string("garbage"), std::string(), std::string(5 << 20, 'x'),
                                     pack(std::string(40 << 20, '\0')).value(), pack("{}").value()}) {
    ASSERT_NO_FATAL_FAILURE(replace(Shelf::results, [&](const std::string&) { return garbage; }));
    RemoteSettings read_only = settings_;
    read_only.write = false;
    std::filesystem::remove_all(build_.machine("second").cache);
    const Built built = build_.build(build_.machine("second"), read_only);
    EXPECT_EQ(built.use.results, 0);
    EXPECT_EQ(built.ran, kEdges);
    EXPECT_EQ(built.files, first.files);
  }
}

TEST_P(Remote, gets_nothing_from_an_untrusted_cycle_before_its_verdict) {
  Machine untrusted = build_.machine("first");
  untrusted.owner = 7;
  const Built built = build_.build(untrusted, settings_);
  EXPECT_EQ(built.ran, kEdges);
  EXPECT_EQ(built.use.sent_results, 0);
  EXPECT_TRUE(server_->names().empty());
  const artifacts::OutputPool pool(untrusted.cache / "outputs");
  EXPECT_EQ(settle_remote(untrusted.cache, pool, 7, false, untrusted.now_ms), "");
  EXPECT_TRUE(server_->names().empty());
  EXPECT_EQ(settle_remote(untrusted.cache, pool, 7, true, untrusted.now_ms), "")
      << "rejected once is for ever";
  EXPECT_TRUE(server_->names().empty());

  Machine other = build_.machine("second");
  other.owner = 8;
  (void)build_.build(other, settings_);
  EXPECT_EQ(settle_remote(other.cache, artifacts::OutputPool(other.cache / "outputs"), 8, true, other.now_ms),
            "");
  EXPECT_EQ(names(Shelf::results).size(), std::size_t{kEdges});
  EXPECT_EQ(names(Shelf::blobs).size(), std::size_t{kFiles});
  Machine third = build_.machine("third");
  third.owner = 9;
  const Built used = build_.build(third, settings_);
  EXPECT_EQ(used.taken.hits, kEdges) << "an untrusted cycle may read";
  EXPECT_EQ(used.ran, 0);
}

TEST_P(Remote, gets_nothing_when_it_is_not_to_be_written) {
  settings_.write = false;
  const Built built = build_.build(build_.machine("first"), settings_);
  EXPECT_EQ(built.ran, kEdges);
  EXPECT_TRUE(server_->names().empty());
}

TEST_P(Remote, is_left_alone_after_a_failure_for_longer_each_time) {
  const Built first = build_.build(build_.machine("first"), settings_);
  settings_.url = server_->url(tests::free_port());
  Machine machine = build_.machine("second");
  Built built = build_.build(machine, settings_);
  EXPECT_EQ(built.ran, kEdges);
  EXPECT_EQ(built.files, first.files);
  EXPECT_NE(built.use.note.find("is left alone for 30.0 s: it cannot be reached"), std::string::npos)
      << built.use.note;
  build_.edit("made.in", "#define MADE 20 + 20\n");
  machine.now_ms += 29'999;
  built = build_.build(machine, settings_);
  EXPECT_EQ(built.use.asked, 0);
  EXPECT_NE(built.use.note.find("for another 1 ms: it failed before"), std::string::npos) << built.use.note;
  build_.edit("made.in", "#define MADE 10 + 30\n");
  machine.now_ms += 1;
  built = build_.build(machine, settings_);
  EXPECT_NE(built.use.note.find("is left alone for 1 min 00 s"), std::string::npos) << built.use.note;
  EXPECT_GT(built.use.asked, 0);
}

TEST_P(Remote, changes_nothing_when_it_says_nothing) {
  const Built first = build_.build(build_.machine("first"), settings_);
  TcpProxy proxy(server_->port());
  proxy.behave(TcpProxy::Manner::silent);
  settings_.url = server_->url(proxy.port());
  const Built built = build_.build(build_.machine("second"), settings_, {});
  EXPECT_EQ(built.ran, kEdges);
  EXPECT_EQ(built.files, first.files);
  EXPECT_GE(proxy.connections(), 1);
  EXPECT_NE(built.use.note.find("is left alone for 30.0 s"), std::string::npos) << built.use.note;
}

TEST_P(Remote, changes_nothing_when_it_breaks_off_in_an_answer) {
  const Built first = build_.build(build_.machine("first"), settings_);
  for (const std::size_t after : {1U, 100U, 700U, 1500U, 3000U}) {
    TcpProxy proxy(server_->port());
    proxy.behave(TcpProxy::Manner::resets, after);
    RemoteSettings broken = settings_;
    broken.url = server_->url(proxy.port());
    const Built built = build_.build(build_.machine("cut at " + std::to_string(after)), broken);
    EXPECT_EQ(built.taken.hits + built.ran, kEdges) << after;
    EXPECT_EQ(built.files, first.files) << after;
    EXPECT_GE(proxy.connections(), 1);
  }
}

TEST_P(Remote, changes_nothing_when_it_is_killed_during_the_build) {
  const Built built =
      build_.build(build_.machine("first"), settings_, RemoteBuild::patient(), [&] { server_->kill(); });
  EXPECT_EQ(built.ran, kEdges);
  EXPECT_EQ(built.use.sent_results, 0);
  EXPECT_NE(built.use.note, "");
  const Built again = build_.build(build_.machine("first"), settings_);
  EXPECT_EQ(again.taken.hits, kEdges) << "what was built is kept here";
  EXPECT_EQ(again.files, built.files);
}

TEST_P(Remote, works_over_a_long_way) {
  const Built first = build_.build(build_.machine("first"), settings_);
  TcpProxy proxy(server_->port(), 2ms);
  settings_.url = server_->url(proxy.port());
  const Built second = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(second.ran, 0);
  EXPECT_EQ(second.files, first.files);
}

TEST_P(Remote, is_told_the_secret_and_nobody_else) {
  const std::string secret = "open-sesame";
  server_ = start(secret);
  settings_.url = server_->url();
  const Built refused = build_.build(build_.machine("first"), settings_);
  EXPECT_EQ(refused.ran, kEdges);
  EXPECT_NE(refused.use.note, "");
  EXPECT_TRUE(server_->names().empty());

  ::setenv("SELFBUILD_CACHE_TEST", secret.c_str(), 1);
  settings_.secret_environment = "SELFBUILD_CACHE_TEST";
  const Built first = build_.build(build_.machine("second"), settings_);
  EXPECT_EQ(first.use.note, "");
  EXPECT_EQ(first.use.sent_results, kEdges);
  ::unsetenv("SELFBUILD_CACHE_TEST");
  const Built unset = build_.build(build_.machine("third"), settings_);
  EXPECT_NE(unset.use.note.find("SELFBUILD_CACHE_TEST is not set"), std::string::npos) << unset.use.note;

  settings_.secret_environment.clear();
  settings_.secret_file = build_.folder() / "secret";
  tests::write(settings_.secret_file, secret + "\n");
  EXPECT_EQ(build_.build(build_.machine("fourth"), settings_).ran, 0);
  tests::write(settings_.secret_file, "wrong-" + secret);
  const Built wrong = build_.build(build_.machine("fifth"), settings_);
  EXPECT_EQ(wrong.ran, kEdges);
  EXPECT_NE(wrong.use.note, "");
  EXPECT_EQ(wrong.use.note.find(secret), std::string::npos) << wrong.use.note;
}

INSTANTIATE_TEST_SUITE_P(servers, Remote, testing::Values("redis", "nginx"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace sb::cache
