#include "ninja/parser.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "ninja/files.h"

namespace sb::ninja {
namespace {

// The newest language that this parser knows.
constexpr int kMajor = 1;
constexpr int kMinor = 11;

int leading_number(std::string_view text) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc::result_out_of_range ? std::numeric_limits<int>::max() : number;
}

bool is_too_new(std::string_view version) {
  const std::size_t dot = version.find('.');
  const int major = leading_number(version);
  const int minor = dot == std::string_view::npos ? 0 : leading_number(version.substr(dot + 1));
  return major > kMajor || (major == kMajor && minor > kMinor);
}

}  // namespace

Status Parser::parse(Reading& reading, const std::string& file, std::uint32_t scope, int depth) {
  const std::filesystem::path path = reading.folder / file;
  SB_TRY(std::string bytes, read_regular_file(path, kMaxManifestBytes));
  // A small file counts as a page: an include of an include twice over, 64 deep, must end too.
  if (!reading.text.spend(std::max<std::size_t>(bytes.size(), 4096)))
    return fail(ErrorKind::refused, fmt::format("{}: the files of the manifest are larger than 1 GiB", file));
  if (reading.files.insert(file).second) reading.graph.files.push_back(file);
  const std::string& text =
      *reading.graph.texts.emplace_back(std::make_unique<const std::string>(std::move(bytes)));
  return Parser(reading, Lexer(file, text), scope, depth).statements();
}

Status Parser::statements() {
  while (true) {
    const Token token = lexer_.next();
    switch (token) {
      case Token::build:
        SB_CHECK(edge());
        break;
      case Token::rule:
        SB_CHECK(rule());
        break;
      case Token::pool:
        SB_CHECK(pool());
        break;
      case Token::default_targets:
        SB_CHECK(defaults());
        break;
      case Token::include:
        SB_CHECK(file(false));
        break;
      case Token::subninja:
        SB_CHECK(file(true));
        break;
      case Token::identifier:
        lexer_.back();
        SB_CHECK(variable());
        break;
      case Token::newline:
        break;
      case Token::end_of_file:
        return {};
      case Token::invalid:
        return no(lexer_.describe_invalid());
      default:
        return no(fmt::format("unexpected {}", to_string(token)));
    }
  }
}

Status Parser::variable() {
  const char* const place = lexer_.token_start();
  SB_TRY(const Binding read, binding());
  SB_TRY(const std::string_view value, kept_value(read.value));
  if (read.name == "ninja_required_version" && is_too_new(value)) {
    const Error error = lexer_.error(
        fmt::format("this needs Ninja {}, and files for up to {}.{} are known", value, kMajor, kMinor),
        place);
    return fail(ErrorKind::refused, error.what);
  }
  graph_.scopes[scope_].variables.insert_or_assign(read.name, value);
  return {};
}

Status Parser::pool() {
  const std::string_view name = lexer_.identifier();
  if (name.empty()) return no("expected a pool's name");
  const char* const place = lexer_.token_start();
  SB_CHECK(expect(Token::newline));
  if (reading_.pools.contains(name)) return no(fmt::format("pool '{}' is there already", name), place);
  bool has_depth = false;
  while (lexer_.accept(Token::indent)) {
    SB_TRY(const Binding read, binding());
    if (read.name != "depth") return no(fmt::format("unexpected variable '{}'", read.name));
    SB_TRY(const std::string_view depth, kept_value(read.value));
    if (leading_number(depth) < 0) return no("a pool's depth is not negative");
    has_depth = true;
  }
  if (!has_depth) return no("expected 'depth =' for the pool", place);
  reading_.pools.emplace(name);
  return {};
}

Status Parser::rule() {
  Rule rule{.name = lexer_.identifier(), .variables = {}};
  if (rule.name.empty()) return no("expected a rule's name");
  const char* const place = lexer_.token_start();
  SB_CHECK(expect(Token::newline));
  auto& rules = graph_.scopes[scope_].rules;
  // In a subninja Ninja would take a rule of this name, which is no phony one although it says so.
  if (rules.contains(rule.name) || rule.name == "phony")
    return no(fmt::format("rule '{}' is there already", rule.name), place);
  while (lexer_.accept(Token::indent)) {
    SB_TRY(const Binding read, binding());
    const auto index = rule_variable(read.name);
    if (!index) return no(fmt::format("unexpected variable '{}'", read.name));
    rule.variables[*index] = read.value;
    rule.set[*index] = true;
  }
  // For Ninja every rule has these, so that they are never looked up in a file's scope.
  for (const std::string_view name : {"command", "rspfile", "rspfile_content"})
    rule.set[*rule_variable(name)] = true;
  const auto is_empty = [&](std::string_view name) {
    return rule.variables[*rule_variable(name)].raw.empty();
  };
  if (is_empty("rspfile") != is_empty("rspfile_content"))
    return no("rspfile and rspfile_content go together", place);
  if (is_empty("command")) return no("expected 'command =' for the rule", place);
  rule.cyclic = is_cyclic(graph_, rule, nullptr, reading_.expansion);
  if (reading_.expansion.exhausted()) return too_large(place);
  rules.emplace(rule.name, static_cast<std::uint32_t>(graph_.rules.size()));
  graph_.rules.push_back(rule);
  return {};
}

