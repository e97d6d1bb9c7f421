#include "support/cache_servers.h"

#include <algorithm>
#include <optional>

#include <sys/socket.h>
#include <unistd.h>

#include "support/files.h"
#include "support/local_port.h"
#include "support/wait.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

// Debian's redis-tools has the server under the name of a tool that it also is; redis-server is a link to it,
// and a service that starts at boot.
constexpr const char* kRedisPrograms[] = {"/usr/bin/redis-server", "/usr/bin/redis-check-rdb",
                                          "/usr/local/bin/redis-server"};
constexpr const char* kNginxPrograms[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx"};

void wait_for(int port) {
  wait_until([&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool up = connect_to(fd, port);
    ::close(fd);
    return up;
  });
}

template <typename List>
std::string installed(const List& programs) {
  for (const char* program : programs) {
    if (::access(program, X_OK) == 0) return program;
  }
  return {};
}

class Redis final : public CacheServer {
 public:
  Redis(const std::string& program, std::string password) : password_(std::move(password)) {
    port_ = free_port();
    fs::create_symlink(program, folder_.path() / "redis-server");
    std::vector<std::string> argv{folder_.path() / "redis-server",
                                  "--port",
                                  std::to_string(port_),
                                  "--bind",
                                  "127.0.0.1",
                                  "--save",
                                  "",
                                  "--logfile",
                                  "log",
                                  "--dir",
                                  folder_.path()};
    if (!password_.empty()) argv.insert(argv.end(), {"--requirepass", password_});
    server_.emplace(argv, folder_.path(), Environment());
    wait_for(port_);
  }
  [[nodiscard]] std::string url(int port) const override {
    return "redis://127.0.0.1:" + std::to_string(port == 0 ? port_ : port) + "/0";
  }
  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> argv{"redis-cli", "-p", std::to_string(port_), "--raw", "KEYS", "selfbuild:*"};
    Environment environment;
    if (!password_.empty()) environment["REDISCLI_AUTH"] = password_;
    const Finished finished = run_program(argv, folder_.path(), environment);
    std::vector<std::string> names;
    for (std::size_t at = 0, end = 0; (end = finished.out.find('\n', at)) != std::string::npos;
         at = end + 1) {
      std::string name = finished.out.substr(at, end - at);
      if (!name.starts_with("selfbuild:")) continue;
      name = name.substr(10);
      std::ranges::replace(name, ':', '/');
      names.push_back(name);
    }
    return names;
  }
  void kill() override { server_.reset(); }

 private:
  os::TemporaryFolder folder_ = temporary_folder();
  std::string password_;
  std::optional<Background> server_;
};

class Nginx final : public CacheServer {
 public:
  Nginx(const std::string& program, const std::string& token) {
    port_ = free_port();
    const std::string folder = folder_.path().string();
    fs::create_directories(folder_.path() / "data/cache");
    std::string temporary;
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      temporary += std::string(kind) + "_temp_path " + folder + "/" + kind + ";\n";
    const std::string guard =
        token.empty() ? "" : "if ($http_authorization != \"Bearer " + token + "\") { return 401; }\n";
    write(folder_.path() / "nginx.conf",
          "daemon off;\nmaster_process off;\npid " + folder + "/pid;\nerror_log " + folder +
              "/errors;\nevents { worker_connections 512; }\nhttp {\naccess_log off;\n" + temporary +
              "server {\nlisten 127.0.0.1:" + std::to_string(port_) + ";\nroot " + folder +
              "/data;\nkeepalive_requests 1000000;\nclient_max_body_size 0;\nlocation / {\n" + guard +
              "dav_methods PUT DELETE;\ncreate_full_put_path on;\n}\n}\n}\n");
    server_.emplace(std::vector<std::string>{program, "-e", folder + "/errors", "-c", folder + "/nginx.conf"},
                    folder_.path(), Environment());
    wait_for(port_);
  }
  [[nodiscard]] std::string url(int port) const override {
    return "http://127.0.0.1:" + std::to_string(port == 0 ? port_ : port) + "/cache";
  }
  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> names;
    const fs::path root = folder_.path() / "data/cache";
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(root).string());
    }
    return names;
  }
  void kill() override { server_.reset(); }

 private:
  os::TemporaryFolder folder_ = temporary_folder();
  std::optional<Background> server_;
};

}  // namespace

int free_port() {
  const BoundSocket socket = bind_free_port();
  ::close(socket.fd);
  return socket.port;
}

std::unique_ptr<CacheServer> start_redis(const std::string& password) {
  const std::string program = installed(kRedisPrograms);
  if (program.empty()) return nullptr;
  return std::make_unique<Redis>(program, password);
}

std::unique_ptr<CacheServer> start_nginx(const std::string& password) {
  const std::string program = installed(kNginxPrograms);
  if (program.empty()) return nullptr;
  return std::make_unique<Nginx>(program, password);
}

}  // namespace sb::tests
