// Parser: fills a Graph from manifest files. Private to lib/ninja.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ninja/evaluation.h"
#include "ninja/graph.h"
#include "ninja/lexer.h"

namespace sb::ninja {

inline constexpr std::size_t kMaxManifestBytes = 1UL << 30U;
inline constexpr int kMaxNestedFiles = 64;

// What the files of one manifest share while they are read.
struct Reading {
  Graph& graph;
  std::filesystem::path folder;  // relative names of files start here
  Budget text{kMaxManifestBytes};
  Budget expansion{kMaxManifestBytes};
  std::set<std::string, std::less<>> pools{"", "console"};
  std::set<std::string, std::less<>> files{};
};

// One file. The errors are those of Manifest::load.
class Parser {
 public:
  [[nodiscard]] static Status parse(Reading& reading, const std::string& file, std::uint32_t scope,
                                    int depth);

 private:
  Parser(Reading& reading, Lexer lexer, std::uint32_t scope, int depth)
      : reading_(reading), graph_(reading.graph), lexer_(lexer), scope_(scope), depth_(depth) {}

  [[nodiscard]] Status statements();
  [[nodiscard]] Status variable();
  [[nodiscard]] Status pool();
  [[nodiscard]] Status rule();
  [[nodiscard]] Status check(const Rule& rule) const;
  [[nodiscard]] Status defaults();
  [[nodiscard]] Status file(bool own_scope);
  [[nodiscard]] Status edge();
  [[nodiscard]] Status edge_paths();
  [[nodiscard]] Status edge_rule(EdgeRecord& edge);
  [[nodiscard]] Status edge_bindings(EdgeRecord& edge);
  [[nodiscard]] Status edge_pool(const EdgeRecord& edge, const char* place);
  [[nodiscard]] Status edge_nodes(EdgeRecord& edge);
  [[nodiscard]] Status edge_dyndep(const EdgeRecord& edge, const char* place);
  void drop_own_output(EdgeRecord& edge);

  [[nodiscard]] Status expect(Token token);
  [[nodiscard]] Status paths_into(EdgeRecord::Group group);
  struct Binding {
    std::string_view name;
    Text value;
  };
  [[nodiscard]] Result<Binding> binding();
  // The value in this file's scope, as a view that lives as long as the graph.
  [[nodiscard]] Result<std::string_view> kept_value(Text text);
  [[nodiscard]] Result<NodeId> node(Text path, const EdgeRecord* edge);
  [[nodiscard]] Result<std::string> edge_value(const EdgeRecord& edge, std::string_view name, bool quote,
                                               const char* place);

  [[nodiscard]] std::unexpected<Error> no(std::string_view words) const { return fail(lexer_.error(words)); }
  [[nodiscard]] std::unexpected<Error> no(std::string_view words, const char* place) const {
    return fail(lexer_.error(words, place));
  }
  [[nodiscard]] std::unexpected<Error> too_large(const char* place) const;

  Reading& reading_;
  Graph& graph_;
  Lexer lexer_;
  std::uint32_t scope_;
  int depth_;
  // Of the edge being read; members so that their memory is used again.
  std::array<std::vector<Text>, 6> paths_;
  std::string scratch_;
};

}  // namespace sb::ninja
