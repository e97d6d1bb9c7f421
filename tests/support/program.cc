#include "support/program.h"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sb::tests {
namespace {

std::string own(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

}  // namespace

Background::Background(const std::vector<std::string>& argv, const std::filesystem::path& directory,
                       const Environment& environment) {
  std::vector<std::string> variables{"PATH=" + own("PATH", "/usr/bin:/bin"), "HOME=" + own("HOME", "/"),
                                     "LANG=C.UTF-8"};
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> arguments;
  std::vector<char*> variable_pointers;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  for (std::string& variable : variables) variable_pointers.push_back(variable.data());
  arguments.push_back(nullptr);
  variable_pointers.push_back(nullptr);
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) std::abort();
  pid_ = ::fork();
  if (pid_ == 0) {
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    if (::chdir(directory.c_str()) == 0) ::execvpe(arguments[0], arguments.data(), variable_pointers.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

bool Background::running() const {
  siginfo_t ended{};
  // Without reaping it.
  return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0;
}

Background::~Background() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (out_ >= 0) ::close(out_);
  if (err_ >= 0) ::close(err_);
}

Finished Background::wait() {
  Finished finished;
  pollfd ends[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (::poll(ends, 2, -1) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char block[4096];
      const ssize_t n = ::read(ends[i].fd, block, sizeof block);
      if (n > 0) (i == 0 ? finished.out : finished.err).append(block, static_cast<std::size_t>(n));
      if (n == 0) ends[i].fd = -1;
    }
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

Finished run_program(const std::vector<std::string>& argv, const std::filesystem::path& directory,
                     const Environment& environment) {
  return Background(argv, directory, environment).wait();
}

}  // namespace sb::tests
