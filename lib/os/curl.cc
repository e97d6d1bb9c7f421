#include "os/curl.h"

#include <string>
#include <type_traits>

#include <dlfcn.h>
#include <fmt/format.h>

namespace sb::os {
namespace {

constexpr const char* kLibrary = "libcurl.so.4";  // every libcurl since 2006

struct Loaded {
  Curl functions{};
  std::string missing;  // empty: all is there
};

Loaded load() {
  Loaded loaded;
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one for each thread
    loaded.missing = why != nullptr ? why : kLibrary;
    return loaded;
  }
  const auto take = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) loaded.missing = fmt::format("{} has no {}", kLibrary, name);
  };
  Curl& curl = loaded.functions;
  take(curl.global_init, "curl_global_init");
  take(curl.easy_init, "curl_easy_init");
  take(curl.easy_cleanup, "curl_easy_cleanup");
  take(curl.easy_reset, "curl_easy_reset");
  take(curl.easy_setopt, "curl_easy_setopt");
  take(curl.easy_getinfo, "curl_easy_getinfo");
  take(curl.easy_perform, "curl_easy_perform");
  take(curl.easy_strerror, "curl_easy_strerror");
  take(curl.multi_init, "curl_multi_init");
  take(curl.multi_cleanup, "curl_multi_cleanup");
  take(curl.multi_setopt, "curl_multi_setopt");
  take(curl.multi_add_handle, "curl_multi_add_handle");
  take(curl.multi_remove_handle, "curl_multi_remove_handle");
  take(curl.multi_perform, "curl_multi_perform");
  take(curl.multi_info_read, "curl_multi_info_read");
  take(curl.multi_poll, "curl_multi_poll");
  take(curl.slist_append, "curl_slist_append");
  take(curl.slist_free_all, "curl_slist_free_all");
  take(curl.url, "curl_url");
  take(curl.url_cleanup, "curl_url_cleanup");
  take(curl.url_set, "curl_url_set");
  take(curl.url_get, "curl_url_get");
  take(curl.free, "curl_free");
  if (loaded.missing.empty()) curl.global_init(CURL_GLOBAL_DEFAULT);
  return loaded;
}

const Loaded& loaded() {
  static const Loaded kLoaded = load();
  return kLoaded;
}

}  // namespace

Status load_curl() {
  if (loaded().missing.empty()) return {};
  Error error = make_error(ErrorKind::environment, "libcurl cannot be loaded", "apt-get install libcurl4");
  error.found = loaded().missing;
  return fail(std::move(error));
}

const Curl& curl() {
  return loaded().functions;
}

}  // namespace sb::os
