#include "cache/facts_memo.h"

#include <unordered_map>

#include "cache/wire.h"

namespace sb::cache {
namespace {

constexpr std::size_t kKeyBytes = 16;
// What an edge is, in one number.
constexpr std::uint64_t kDiscovers = 1;
constexpr std::uint64_t kDepsInLog = 2;
constexpr std::uint64_t kOnlyLinks = 4;
constexpr std::uint64_t kWritesOnlyOutputs = 8;

// First the paths, then everything else, which names them by their position.
class Writer {
 public:
  explicit Writer(const FileTable& files) : files_(files) {}

  std::string write(const FactsMemo& memo) {
    put_number(body_, memo.asked.files.size());
    for (const auto& [file, type] : memo.asked.files) {
      put_file(file);
      put_number(body_, static_cast<std::uint64_t>(type));
    }
    put_number(body_, memo.asked.programs.size());
    for (const Asked::Program& program : memo.asked.programs) {
      put_text(body_, program.name);
      put_texts(program.flags);
      put_text(body_, program.path);
      put_key(program.identity);
    }
    put_key(memo.asked.processor);
    put_number(body_, memo.searches.size());
    for (const FactsMemo::Search& search : memo.searches) {
      put_texts(search.folders);
      put_number(body_, search.anywhere ? 1 : 0);
    }
    put_number(body_, memo.facts.size());
    for (const EdgeFacts& facts : memo.facts) put_facts(facts);
    std::string bytes;
    put_number(bytes, count_);
    return bytes + paths_ + body_;
  }

 private:
  void put_file(FileTable::Number file) {
    const auto [known, fresh] = positions_.try_emplace(file, count_);
    if (fresh) {
      put_text(paths_, files_.path(file));
      ++count_;
    }
    put_number(body_, known->second);
  }
  void put_files(const std::vector<FileTable::Number>& files) {
    put_number(body_, files.size());
    for (const FileTable::Number file : files) put_file(file);
  }
  void put_texts(const std::vector<std::string>& texts) {
    put_number(body_, texts.size());
    for (const std::string& text : texts) put_text(body_, text);
  }
  void put_key(const std::optional<Key>& key) { put_text(body_, key ? key->bytes() : std::string()); }
  void put_facts(const EdgeFacts& facts) {
    put_text(body_, facts.refusal);
    body_ += facts.action.bytes();
    put_key(facts.portable);
    put_number(body_, facts.command_hash);
    put_number(body_, (facts.discovers ? kDiscovers : 0U) | (facts.deps_in_log ? kDepsInLog : 0U) |
                          (facts.only_links ? kOnlyLinks : 0U) |
                          (facts.writes_only_outputs ? kWritesOnlyOutputs : 0U));
    put_text(body_, facts.depfile);
    put_number(body_, facts.search);
    put_files(facts.outputs);
    put_files(facts.inputs);
  }

  const FileTable& files_;
  std::unordered_map<FileTable::Number, std::size_t> positions_;
  std::size_t count_ = 0;
  std::string paths_;
  std::string body_;
};

class Reader {
 public:
  Reader(std::string_view bytes, FileTable& files) : wire_(bytes), files_(files) {}

  std::optional<FactsMemo> read() {
    numbers_.resize(count());
    for (FileTable::Number& number : numbers_) number = files_.number(text());
    FactsMemo memo;
    memo.asked.files.resize(count());
    for (auto& [file, type] : memo.asked.files) {
      file = this->file();
      type = static_cast<FileTable::Type>(
          wire_.number_up_to(static_cast<std::uint64_t>(FileTable::Type::other)));
    }
    memo.asked.programs.resize(count());
    for (Asked::Program& program : memo.asked.programs) {
      program.name = text();
      program.flags = texts();
      program.path = text();
      program.identity = key();
    }
    memo.asked.processor = key();
    memo.searches.resize(count());
    for (FactsMemo::Search& search : memo.searches) {
      search.folders = texts();
      search.anywhere = wire_.number() != 0;
    }
    memo.facts.resize(count());
    for (EdgeFacts& facts : memo.facts) read_facts(facts, memo.searches.size());
    if (!wire_.ok() || !wire_.at_end()) return std::nullopt;
    return memo;
  }

 private:
  // Of things that take at least a byte each.
  std::size_t count() { return wire_.number_up_to(wire_.left()); }
  std::string_view text() { return wire_.text(wire_.number()); }
  std::vector<std::string> texts() {
    std::vector<std::string> texts(count());
    for (std::string& each : texts) each = text();
    return texts;
  }
  std::optional<Key> key() {
    const std::string_view bytes = text();
    return bytes.size() == kKeyBytes ? std::optional(Key::from_bytes(bytes)) : std::nullopt;
  }
  FileTable::Number file() {
    const std::uint64_t position = wire_.number_up_to(numbers_.empty() ? 0 : numbers_.size() - 1);
    return numbers_.empty() ? 0 : numbers_[position];
  }
  std::vector<FileTable::Number> files() {
    std::vector<FileTable::Number> files(count());
    for (FileTable::Number& each : files) each = file();
    return files;
  }
  void read_facts(EdgeFacts& facts, std::size_t searches) {
    facts.refusal = text();
    facts.action = Key::from_bytes(wire_.text(kKeyBytes));
    facts.portable = key();
    facts.command_hash = wire_.number();
    const std::uint64_t flags = wire_.number();
    facts.discovers = (flags & kDiscovers) != 0;
    facts.deps_in_log = (flags & kDepsInLog) != 0;
    facts.only_links = (flags & kOnlyLinks) != 0;
    facts.writes_only_outputs = (flags & kWritesOnlyOutputs) != 0;
    facts.depfile = text();
    facts.search = wire_.number_up_to(searches == 0 ? 0 : searches - 1);
    facts.outputs = files();
    facts.inputs = files();
  }

  WireReader wire_;
  FileTable& files_;
  std::vector<FileTable::Number> numbers_;
};

}  // namespace

std::string to_bytes(const FactsMemo& memo, const FileTable& files) {
  return Writer(files).write(memo);
}

std::optional<FactsMemo> facts_memo_from(std::string_view bytes, FileTable& files) {
  return Reader(bytes, files).read();
}

}  // namespace sb::cache
