#include "cache/depfile.h"

#include <unordered_set>

namespace sb::cache {
namespace {

class DepfileReader {
 public:
  explicit DepfileReader(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> read() {
    while (at_ < text_.size()) character();
    end_word();
    if (!saw_colon_ && !text_.empty()) return fail(ErrorKind::corrupt, "a depfile without a target");
    return std::move(found_);
  }

 private:
  void character() {
    const char c = text_[at_];
    const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (c == '\\' && (next == '\n' || next == '\r')) {
      end_word();
      at_ += next == '\r' && at_ + 2 < text_.size() && text_[at_ + 2] == '\n' ? 3 : 2;
    } else if (c == '\\' && (next == ' ' || next == '#' || next == '\\' || next == ':')) {
      // Before anything else a backslash is itself (Windows paths).
      word_ += next;
      at_ += 2;
    } else if (c == '$' && next == '$') {
      word_ += '$';
      at_ += 2;
    } else if (c == '\n' || c == '\r') {
      end_word();
      in_prerequisites_ = false;
      ++at_;
    } else if (c == ' ' || c == '\t') {
      end_word();
      ++at_;
    } else if (c == ':' && !in_prerequisites_ &&
               (next == '\0' || next == ' ' || next == '\t' || next == '\n' || next == '\\' ||
                next == '\r')) {
      word_.clear();
      saw_colon_ = in_prerequisites_ = true;
      ++at_;
    } else {
      word_ += c;
      ++at_;
    }
  }

  void end_word() {
    if (in_prerequisites_ && !word_.empty() && seen_.insert(word_).second) found_.push_back(word_);
    word_.clear();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string word_;
  bool in_prerequisites_ = false;
  bool saw_colon_ = false;
  std::unordered_set<std::string> seen_;
  std::vector<std::string> found_;
};

}  // namespace

Result<std::vector<std::string>> parse_depfile(std::string_view text) {
  return DepfileReader(text).read();
}

}  // namespace sb::cache
