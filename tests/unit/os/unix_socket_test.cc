// Unix sockets of any depth, and descriptors that travel through them.
#include "os/unix_socket.h"

#include <array>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::os::tests {
namespace {

namespace fs = std::filesystem;

// Longer than the 107 bytes of sockaddr_un.
fs::path deep(const TemporaryFolder& folder) {
  fs::path path = folder.path();
  for (int i = 0; i < 4; ++i) path /= std::string(50, 'd');
  fs::create_directories(path);
  return path / "socket";
}

struct Pair {
  Pair() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    one = UniqueFd(ends[0]);
    other = UniqueFd(ends[1]);
  }
  UniqueFd one;
  UniqueFd other;
};

TEST(UnixSocket, carries_bytes_at_a_path_of_any_length) {
  const auto folder = sb::tests::temporary_folder();
  for (const fs::path& path : {folder.path() / "short", deep(folder)}) {
    ASSERT_OK(const UniqueFd listener, listen_unix(path));
    ASSERT_OK(const UniqueFd client, connect_unix(path));
    const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server.valid()) << path;
    ASSERT_EQ(::write(client.get(), "hello", 5), 5);
    std::array<char, 8> text{};
    EXPECT_EQ(::read(server.get(), text.data(), text.size()), 5);
    ASSERT_OK(const Peer peer, peer_of(server.get()));
    EXPECT_EQ(peer.uid, ::getuid());
    EXPECT_EQ(peer.pid, ::getpid());
  }
}

TEST(UnixSocket, replaces_a_stale_socket_but_no_other_file) {
  const auto folder = sb::tests::temporary_folder();
  const fs::path path = folder.path() / "s";
  ASSERT_GOOD(listen_unix(path));
  ASSERT_GOOD(listen_unix(path));
  const fs::path file = folder.path() / "notes.txt";
  sb::tests::write(file, "dear diary");
  EXPECT_ERROR(ErrorKind::conflict, listen_unix(file));
  EXPECT_EQ(sb::tests::read(file), "dear diary");
  fs::create_symlink(file, folder.path() / "link");
  EXPECT_ERROR(ErrorKind::conflict, bind_unix_datagram(folder.path() / "link"));
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
}

TEST(UnixSocket, is_for_its_owner_alone) {
  const auto folder = sb::tests::temporary_folder();
  const mode_t before = ::umask(0);
  const auto listener = listen_unix(folder.path() / "s");
  ::umask(before);
  ASSERT_TRUE(listener.has_value());
  struct stat info{};
  ASSERT_EQ(::stat((folder.path() / "s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_NE(::fcntl(listener->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(UnixSocket, replaces_a_stale_one) {
  const auto folder = sb::tests::temporary_folder();
  const fs::path path = folder.path() / "s";
  {
    ASSERT_OK(const UniqueFd dead, listen_unix(path));
  }
  EXPECT_TRUE(fs::exists(path));
  EXPECT_ERROR(ErrorKind::environment, connect_unix(path));
  ASSERT_OK(const UniqueFd listener, listen_unix(path));
  ASSERT_OK(const UniqueFd client, connect_unix(path));
}

TEST(UnixSocket, says_that_nobody_is_there) {
  const auto folder = sb::tests::temporary_folder();
  EXPECT_ERROR(ErrorKind::environment, connect_unix(folder.path() / "nothing"));
  EXPECT_ERROR(ErrorKind::environment, listen_unix(folder.path() / "missing" / "s"));
}

TEST(UnixSocket, passes_descriptors_that_stay_usable) {
  Pair pair;
  const auto folder = sb::tests::temporary_folder();
  sb::tests::write(folder.path() / "a", "from a");
  {
    const UniqueFd file(::open((folder.path() / "a").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_GOOD(send_with_fds(pair.one.get(), "take these", {file.get(), file.get()}));
  }
  ASSERT_OK(const Message message, receive_with_fds(pair.other.get()));
  EXPECT_EQ(message.bytes, "take these");
  ASSERT_EQ(message.fds.size(), 2U);
  EXPECT_NE(::fcntl(message.fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  std::array<char, 8> text{};
  EXPECT_EQ(::read(message.fds[1].get(), text.data(), text.size()), 6);
  EXPECT_STREQ(text.data(), "from a");
}

TEST(UnixSocket, refuses_more_descriptors_than_fit) {
  Pair pair;
  EXPECT_ERROR(ErrorKind::bug, send_with_fds(pair.one.get(), "x", std::vector<int>(17, pair.one.get())));
  ASSERT_GOOD(send_with_fds(pair.one.get(), "x", std::vector<int>(16, pair.one.get())));
  ASSERT_OK(const Message message, receive_with_fds(pair.other.get()));
  EXPECT_EQ(message.fds.size(), 16U);
}

TEST(UnixSocket, ends_with_empty_bytes) {
  Pair pair;
  pair.one.reset();
  ASSERT_OK(const Message message, receive_with_fds(pair.other.get()));
  EXPECT_EQ(message.bytes, "");
  EXPECT_ERROR(ErrorKind::environment, send_with_fds(pair.other.get(), "x", {}));  // and no SIGPIPE
}

TEST(UnixDatagram, names_its_sender) {
  const auto folder = sb::tests::temporary_folder();
  const fs::path path = folder.path() / "notify";
  ASSERT_OK(const UniqueFd receiver, bind_unix_datagram(path));
  EXPECT_ERROR(ErrorKind::environment, receive_with_fds(receiver.get()));  // non-blocking and empty
  const UniqueFd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_EQ(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::write(sender.get(), "READY=1", 7), 7);
  ASSERT_OK(const Message message, receive_with_fds(receiver.get()));
  EXPECT_EQ(message.bytes, "READY=1");
  EXPECT_EQ(message.sender_pid, ::getpid());
}

}  // namespace
}  // namespace sb::os::tests
