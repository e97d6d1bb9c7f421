// Builds the text of patches, honest and hostile, for the tests.
#pragma once

#include <string>
#include <string_view>

#include <zlib.h>

namespace sb::staging::tests {

inline std::string diff_header(std::string_view old_name, std::string_view new_name) {
  return "diff --git a/" + std::string(old_name) + " b/" + std::string(new_name) + "\n";
}

// One line, with or without the final newline.
inline std::string add(std::string_view path, std::string_view text = "x", std::string_view mode = "100644",
                       bool final_newline = true) {
  return diff_header(path, path) + "new file mode " + std::string(mode) + "\n--- /dev/null\n+++ b/" +
         std::string(path) + "\n@@ -0,0 +1 @@\n+" + std::string(text) + "\n" +
         (final_newline ? "" : "\\ No newline at end of file\n");
}
inline std::string add_symlink(std::string_view path, std::string_view target) {
  return add(path, target, "120000", false);
}
inline std::string remove(std::string_view path, std::string_view text, std::string_view mode = "100644",
                          bool final_newline = true) {
  return diff_header(path, path) + "deleted file mode " + std::string(mode) + "\n--- a/" + std::string(path) +
         "\n+++ /dev/null\n@@ -1 +0,0 @@\n-" + std::string(text) + "\n" +
         (final_newline ? "" : "\\ No newline at end of file\n");
}

inline std::string deflated(std::string_view bytes) {
  std::string out(compressBound(static_cast<uLong>(bytes.size())), '\0');
  auto size = static_cast<uLongf>(out.size());
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
           static_cast<uLong>(bytes.size()));
  out.resize(size);
  return out;
}

inline std::string base85(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  std::string out;
  for (; !bytes.empty(); bytes.remove_prefix(bytes.size() < 52 ? bytes.size() : 52)) {
    const std::string_view line = bytes.substr(0, 52);
    out.push_back(static_cast<char>(line.size() <= 26 ? 'A' + line.size() - 1 : 'a' + line.size() - 27));
    for (std::size_t at = 0; at < line.size(); at += 4) {
      unsigned long group = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        group = group * 256 + (at + i < line.size() ? static_cast<unsigned char>(line[at + i]) : 0U);
      }
      std::string digits(5, '0');
      for (std::size_t i = 5; i-- > 0; group /= 85) digits[i] = kAlphabet[group % 85];
      out += digits;
    }
    out += "\n";
  }
  return out + "\n";
}

// kind "literal" or "delta"; the size is what the patch says, the bytes what it really holds.
inline std::string binary(std::string_view path, std::string_view kind, std::size_t says,
                          std::string_view bytes, bool is_new = true) {
  return diff_header(path, path) + (is_new ? "new file mode 100644\n" : "") + "GIT binary patch\n" +
         std::string(kind) + " " + std::to_string(says) + "\n" + base85(deflated(bytes));
}

}  // namespace sb::staging::tests
