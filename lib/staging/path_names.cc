#include "staging/path_names.h"

#include <algorithm>

#include <fmt/format.h>

namespace sb::staging {
namespace {

bool between(char32_t point, char32_t low, char32_t high) {
  return low <= point && point <= high;
}

// What HFS+ leaves out when it compares names.
bool is_ignored_by_hfs(char32_t point) {
  return between(point, 0x200C, 0x200F) || between(point, 0x202A, 0x202E) || between(point, 0x206A, 0x206F) ||
         point == 0xFEFF;
}

char32_t lower(char32_t point) {
  if (between(point, 'A', 'Z')) return point + 32;
  if (between(point, 0xC0, 0xDE) && point != 0xD7) return point + 32;  // Latin-1
  if (point == 0x130) return 'i';                                      // dotted capital I
  if (point == 0x178) return 0xFF;
  if (point == 0x17F) return 's';  // long s
  if (between(point, 0x139, 0x148) || between(point, 0x179, 0x17E)) return point % 2 == 1 ? point + 1 : point;
  if (between(point, 0x100, 0x177)) return point % 2 == 0 ? point + 1 : point;  // Latin Extended-A
  if (between(point, 0x391, 0x3A9)) return point + 32;                          // Greek
  if (point == 0x3C2) return 0x3C3;                                             // final sigma
  if (between(point, 0x410, 0x42F)) return point + 32;                          // Cyrillic
  if (between(point, 0x400, 0x40F)) return point + 80;
  if (between(point, 0x531, 0x556)) return point + 48;  // Armenian
  if (between(point, 0x1E00, 0x1E95) || between(point, 0x1EA0, 0x1EFF))
    return point % 2 == 0 ? point + 1 : point;
  if (point == 0x212A) return 'k';                        // Kelvin
  if (point == 0x212B) return 0xE5;                       // Angstrom
  if (between(point, 0xFF21, 0xFF3A)) return point + 32;  // full width
  return point;
}

void append_utf8(std::string& out, char32_t point) {
  const auto byte = [&out](char32_t bits) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(bits)));
  };
  if (point < 0x80) {
    byte(point);
  } else if (point < 0x800) {
    byte(0xC0U | (point >> 6U));
    byte(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    byte(0xE0U | (point >> 12U));
    byte(0x80U | ((point >> 6U) & 0x3FU));
    byte(0x80U | (point & 0x3FU));
  } else {
    byte(0xF0U | (point >> 18U));
    byte(0x80U | ((point >> 12U) & 0x3FU));
    byte(0x80U | ((point >> 6U) & 0x3FU));
    byte(0x80U | (point & 0x3FU));
  }
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string as_hfs_reads(std::string_view component) {
  const auto points = decode_utf8(component);
  if (!points) return ascii_lower(component);
  std::string out;
  for (const char32_t point : *points) {
    if (!is_ignored_by_hfs(point)) append_utf8(out, lower(point));
  }
  return out;
}

std::string as_ntfs_reads(std::string_view component) {
  component = component.substr(0, component.find(':'));
  while (component.ends_with('.') || component.ends_with(' ')) component.remove_suffix(1);
  return ascii_lower(component);
}

bool is_short_name(std::string_view name, std::string_view stem, char last) {
  return name.size() == stem.size() + 1 && name.starts_with(stem) && name.back() >= '1' &&
         name.back() <= last;
}

template <typename Match>
bool any_piece(std::string_view component, Match matches) {
  // A name may hold a backslash here and be two folders elsewhere.
  return std::ranges::any_of(split_path(component, '\\'), [&](std::string_view piece) {
    return matches(as_hfs_reads(piece)) || matches(as_ntfs_reads(piece)) ||
           matches(as_ntfs_reads(as_hfs_reads(piece)));
  });
}

}  // namespace

std::optional<std::u32string> decode_utf8(std::string_view bytes) {
  std::u32string points;
  points.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[at]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || at + length > bytes.size()) return std::nullopt;
    char32_t point = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(bytes[at + i]);
      if ((next & 0xC0U) != 0x80) return std::nullopt;
      point = (point << 6U) | (next & 0x3FU);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    if (overlong || between(point, 0xD800, 0xDFFF) || point > 0x10FFFF) return std::nullopt;
    points.push_back(point);
    at += length;
  }
  return points;
}

bool is_git_folder(std::string_view component) {
  return any_piece(component, [](std::string_view name) { return name == ".git" || name == "git~1"; });
}

bool is_submodule_file(std::string_view component) {
  return any_piece(component, [](std::string_view name) {
    return name == ".gitmodules" || is_short_name(name, "gitmod~", '4') ||
           is_short_name(name, "gi7eba~", '9');
  });
}

bool is_control(char32_t point) {
  return point < 0x20 || between(point, 0x7F, 0x9F);
}

bool is_invisible(char32_t point) {
  return point == 0xAD || point == 0x34F || point == 0x61C || between(point, 0x115F, 0x1160) ||
         between(point, 0x17B4, 0x17B5) || between(point, 0x180B, 0x180F) || between(point, 0x200B, 0x200F) ||
         between(point, 0x2028, 0x202E) || between(point, 0x2060, 0x206F) || point == 0x3164 ||
         between(point, 0xFE00, 0xFE0F) || point == 0xFEFF || point == 0xFFA0 ||
         between(point, 0xFFF9, 0xFFFB) || between(point, 0xE0000, 0xE0FFF);
}

bool is_combining(char32_t point) {
  return between(point, 0x300, 0x36F) || between(point, 0x1100, 0x11FF) || between(point, 0x1AB0, 0x1AFF) ||
         between(point, 0x1DC0, 0x1DFF) || between(point, 0x20D0, 0x20FF) || between(point, 0x3099, 0x309A) ||
         between(point, 0xFE20, 0xFE2F);
}

std::string fold_case(std::string_view name) {
  const auto points = decode_utf8(name);
  if (!points) return ascii_lower(name);
  std::string out;
  for (const char32_t point : *points) {
    if (point == 0xDF || point == 0x1E9E) {
      out += "ss";
    } else {
      append_utf8(out, lower(point));
    }
  }
  return out;
}

std::string printable(std::string_view name) {
  const auto points = decode_utf8(name);
  std::string out;
  if (!points) {
    for (const char c : name) {
      const auto byte = static_cast<unsigned char>(c);
      out += byte >= 0x20 && byte < 0x7F ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    return out;
  }
  for (const char32_t point : *points) {
    if (is_control(point) || is_invisible(point) || is_combining(point)) {
      out += fmt::format("<U+{:04X}>", static_cast<unsigned>(point));
    } else {
      append_utf8(out, point);
    }
  }
  return out;
}

std::vector<std::string_view> split_path(std::string_view path, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = path.find(separator);
    parts.push_back(path.substr(0, end));
    if (end == std::string_view::npos) return parts;
    path.remove_prefix(end + 1);
  }
}

}  // namespace sb::staging
