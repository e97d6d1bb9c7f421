// What puts a service under supervision, and swaps it for the next: selfbuild and its peers, each as its
// manual says. All of them run the program http_service of tests/fixtures, but nginx and HAProxy, which
// answer by themselves.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/installation.h"

namespace sb::bench {

struct Serving {
  std::string program;  // http_service
  int boot_ms = 0;
  int work_ms = 0;  // for each request
};

// One service under one supervisor. Ends both with it.
class Peer {
 public:
  virtual ~Peer() = default;
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual void swap() = 0;  // returns when the command for it has ended
  [[nodiscard]] virtual std::string address() const = 0;
};

struct PeerKind {
  std::string name;
  bool restarts = true;                                        // what crashes, and is our program
  bool keeps_listening = true;                                 // while it swaps
  std::function<std::unique_ptr<Peer>(const Serving&)> start;  // serves when it returns
};
[[nodiscard]] std::vector<PeerKind> other_supervisors();

struct OurService {
  Serving serving;
  std::string swap = "overlap";  // or drain-first
  bool standby = false;
};
// Two versions of the service, built by `selfbuild update`; each swap is a `selfbuild promote` of the other.
class Ours : public Peer {
 public:
  explicit Ours(const OurService& service);
  void swap() override;
  [[nodiscard]] std::string address() const override { return address_; }
  void wait_for_standby() const;  // until one is ready to take over
  [[nodiscard]] const tests::Installation& host() const { return host_; }

 private:
  tests::Installation host_;
  std::string address_;
  int live_ = 2;
};
[[nodiscard]] std::filesystem::path conductor_program();
// The same program as another file, for `conductor upgrade`: what runs already is not put into its own place.
[[nodiscard]] std::string next_conductor(const tests::Installation& host, int nth);

// http_service as `selfbuild update` builds it, for the peers; made once.
[[nodiscard]] std::string service_program();

// fork, exec and accept of a static program: what no supervisor can be faster than. `program`:
// tests/bench/floor.
[[nodiscard]] std::unique_ptr<Peer> start_floor(const std::string& program);

// HAProxy in front of a server, over kept connections; asks anew what the server ended without a byte.
[[nodiscard]] std::unique_ptr<Peer> start_relay(const std::string& server);

[[nodiscard]] std::string free_address();
// What a new connection is answered for GET `path`; empty: it was refused or cut, or nothing came for as long
// as `patience`, if that is not 0. Blocks.
[[nodiscard]] std::string get(const std::string& address, const std::string& path,
                              std::chrono::microseconds patience = {});  // below a second
void wait_until_served(const std::string& address);

}  // namespace sb::bench
