#include "cache/normal_form.h"

#include <filesystem>

#include <fmt/format.h>

namespace sb::cache {
namespace {

bool begins_with(std::string_view path, std::string_view folder) {
  return path == folder || is_below(path, folder);
}

// Of a name in a path, as far as anybody writes such names without quotes.
bool is_name_character(char c) {
  return std::string_view("/ \t\n\"'`,:;=()<>|&").find(c) == std::string_view::npos;
}

}  // namespace

NormalForm::NormalForm(const Places& places) : needed_(!places.view) {
  if (!needed_) return;
  const Folder source{.here = places.source, .normal = fmt::format("{}/tree", kStagePath)};
  const Folder build{.here = places.build, .normal = fmt::format("{}/build", kStagePath)};
  folders_ = is_below(source.here, build.here) ? std::vector{source, build} : std::vector{build, source};
}

const NormalForm::Folder* NormalForm::folder_of(std::string_view path) const {
  for (const Folder& folder : folders_) {
    if (begins_with(path, folder.here)) return &folder;
  }
  return nullptr;
}

std::string NormalForm::of(std::string_view path) const {
  const Folder* folder = folder_of(path);
  if (folder == nullptr) return std::string(path);
  return folder->normal + std::string(path.substr(folder->here.size()));
}

std::string NormalForm::here(std::string_view normal) const {
  for (const Folder& folder : folders_) {
    if (begins_with(normal, folder.normal))
      return folder.here + std::string(normal.substr(folder.normal.size()));
  }
  return std::string(normal);
}

std::string NormalForm::of_text(std::string_view text) const {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const Folder* folder = nullptr;
    for (const Folder& each : folders_) {
      if (!text.substr(at).starts_with(each.here)) continue;
      const std::size_t end = at + each.here.size();
      if (end == text.size() || !is_name_character(text[end])) folder = &each;
      if (folder != nullptr) break;
    }
    if (folder == nullptr) {
      result += text[at++];
    } else {
      result += folder->normal;
      at += folder->here.size();
    }
  }
  return result;
}

bool NormalForm::is_ambiguous(std::string_view path) const {
  return needed_ && begins_with(path, kStagePath) && folder_of(path) == nullptr;
}

std::string NormalForm::relation() const {
  if (folders_.empty()) return {};
  const Folder& first = folders_.front();
  const Folder& last = folders_.back();
  return fmt::format("{} to {}: {}", first.normal, last.normal,
                     std::filesystem::path(first.here).lexically_relative(last.here).string());
}

ActionKeys& ActionKeys::add(std::string_view own, std::string_view portable) {
  own_.add(own);
  if (normal_.is_needed()) portable_.add(portable);
  return *this;
}

ActionKeys& ActionKeys::add(const Key& own, const Key& portable) {
  own_.add(own);
  if (normal_.is_needed()) portable_.add(portable);
  return *this;
}

ActionKeys& ActionKeys::add_path(std::string_view path) {
  own_.add(path);
  if (normal_.is_needed()) portable_.add(normal_.of(path));
  return *this;
}

ActionKeys& ActionKeys::add_text(std::string_view text) {
  own_.add(text);
  if (normal_.is_needed()) portable_.add(normal_.of_text(text));
  return *this;
}

ActionKeys& ActionKeys::add(std::uint64_t number) {
  own_.add(number);
  if (normal_.is_needed()) portable_.add(number);
  return *this;
}

ActionKeys& ActionKeys::add(const Key& key) {
  return add(key, key);
}

}  // namespace sb::cache
