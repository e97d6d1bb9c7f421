// Rules for names, paths and addresses; pure functions.
#include "project/rules.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/cron.h"
#include "cache/remote_settings.h"
#include "supervise/address.h"

namespace sb::project {
namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string rule_name(const std::string& text) {
  constexpr std::size_t kLongest = 63;
  const bool good = !text.empty() && text.size() <= kLongest && text.front() != '-' &&
                    std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '-'; });
  return good ? "" : "is not a name: a-z, 0-9 and -, at most 63 characters, and no - at the beginning";
}

std::string rule_not_empty(const std::string& text) {
  return text.empty() ? "must not be empty" : "";
}

std::string rule_word(const std::string& text) {
  if (text.empty()) return "must not be empty";
  return text.starts_with('-') ? "must not begin with -" : "";
}

std::string rule_branch(const std::string& text) {
  if (std::string complaint = rule_word(text); !complaint.empty()) return complaint;
  const bool bad =
      text.find_first_of(" \t\n~^:?*[\\") != std::string::npos || text.find("..") != std::string::npos;
  return bad ? "is not the name of a branch" : "";
}

std::string rule_schedule(const std::string& text) {
  const Result<Cron> cron = Cron::parse(text);
  return cron ? "" : "is not a schedule: " + cron.error().what;
}

std::string rule_cmake_option(const std::string& text) {
  const std::size_t equals = text.find('=');
  const bool good = text.starts_with("-D") && equals != std::string::npos && equals > 2;
  return good ? "" : "must have the form -DNAME=VALUE";
}

std::string rule_relative_path(const std::string& text) {
  const std::filesystem::path path(text);
  if (text.empty()) return "must not be empty";
  if (path.is_absolute()) return "must be relative to the build folder";
  if (std::ranges::find(path, "..") != path.end()) return "must not contain ..";
  return path.lexically_normal() == "." || path.lexically_normal() == "./"
             ? "must name something in the folder"
             : "";
}

std::string rule_address(const std::string& text) {
  return supervise::parse_address(text) ? "" : "is not an address: 127.0.0.1:8080, [::1]:8080 or unix:/path";
}

std::string rule_socket_name(const std::string& text) {
  // A probe's "unix:/path" would otherwise have two meanings.
  return text == "unix" ? "cannot be the name of a socket" : rule_name(text);
}

std::string rule_remote(const std::string& text) {
  const Result<cache::RemoteAddress> address = cache::parse_remote_url(text);
  return address ? "" : address.error().what;
}

std::string rule_secret_variable(const std::string& text) {
  return text.starts_with(cache::kSecretPrefix) ? ""
                                                : fmt::format("must begin with {}", cache::kSecretPrefix);
}

std::string rule_absolute_path(const std::string& text) {
  return text.starts_with('/') ? "" : "must be absolute";
}

}  // namespace sb::project
