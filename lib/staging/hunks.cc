#include "staging/hunks.h"

#include <algorithm>
#include <optional>
#include <ranges>

#include <fmt/format.h>

#include "staging/patch_lines.h"
#include "staging/path_names.h"
#include "staging/path_rules.h"

namespace sb::staging {
namespace {

// Enough for honest patches of any size; a file of equal lines could otherwise keep us busy for hours.
constexpr std::uint64_t kMaxComparisons = 100'000'000;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t length = end == std::string_view::npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

struct Context {
  std::size_t leading = 0;
  std::size_t trailing = 0;
};

Context context_of(const Hunk& hunk) {
  const auto is_change = [](const HunkLine& line) { return line.sign != ' '; };
  const auto first = std::ranges::find_if(hunk.lines, is_change);
  const auto backwards = std::views::reverse(hunk.lines);
  const auto last = std::ranges::find_if(backwards, is_change);
  return {.leading = static_cast<std::size_t>(first - hunk.lines.begin()),
          .trailing = static_cast<std::size_t>(last - backwards.begin())};
}

class HunkApplier {
 public:
  HunkApplier(std::string_view old, std::string_view path, std::size_t max_bytes)
      : file_(lines_of(old)), path_(path), max_bytes_(max_bytes) {}

  Status apply(const Hunk& hunk, std::size_t number) {
    std::vector<std::string_view> wanted;
    for (const HunkLine& line : hunk.lines) {
      if (line.sign != '+') wanted.push_back(line.text);
    }
    SB_TRY(const std::optional<std::size_t> place, find(hunk, wanted));
    if (!place) return does_not_apply(hunk, number, wanted);
    moved_ = static_cast<std::ptrdiff_t>(*place) - static_cast<std::ptrdiff_t>(stated_place(hunk));
    for (; done_ < *place; ++done_) out_ += file_[done_];
    for (const HunkLine& line : hunk.lines) {
      if (line.sign != '-') out_ += line.text;
    }
    done_ = *place + wanted.size();
    return check_size();
  }

  Result<std::string> finish() {
    for (; done_ < file_.size(); ++done_) out_ += file_[done_];
    SB_CHECK(check_size());
    return std::move(out_);
  }

 private:
  // Index of the first old line; a hunk that only adds names the line before it.
  static std::size_t stated_place(const Hunk& hunk) {
    if (hunk.old_count == 0) return hunk.old_start;
    return hunk.old_start == 0 ? 0 : hunk.old_start - 1;
  }

  std::size_t likely_place(const Hunk& hunk) const {
    const std::ptrdiff_t likely = static_cast<std::ptrdiff_t>(stated_place(hunk)) + moved_;
    return static_cast<std::size_t>(std::max<std::ptrdiff_t>(likely, 0));
  }

  bool matches(const std::vector<std::string_view>& wanted, std::size_t place) {
    if (place < done_ || place > file_.size() || wanted.size() > file_.size() - place) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ++comparisons_;
      if (file_[place + i] != wanted[i]) return false;
    }
    return true;
  }

  Result<std::optional<std::size_t>> find(const Hunk& hunk, const std::vector<std::string_view>& wanted) {
    const Context context = context_of(hunk);
    const std::size_t likely = likely_place(hunk);
    // Without context there is nothing to find a moved place by.
    if (context.leading == 0 && context.trailing == 0) {
      const std::size_t stated = stated_place(hunk);
      return matches(wanted, stated) ? std::optional(stated) : std::nullopt;
    }
    // git leaves context out only at the ends of the file; then the hunk belongs there.
    const bool at_begin = hunk.old_start <= 1;
    const bool at_end = context.trailing == 0;
    const auto fits = [&](std::size_t place) {
      return (!at_begin || place == 0) && (!at_end || place + wanted.size() == file_.size()) &&
             matches(wanted, place);
    };
    const std::size_t farthest = std::max(likely, file_.size() - std::min(likely, file_.size()));
    for (std::size_t away = 0; away <= farthest; ++away) {
      if (++comparisons_ > kMaxComparisons) {
        return fail(broken_rule(rule::kTooLarge, path_,
                                fmt::format("looking for hunk {} takes too long", hunk.header)));
      }
      if (fits(likely + away)) return std::optional(likely + away);
      if (away > 0 && away <= likely && fits(likely - away)) return std::optional(likely - away);
    }
    return std::optional<std::size_t>();
  }

  std::unexpected<Error> does_not_apply(const Hunk& hunk, std::size_t number,
                                        const std::vector<std::string_view>& wanted) const {
    Error error = make_error(ErrorKind::conflict, fmt::format("the patch does not apply: {}, hunk {} ({})",
                                                              printable(path_), number, hunk.header));
    const std::size_t place = likely_place(hunk);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const bool is_there = place + i < file_.size();
      if (is_there && file_[place + i] == wanted[i]) continue;
      const auto show = [](std::string_view line) { return printable(without_newline(line).substr(0, 200)); };
      error.expected = fmt::format("line {}: {}", place + i + 1, show(wanted[i]));
      error.found = is_there ? fmt::format("line {}: {}", place + i + 1, show(file_[place + i]))
                             : "the end of the file";
      break;
    }
    return fail(std::move(error));
  }

  Status check_size() const {
    if (out_.size() <= max_bytes_) return {};
    return fail(
        broken_rule(rule::kTooLarge, path_, fmt::format("the result has more than {} bytes", max_bytes_)));
  }

  std::vector<std::string_view> file_;
  std::string_view path_;
  std::size_t max_bytes_;
  std::string out_;
  std::size_t done_ = 0;      // lines of the old file that are in out_, or replaced
  std::ptrdiff_t moved_ = 0;  // how far the last hunk was from where it says
  std::uint64_t comparisons_ = 0;
};

}  // namespace

Result<std::string> apply_hunks(const std::vector<Hunk>& hunks, std::string_view old, std::string_view path,
                                std::size_t max_bytes) {
  HunkApplier applier(old, path, max_bytes);
  std::size_t number = 0;
  for (const Hunk& hunk : hunks) SB_CHECK(applier.apply(hunk, ++number));
  return applier.finish();
}

}  // namespace sb::staging
