// A YAML text as a tree of plain values, each with its place in the file. The first strict layer above
// yaml-cpp: what a manifest has no use for is refused here, before anything recurses over it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb::project {

inline constexpr std::size_t kMaxYamlBytes = 1024 * 1024;
inline constexpr int kMaxYamlDepth = 32;

struct Position {  // counted from 1
  int line = 1;
  int column = 1;
  friend bool operator==(const Position&, const Position&) = default;
};

struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping };
  struct Key {
    std::string text;
    Position at;
  };

  Kind kind = Kind::null;
  Position at;
  std::string text;             // scalar
  bool quoted = false;          // scalar: '…', "…", | or >
  std::vector<YamlNode> items;  // of a sequence, or the values of a mapping
  std::vector<Key> keys;        // of a mapping, one per item, all different
};

// "a list", "a text", …: for messages.
[[nodiscard]] std::string_view describe(YamlNode::Kind kind);

// The documents of a text, without those that are empty. Refuses, as ErrorKind::usage "file:line:column: …":
// more than kMaxYamlBytes, bytes that are not UTF-8, control characters, more than kMaxYamlDepth levels,
// anchors, aliases, tags, keys that are not scalars, duplicate keys, and a second document that does not
// begin with "---".
[[nodiscard]] Result<std::vector<YamlNode>> parse_yaml(std::string_view text, const std::string& file);

}  // namespace sb::project
