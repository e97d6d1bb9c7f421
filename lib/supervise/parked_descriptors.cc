#include "supervise/parked_descriptors.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

namespace sb::supervise {
namespace {

bool same_file(int one, int other) {
  struct stat first{};
  struct stat second{};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

std::string parked_name(const std::string& wanted) {
  constexpr std::size_t kLongest = 255;
  const auto good = [](char c) { return c > ' ' && c < '\x7f' && c != ':'; };
  return !wanted.empty() && wanted.size() <= kLongest && std::ranges::all_of(wanted, good) ? wanted
                                                                                           : "stored";
}

std::string ParkedDescriptors::vault_name(std::int64_t number) const {
  return fmt::format("{}/parked/{}", service_, number);
}

void ParkedDescriptors::recover(const std::vector<ParkedRow>& rows) {
  for (const ParkedRow& row : rows) {
    Entry entry{.number = row.number, .name = row.name, .fd = around_.vault.take(vault_name(row.number))};
    next_ = std::max(next_, row.number + 1);
    if (!entry.fd) {
      around_.log(fmt::format("{}: the descriptor \"{}\" that it had parked is lost", service_, row.name));
      forget(entry);
      continue;
    }
    around_.vault.put(vault_name(entry.number), entry.fd.get());
    entries_.push_back(std::move(entry));
  }
}

Status ParkedDescriptors::park(const std::string& name, UniqueFd fd) {
  const bool known = std::ranges::any_of(entries_, [&](const Entry& entry) {
    return entry.name == name && same_file(entry.fd.get(), fd.get());
  });
  if (known) return {};
  if (entries_.size() >= kMost) {
    return fail(ErrorKind::conflict,
                fmt::format("the descriptor \"{}\" is not parked: {} are already", name, entries_.size()));
  }
  Entry entry{.number = next_++, .name = name, .fd = std::move(fd)};
  SB_CHECK(around_.table.put_parked({.service = service_, .number = entry.number, .name = name}));
  around_.vault.put(vault_name(entry.number), entry.fd.get());
  entries_.push_back(std::move(entry));
  return {};
}

void ParkedDescriptors::drop(const std::string& name) {
  for (const Entry& entry : entries_) {
    if (entry.name == name) forget(entry);
  }
  std::erase_if(entries_, [&](const Entry& entry) { return entry.name == name; });
}

void ParkedDescriptors::drop_all() {
  for (const Entry& entry : entries_) forget(entry);
  entries_.clear();
}

void ParkedDescriptors::forget(const Entry& entry) {
  around_.vault.drop(vault_name(entry.number));
  const Status erased = around_.table.erase_parked(service_, entry.number);
  if (!erased) around_.log(one_line(erased.error()));
}

void ParkedDescriptors::pass(std::vector<int>& fds, std::vector<std::string>& names) const {
  for (const Entry& entry : entries_) {
    fds.push_back(entry.fd.get());
    names.push_back(entry.name);
  }
}

}  // namespace sb::supervise
