// The rules that single texts of a manifest must keep. Each returns what is wrong, or an empty string.
#pragma once

#include <string>
#include <string_view>

namespace sb::project {

[[nodiscard]] std::string rule_name(const std::string& text);  // [a-z0-9][a-z0-9-]{0,62}
[[nodiscard]] std::string rule_not_empty(const std::string& text);
[[nodiscard]] std::string rule_word(const std::string& text);  // neither empty nor like an option
[[nodiscard]] std::string rule_branch(const std::string& text);
[[nodiscard]] std::string rule_schedule(const std::string& text);       // base/cron.h
[[nodiscard]] std::string rule_cmake_option(const std::string& text);   // -DNAME=VALUE
[[nodiscard]] std::string rule_relative_path(const std::string& text);  // stays inside the folder
[[nodiscard]] std::string rule_address(const std::string& text);  // "127.0.0.1:80", "[::1]:80", "unix:/path"
[[nodiscard]] std::string rule_socket_name(const std::string& text);
[[nodiscard]] std::string rule_remote(const std::string& text);           // the URL of a remote cache
[[nodiscard]] std::string rule_secret_variable(const std::string& text);  // begins with SELFBUILD_CACHE_
[[nodiscard]] std::string rule_absolute_path(const std::string& text);

}  // namespace sb::project
