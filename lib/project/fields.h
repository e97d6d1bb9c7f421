// Fields: reads the keys of one mapping of a manifest, a line of code per key. Nothing is thrown and nothing
// returned per key: mistakes are collected, so that a person sees all of them at once, in the order of the
// file.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/yaml_tree.h"

namespace sb::project {

// The mistakes found in one file.
class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}
  void add(Position at, std::string message);
  [[nodiscard]] bool empty() const { return list_.empty(); }
  // ErrorKind::usage; what is the first "file:line:column: message", log holds the others. Call when not
  // empty.
  [[nodiscard]] Error error() const;

 private:
  struct Finding {
    Position at;
    std::string message;
  };
  std::string file_;
  std::vector<Finding> list_;  // by place
};

// A rule for one text: what is wrong with it ("must not be absolute"), or an empty string.
using Rule = std::function<std::string(const std::string&)>;

// "; did you mean "x"?" when one of the words is near, else "; known are a, b, c".
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string> known);

class Fields {
 public:
  // `name` is what messages call the mapping. Both referents must outlive this object.
  Fields(const YamlNode& mapping, std::string name, Findings& findings);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  // Reports the keys nobody asked for, and the required ones that are missing.
  ~Fields();

  // The value of a key, or null when it is absent or has no value (which is reported).
  const YamlNode* find(std::string_view key);
  void require(std::string_view key);  // its absence is reported at the end
  [[nodiscard]] bool has(std::string_view key) const;

  // Each leaves `value` alone when the key is absent or wrong.
  void text(std::string_view key, std::string& value, const Rule& rule = {});
  enum class Size { any, filled };
  void list(std::string_view key, std::vector<std::string>& value, const Rule& rule = {},
            Size size = Size::any);
  void duration(std::string_view key, std::chrono::milliseconds& value,
                std::chrono::milliseconds least = std::chrono::milliseconds(1));  // at most a day
  void duration(std::string_view key, std::optional<std::chrono::milliseconds>& value);
  void bytes(std::string_view key, std::optional<std::uint64_t>& value);  // at least 1 MiB
  void count(std::string_view key, std::optional<std::uint64_t>& value, std::uint64_t most);
  void count(std::string_view key, int& value, int most);
  void truth(std::string_view key, bool& value);  // true or false
  template <typename T>
  void choice(std::string_view key, T& value, std::span<const std::pair<std::string, T>> choices) {
    std::vector<std::string> words;
    for (const auto& [word, ignored] : choices) words.push_back(word);
    if (const auto index = choose(key, words)) value = choices[*index].second;
  }
  void section(std::string_view key, const std::function<void(Fields&)>& read);
  void each(std::string_view key, const std::function<void(Fields&)>& read);  // a list of mappings
  void environment(std::string_view key, std::vector<std::string>& value);    // {NAME: text}

  // Reports a mistake at a key's value, or at the mapping itself when the key is absent.
  void wrong(std::string_view key, std::string message);
  void wrong(const YamlNode& node, std::string message) { findings_.add(node.at, std::move(message)); }

 private:
  [[nodiscard]] std::size_t index_of(std::string_view key) const;
  [[nodiscard]] const YamlNode* find(std::string_view key, YamlNode::Kind kind);
  [[nodiscard]] std::optional<std::size_t> choose(std::string_view key, std::span<const std::string> words);
  void check(const YamlNode& node, const Rule& rule);

  const YamlNode& mapping_;
  std::string name_;
  Findings& findings_;
  std::vector<std::string> known_;
  std::vector<std::string> missing_;
};

}  // namespace sb::project
