// yaml-cpp's event parser with a handler that builds the tree. The handler refuses by throwing, because that
// is the only way to stop yaml-cpp; parse_yaml catches everything.
#include "project/yaml_tree.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace sb::project {
namespace {

struct Refusal {
  Position at;
  std::string message;
};

constexpr std::string_view kNoAnchors =
    "anchors (&name) are not supported; write the value where it is needed";

Position position(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override { root_ = YamlNode(); }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // Not place(): yaml-cpp reports an absent value at the next token, which may be the next "---".
    if (anchor != 0) throw Refusal{position(mark), std::string(kNoAnchors)};
    value(YamlNode{YamlNode::Kind::null, position(mark), {}, false, {}, {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refusal{position(mark), "aliases (*name) are not supported; write the value again"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const Position at = place(mark, anchor);
    refuse_tag(at, tag);
    if (text.find('\0') != std::string::npos) throw Refusal{at, "a text cannot contain the character NUL"};
    value(YamlNode{YamlNode::Kind::scalar, at, text, tag == "!", {}, {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

  [[nodiscard]] YamlNode take_root() { return std::exchange(root_, YamlNode()); }
  [[nodiscard]] int last_line() const { return last_line_; }

 private:
  Position place(const YAML::Mark& mark, YAML::anchor_t anchor) {
    const Position at = position(mark);
    last_line_ = std::max(last_line_, at.line);
    if (anchor != 0)
      throw Refusal{at, "anchors (&name) are not supported; write the value where it is needed"};
    return at;
  }

  static void refuse_tag(Position at, const std::string& tag) {
    // "?" and "!" are how yaml-cpp says that there was no tag, on a plain and on a quoted scalar.
    if (!tag.empty() && tag != "?" && tag != "!") throw Refusal{at, "tags (!name) are not supported"};
  }

  [[nodiscard]] bool expects_key() const {
    return !open_.empty() && open_.back().kind == YamlNode::Kind::mapping &&
           open_.back().keys.size() == open_.back().items.size();
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const Position at = place(mark, anchor);
    refuse_tag(at, tag);
    if (expects_key()) throw Refusal{at, fmt::format("a key must be a text, not {}", describe(kind))};
    if (open_.size() >= kMaxYamlDepth) {
      throw Refusal{at, fmt::format("nested deeper than {} levels", kMaxYamlDepth)};
    }
    open_.push_back(YamlNode{kind, at, {}, false, {}, {}});
  }

  void close() {
    YamlNode done = std::move(open_.back());
    open_.pop_back();
    value(std::move(done));
  }

  void value(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (expects_key()) {
      add_key(node);
    } else {
      open_.back().items.push_back(std::move(node));
    }
  }

  void add_key(const YamlNode& node) {
    if (node.kind != YamlNode::Kind::scalar) {
      throw Refusal{node.at, fmt::format("a key must be a text, not {}", describe(node.kind))};
    }
    std::vector<YamlNode::Key>& keys = open_.back().keys;
    const auto first = std::ranges::find(keys, node.text, &YamlNode::Key::text);
    if (first != keys.end()) {
      throw Refusal{node.at,
                    fmt::format("duplicate key \"{}\"; the first is on line {}", node.text, first->at.line)};
    }
    // The search above is linear: without this, a megabyte of keys would take minutes.
    if (keys.size() >= kMaxKeys)
      throw Refusal{node.at, fmt::format("more than {} keys in one mapping", kMaxKeys)};
    keys.push_back({node.text, node.at});
  }

  static constexpr std::size_t kMaxKeys = 1000;
  YamlNode root_;
  std::vector<YamlNode> open_;  // sequences and mappings whose end is still to come, outermost first
  int last_line_ = 0;
};

// The place of the first byte that is no UTF-8 or a control character, or nothing.
std::size_t first_bad_byte(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) return i;
      ++i;
      continue;
    }
    const std::size_t length = c >= 0xF0 && c <= 0xF4  ? 4
                               : c >= 0xE0 && c < 0xF0 ? 3
                               : c >= 0xC2 && c < 0xE0 ? 2
                                                       : 0;
    if (length == 0 || i + length > text.size()) return i;
    std::uint32_t code = c & (0xFFU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80U) return i;
      code = (code << 6U) | (next & 0x3FU);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return i;
    i += length;
  }
  return std::string_view::npos;
}

Position position_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0: the first line
  return {static_cast<int>(std::ranges::count(before, '\n')) + 1, static_cast<int>(offset - line_start) + 1};
}

// Whether a line in (after, until] begins a document. yaml-cpp takes what follows a closed flow collection as
// the next document even without it.
bool has_marker(const std::vector<int>& markers, int after, int until) {
  return std::ranges::any_of(markers, [&](int line) { return line > after && line <= until; });
}

std::vector<int> marker_lines(std::string_view text) {
  std::vector<int> lines;
  int line = 1;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    if (text.substr(begin).starts_with("---")) lines.push_back(line);
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    begin = end + 1;
  }
  return lines;
}

std::unexpected<Error> refuse(const std::string& file, Position at, std::string_view message) {
  return fail(ErrorKind::usage, fmt::format("{}:{}:{}: {}", file, at.line, at.column, message));
}

}  // namespace

std::string_view describe(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return "a text";
    case YamlNode::Kind::sequence:
      return "a list";
    case YamlNode::Kind::mapping:
      return "a mapping";
  }
  return "nothing";
}

Result<std::vector<YamlNode>> parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxYamlBytes) {
    return refuse(file, {}, fmt::format("larger than {} bytes", kMaxYamlBytes));
  }
  if (const std::size_t bad = first_bad_byte(text); bad != std::string_view::npos) {
    return refuse(file, position_of(text, bad),
                  fmt::format("byte 0x{:02x} is not text in UTF-8", static_cast<unsigned char>(text[bad])));
  }
  std::vector<YamlNode> documents;
  try {
    const std::vector<int> markers = marker_lines(text);
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    int previous_end = 0;
    Position empty_at{0, 0};
    while (parser.HandleNextDocument(builder)) {
      YamlNode root = builder.take_root();
      if (root.kind == YamlNode::Kind::null) {
        // At a token that can begin nothing, like a comma, yaml-cpp reports empty documents for ever.
        if (root.at == empty_at) return refuse(file, root.at, "no value can begin here");
        empty_at = root.at;
        continue;
      }
      if (!documents.empty() && !has_marker(markers, previous_end, root.at.line)) {
        return refuse(file, root.at, "text after the end of the document; begin another one with \"---\"");
      }
      previous_end = builder.last_line();
      documents.push_back(std::move(root));
    }
  } catch (const Refusal& refusal) {
    return refuse(file, refusal.at, refusal.message);
  } catch (const YAML::ParserException& error) {
    return refuse(file, position(error.mark), error.msg);
  } catch (const std::exception& error) {
    return refuse(file, {}, error.what());
  }
  return documents;
}

}  // namespace sb::project
