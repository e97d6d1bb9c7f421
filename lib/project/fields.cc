// The reading of single keys: types, ranges and the words for what is wrong.
#include "project/fields.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/suggestion.h"
#include "base/text.h"

namespace sb::project {
namespace {

constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);  // longer is a unit that was forgotten
constexpr std::uint64_t kLeastBytes = 1024 * 1024;

// The digits of an unquoted whole number.
std::optional<std::uint64_t> whole_number(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.quoted) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = node.text.data() + node.text.size();
  const auto [stop, code] = std::from_chars(node.text.data(), end, number);
  if (code != std::errc{} || stop != end) return std::nullopt;
  return number;
}

bool is_environment_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

void Findings::add(Position at, std::string message) {
  const auto place = [](const Finding& f) { return std::pair(f.at.line, f.at.column); };
  const auto after = std::ranges::upper_bound(list_, std::pair(at.line, at.column), {}, place);
  list_.insert(after, Finding{at, std::move(message)});
}

Error Findings::error() const {
  std::vector<std::string> lines;
  lines.reserve(list_.size());
  for (const Finding& finding : list_) {
    lines.push_back(fmt::format("{}:{}:{}: {}", file_, finding.at.line, finding.at.column, finding.message));
  }
  Error error = make_error(ErrorKind::usage, lines.front());
  lines.erase(lines.begin());
  error.log = join(lines, "\n");
  return error;
}

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  if (const auto near = nearest(word, known)) return fmt::format("; did you mean \"{}\"?", *near);
  std::vector<std::string> sorted(known.begin(), known.end());
  std::ranges::sort(sorted);
  const auto twice = std::ranges::unique(sorted);
  sorted.erase(twice.begin(), twice.end());
  return sorted.empty() ? "" : fmt::format("; known are {}", join(sorted, ", "));
}

Fields::Fields(const YamlNode& mapping, std::string name, Findings& findings)
    : mapping_(mapping), name_(std::move(name)), findings_(findings) {}

Fields::~Fields() {
  for (const YamlNode::Key& key : mapping_.keys) {
    if (std::ranges::find(known_, key.text) != known_.end()) continue;
    findings_.add(key.at,
                  fmt::format("unknown key \"{}\" in {}{}", key.text, name_, suggestion(key.text, known_)));
    // A mistyped key is one mistake, not an unknown key and a missing one.
    if (const auto meant = nearest(key.text, known_)) std::erase(missing_, *meant);
  }
  for (const std::string& key : missing_)
    findings_.add(mapping_.at, fmt::format("{} lacks \"{}\"", name_, key));
}

std::size_t Fields::index_of(std::string_view key) const {
  return static_cast<std::size_t>(std::ranges::find(mapping_.keys, key, &YamlNode::Key::text) -
                                  mapping_.keys.begin());
}

bool Fields::has(std::string_view key) const {
  return index_of(key) < mapping_.items.size();
}

const YamlNode* Fields::find(std::string_view key) {
  known_.emplace_back(key);
  const std::size_t index = index_of(key);
  if (index >= mapping_.items.size()) return nullptr;
  const YamlNode& node = mapping_.items[index];
  if (node.kind != YamlNode::Kind::null) return &node;
  findings_.add(mapping_.keys[index].at, fmt::format("\"{}\" has no value", key));
  return nullptr;
}

void Fields::require(std::string_view key) {
  if (!has(key)) missing_.emplace_back(key);
}

const YamlNode* Fields::find(std::string_view key, YamlNode::Kind kind) {
  const YamlNode* node = find(key);
  if (node == nullptr || node->kind == kind) return node;
  wrong(*node, fmt::format("\"{}\" must be {}, not {}", key, describe(kind), describe(node->kind)));
  return nullptr;
}

void Fields::wrong(std::string_view key, std::string message) {
  const std::size_t index = index_of(key);
  findings_.add(index < mapping_.items.size() ? mapping_.items[index].at : mapping_.at, std::move(message));
}

void Fields::check(const YamlNode& node, const Rule& rule) {
  if (!rule) return;
  if (const std::string complaint = rule(node.text); !complaint.empty()) {
    wrong(node, fmt::format("\"{}\" {}", node.text, complaint));
  }
}

void Fields::text(std::string_view key, std::string& value, const Rule& rule) {
  const YamlNode* node = find(key, YamlNode::Kind::scalar);
  if (node == nullptr) return;
  check(*node, rule);
  value = node->text;
}

