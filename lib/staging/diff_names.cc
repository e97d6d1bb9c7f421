#include "staging/diff_names.h"

#include <algorithm>

#include "staging/path_rules.h"

namespace sb::staging {
namespace {

constexpr std::size_t kMaxHeader = 16 * 1024;

struct Unquoted {
  std::string name;
  std::string_view rest;  // behind the closing quote
};

// git's C quoting: \a \b \t \n \v \f \r \" \\ and three octal digits.
std::optional<Unquoted> unquote(std::string_view text) {
  if (!text.starts_with('"')) return std::nullopt;
  text.remove_prefix(1);
  std::string name;
  while (!text.empty() && text.front() != '"') {
    char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      name.push_back(c);
      continue;
    }
    if (text.empty()) return std::nullopt;
    c = text.front();
    constexpr std::string_view kLetters = "abtnvfr\"\\";
    constexpr std::string_view kMeanings = "\a\b\t\n\v\f\r\"\\";
    if (const std::size_t at = kLetters.find(c); at != std::string_view::npos) {
      name.push_back(kMeanings[at]);
      text.remove_prefix(1);
      continue;
    }
    const auto is_octal = [](char digit) { return digit >= '0' && digit <= '7'; };
    if (text.size() < 3 || c > '3' || !std::ranges::all_of(text.substr(0, 3), is_octal)) return std::nullopt;
    name.push_back(static_cast<char>((text[0] - '0') * 64 + (text[1] - '0') * 8 + (text[2] - '0')));
    text.remove_prefix(3);
  }
  if (text.empty()) return std::nullopt;
  return Unquoted{.name = std::move(name), .rest = text.substr(1)};
}

std::string_view behind_prefix(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
}

// Calls accept(left, right) for every way to divide the header into two names, until it says yes.
template <typename Accept>
bool any_division(std::string_view header, Accept accept) {
  if (header.size() > kMaxHeader) return false;
  if (const auto left = unquote(header)) {
    if (!left->rest.starts_with(' ')) return false;
    const std::string_view behind = left->rest.substr(1);
    if (!behind.starts_with('"')) return accept(std::string_view(left->name), behind);
    const auto right = unquote(behind);
    return right && right->rest.empty() &&
           accept(std::string_view(left->name), std::string_view(right->name));
  }
  for (std::size_t blank = header.find(' '); blank != std::string_view::npos;
       blank = header.find(' ', blank + 1)) {
    const std::string_view behind = header.substr(blank + 1);
    if (const auto right = unquote(behind)) {
      if (right->rest.empty() && accept(header.substr(0, blank), std::string_view(right->name))) return true;
    } else if (accept(header.substr(0, blank), behind)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<std::string> read_name(std::string_view text) {
  if (text.starts_with('"')) {
    auto unquoted = unquote(text);
    if (!unquoted) return fail(broken_rule(rule::kSyntax, text, "the quotes of this name are wrong"));
    return std::move(unquoted->name);
  }
  return std::string(text.substr(0, text.find('\t')));
}

Result<std::string> strip_prefix(std::string_view path) {
  if (path.starts_with('/')) {
    return fail(broken_rule(rule::kAbsolutePath, path, "paths are relative to the top of the tree"));
  }
  const std::size_t slash = path.find('/');
  const std::string_view first = path.substr(0, slash);
  if (first == "..") return fail(broken_rule(rule::kEscapes, path, "it has a '..' in it"));
  if (slash == std::string_view::npos || first.empty() || first == ".") {
    Error error = broken_rule(rule::kSyntax, path, "names in a patch begin with a folder such as a/ and b/");
    error.next = "git diff --src-prefix=a/ --dst-prefix=b/";
    return fail(std::move(error));
  }
  return std::string(path.substr(slash + 1));
}

std::optional<std::string> common_name(std::string_view header) {
  std::optional<std::string> found;
  (void)any_division(header, [&](std::string_view left, std::string_view right) {
    if (behind_prefix(left).empty() || behind_prefix(left) != behind_prefix(right)) return false;
    // Stripping must not hide where the name really points.
    const auto checked = strip_prefix(left);
    found = checked && strip_prefix(right) ? *checked : std::string(left);
    return true;
  });
  return found;
}

bool names_are(std::string_view header, std::string_view old_name, std::string_view new_name) {
  return any_division(header, [&](std::string_view left, std::string_view right) {
    return behind_prefix(left) == old_name && behind_prefix(right) == new_name;
  });
}

}  // namespace sb::staging