Status Parser::defaults() {
  std::size_t count = 0;
  while (true) {
    const std::optional<Text> path = lexer_.path();
    if (!path) return fail(lexer_.error());
    if (path->raw.empty()) break;
    ++count;
    scratch_.clear();
    evaluate(graph_, *path, scope_, nullptr, reading_.expansion, scratch_);
    if (reading_.expansion.exhausted()) return too_large(path->place());
    if (scratch_.empty()) return no("empty path", path->place());
    const auto found = graph_.nodes.find(canonical_path(scratch_));
    if (!found) return no(fmt::format("unknown target '{}'", scratch_), path->place());
    graph_.defaults.push_back(*found);
  }
  if (count == 0) return no("expected a target's name");
  return expect(Token::newline);
}

Status Parser::file(bool own_scope) {
  const std::optional<Text> path = lexer_.path();
  if (!path) return fail(lexer_.error());
  const char* const place = lexer_.token_start();
  scratch_.clear();
  evaluate(graph_, *path, scope_, nullptr, reading_.expansion, scratch_);
  if (reading_.expansion.exhausted()) return too_large(place);
  if (scratch_.empty()) return no("expected a file's name", place);
  if (depth_ + 1 >= kMaxNestedFiles) {
    const Error error = lexer_.error(fmt::format("over {} nested files", kMaxNestedFiles), place);
    return fail(ErrorKind::refused, error.what);
  }
  std::uint32_t scope = scope_;
  if (own_scope) {
    scope = static_cast<std::uint32_t>(graph_.scopes.size());
    graph_.scopes.push_back(Scope{.parent = scope_, .variables = {}, .rules = {}});
  }
  Status parsed = parse(reading_, scratch_, scope, depth_ + 1);
  if (!parsed) {
    parsed.error().while_doing.push_back(lexer_.error("is read from here", place).what);
    return parsed;
  }
  return expect(Token::newline);
}

Status Parser::expect(Token token) {
  const Token found = lexer_.next();
  if (found == token) return {};
  return no(fmt::format("expected {}, found {}{}", to_string(token), to_string(found),
                        token == Token::colon ? " ($ also escapes ':')" : ""));
}

Result<Parser::Binding> Parser::binding() {
  const std::string_view name = lexer_.identifier();
  if (name.empty()) return no("expected a variable's name");
  SB_CHECK(expect(Token::equals));
  const std::optional<Text> value = lexer_.value();
  if (!value) return fail(lexer_.error());
  return Binding{.name = name, .value = *value};
}

Result<std::string_view> Parser::kept_value(Text text) {
  if (text.plain) return text.raw;
  scratch_.clear();
  evaluate(graph_, text, scope_, nullptr, reading_.expansion, scratch_);
  if (reading_.expansion.exhausted()) return too_large(text.place());
  return graph_.arena.keep(scratch_);
}

Result<NodeId> Parser::node(Text path, const EdgeRecord* edge) {
  if (path.plain) return graph_.intern(path.raw, true);
  scratch_.clear();
  evaluate(graph_, path, scope_, edge, reading_.expansion, scratch_);
  if (reading_.expansion.exhausted()) return too_large(path.place());
  if (scratch_.empty()) return no("empty path", path.place());
  return graph_.intern(scratch_, false);
}

Result<std::string> Parser::edge_value(const EdgeRecord& edge, std::string_view name, bool quote,
                                       const char* place) {
  std::string value;
  evaluate_variable(graph_, edge, name, quote, reading_.expansion, value);
  if (reading_.expansion.exhausted()) return too_large(place);
  return value;
}

std::unexpected<Error> Parser::too_large(const char* place) const {
  const Error error = lexer_.error("the variables expand to more than 1 GiB", place);
  return fail(ErrorKind::refused, error.what);
}

}  // namespace sb::ninja