void Fields::list(std::string_view key, std::vector<std::string>& value, const Rule& rule, Size size) {
  const YamlNode* node = find(key, YamlNode::Kind::sequence);
  if (node == nullptr) return;
  if (size == Size::filled && node->items.empty()) wrong(*node, fmt::format("\"{}\" must not be empty", key));
  value.clear();
  for (const YamlNode& item : node->items) {
    if (item.kind != YamlNode::Kind::scalar) {
      wrong(item, fmt::format("\"{}\" must be a list of texts; this is {}", key, describe(item.kind)));
      continue;
    }
    check(item, rule);
    value.push_back(item.text);
  }
}

void Fields::duration(std::string_view key, std::chrono::milliseconds& value,
                      std::chrono::milliseconds least) {
  const YamlNode* node = find(key, YamlNode::Kind::scalar);
  if (node == nullptr) return;
  const auto parsed = parse_duration(node->text);
  if (!parsed) {
    wrong(*node,
          fmt::format(R"("{}" must be a duration like 500ms, 10s, 5m or 2h, not "{}")", key, node->text));
  } else if (*parsed < least || *parsed > kLongest) {
    wrong(*node,
          fmt::format("\"{}\" must be between {} ms and 24 h, not {}", key, least.count(), node->text));
  } else {
    value = *parsed;
  }
}

void Fields::duration(std::string_view key, std::optional<std::chrono::milliseconds>& value) {
  std::chrono::milliseconds parsed{0};
  duration(key, parsed);
  if (parsed.count() > 0) value = parsed;
}

void Fields::bytes(std::string_view key, std::optional<std::uint64_t>& value) {
  const YamlNode* node = find(key, YamlNode::Kind::scalar);
  if (node == nullptr) return;
  const auto parsed = parse_bytes(node->text);
  if (!parsed) {
    wrong(*node, fmt::format(R"("{}" must be a size like 512M or 2G, not "{}")", key, node->text));
  } else if (*parsed < kLeastBytes) {
    wrong(*node, fmt::format("\"{}\" must be at least 1M, not {}", key, node->text));
  } else {
    value = *parsed;
  }
}

void Fields::truth(std::string_view key, bool& value) {
  static const std::array<std::pair<std::string, bool>, 2> kWords = {{{"true", true}, {"false", false}}};
  choice<bool>(key, value, kWords);
}

void Fields::count(std::string_view key, std::optional<std::uint64_t>& value, std::uint64_t most) {
  const YamlNode* node = find(key, YamlNode::Kind::scalar);
  if (node == nullptr) return;
  const auto number = whole_number(*node);
  if (!number || *number < 1 || *number > most) {
    wrong(*node, fmt::format(R"("{}" must be a whole number from 1 to {}, not "{}")", key, most, node->text));
  } else {
    value = number;
  }
}

void Fields::count(std::string_view key, int& value, int most) {
  std::optional<std::uint64_t> number;
  count(key, number, static_cast<std::uint64_t>(most));
  if (number) value = static_cast<int>(*number);
}

std::optional<std::size_t> Fields::choose(std::string_view key, std::span<const std::string> words) {
  const YamlNode* node = find(key, YamlNode::Kind::scalar);
  if (node == nullptr) return std::nullopt;
  const auto found = std::ranges::find(words, node->text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  wrong(*node, fmt::format(R"("{}" cannot be "{}"{})", key, node->text, suggestion(node->text, words)));
  return std::nullopt;
}

void Fields::section(std::string_view key, const std::function<void(Fields&)>& read) {
  const YamlNode* node = find(key, YamlNode::Kind::mapping);
  if (node == nullptr) return;
  Fields fields(*node, std::string(key), findings_);
  read(fields);
}

void Fields::each(std::string_view key, const std::function<void(Fields&)>& read) {
  const YamlNode* node = find(key, YamlNode::Kind::sequence);
  if (node == nullptr) return;
  for (const YamlNode& item : node->items) {
    if (item.kind != YamlNode::Kind::mapping) {
      wrong(item, fmt::format("\"{}\" must be a list of mappings; this is {}", key, describe(item.kind)));
      continue;
    }
    Fields fields(item, fmt::format("an item of {}", key), findings_);
    read(fields);
  }
}

void Fields::environment(std::string_view key, std::vector<std::string>& value) {
  const YamlNode* node = find(key, YamlNode::Kind::mapping);
  if (node == nullptr) return;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const std::string& name = node->keys[i].text;
    if (!is_environment_name(name)) {
      findings_.add(node->keys[i].at, fmt::format("\"{}\" is not a name for a variable", name));
    } else if (node->items[i].kind != YamlNode::Kind::scalar) {
      wrong(node->items[i],
            fmt::format("\"{}\" must be a text, not {}", name, describe(node->items[i].kind)));
    } else {
      value.push_back(fmt::format("{}={}", name, node->items[i].text));
    }
  }
}

}  // namespace sb::project
