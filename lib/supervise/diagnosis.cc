#include "supervise/diagnosis.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace sb::supervise {
namespace {

// Safe between tags and in quoted attributes. Control characters, which no page may hold, become "?".
std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '"') {
      result += "&quot;";
    } else if (c == '\'') {
      result += "&#39;";
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      result += '?';
    } else {
      result += c;
    }
  }
  return result;
}

std::string name_of(const Diagnosis& diagnosis) {
  if (diagnosis.version == 0) return diagnosis.service;
  return fmt::format("{} v{}", diagnosis.service, diagnosis.version);
}

std::string row(std::string_view label, std::string_view value) {
  if (value.empty()) return {};
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", label, escaped(value));
}

// The newest known good one before that which cannot be started, if the conductor can start it as it is.
const KnownVersion* way_back(const Diagnosis& diagnosis) {
  const KnownVersion* found = nullptr;
  for (const KnownVersion& one : diagnosis.versions) {
    const bool good = one.state == "known_good" && one.number < diagnosis.version && one.is_laid_out;
    if (good && (found == nullptr || one.number > found->number)) found = &one;
  }
  return found;
}

std::string buttons_of(const Diagnosis& diagnosis) {
  std::string html = fmt::format(
      "<form method=\"post\" action=\"{}\">\n<p><label>The code in {}<br>"
      "<input type=\"password\" name=\"code\" size=\"20\" autocomplete=\"off\" required></label></p>\n"
      "<p><button name=\"act\" value=\"restart\">Start it again now</button>\n",
      kActPath, escaped(diagnosis.code_file));
  if (const KnownVersion* back = way_back(diagnosis)) {
    html += fmt::format("<button name=\"act\" value=\"rollback {0}\">Put v{0} back into service</button>\n",
                        back->number);
  }
  return html + "</p></form>\n";
}

std::string details_of(const Diagnosis& diagnosis, bool buttons) {
  std::vector<std::string> versions;
  versions.reserve(diagnosis.versions.size());
  for (const KnownVersion& one : diagnosis.versions) {
    versions.push_back(fmt::format("v{} {}", one.number, one.state));
  }
  std::string html = "<table>\n";
  html += row("Why", diagnosis.trouble);
  html += row("Last end", diagnosis.last_exit);
  html += row("Starts", fmt::format("{} by itself, without success", diagnosis.restarts));
  html += row("Next start", diagnosis.next_start_ms == 0 ? "now" : iso_time(diagnosis.next_start_ms));
  html += row("Project", diagnosis.project);
  html += row("Versions", join(versions, ", "));
  html += "</table>\n";
  html += fmt::format("<h2>What helps</h2>\n<pre>{}</pre>\n", escaped(diagnosis.remedy));
  if (buttons) html += buttons_of(diagnosis);
  if (!diagnosis.output.empty()) {
    html += fmt::format("<h2>What it printed last</h2>\n<pre>{}</pre>\n", escaped(diagnosis.output));
  }
  return html;
}

}  // namespace

std::string remedy_for(const Diagnosis& diagnosis) {
  if (diagnosis.project.empty()) return "selfbuild status";
  const auto good = std::ranges::find_if(diagnosis.versions, [&](const KnownVersion& one) {
    return one.state == "known_good" && one.number != diagnosis.version;
  });
  if (good != diagnosis.versions.end()) {
    return fmt::format("selfbuild rollback v{} --project {}", good->number, diagnosis.project);
  }
  return "selfbuild update    # in the folder of " + diagnosis.project;
}

Answer as_page(const Diagnosis& diagnosis, bool details, bool buttons) {
  const std::string title =
      details ? escaped(name_of(diagnosis)) + " cannot be started" : "This service is not available";
  constexpr std::string_view kStyle =
      "body{font:16px/1.5 sans-serif;max-width:60em;margin:3em auto;padding:0 1em;color:#222;background:#fff}"
      "th{text-align:left;vertical-align:top;padding-right:2em}"
      "pre{background:#f3f3f3;padding:1em;overflow:auto}"
      "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#282828}}";
  return {.content_type = "text/html; charset=utf-8",
          .body = fmt::format(
              "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
              "<style>{1}</style></head><body>\n<h1>{0}</h1>\n"
              "<p>The conductor answers for it, and goes on trying to start it.</p>\n"
              "{2}</body></html>\n",
              title, kStyle, details ? details_of(diagnosis, buttons) : "")};
}

Answer as_json(const Diagnosis& diagnosis, bool details) {
  Json body{{"error", "service unavailable"}, {"safe_mode", true}};
  if (details) {
    Json versions = Json::array();
    for (const KnownVersion& one : diagnosis.versions) {
      versions.push_back({{"version", one.number}, {"state", one.state}});
    }
    body["service"] = diagnosis.service;
    body["project"] = diagnosis.project;
    body["version"] = diagnosis.version;
    body["trouble"] = diagnosis.trouble;
    body["last_exit"] = diagnosis.last_exit;
    body["restarts"] = diagnosis.restarts;
    body["next_start_ms"] = diagnosis.next_start_ms;
    body["output"] = diagnosis.output;
    body["versions"] = std::move(versions);
    body["next"] = diagnosis.remedy;
  }
  return {.content_type = "application/json", .body = dump_json(body) + "\n"};
}

}  // namespace sb::supervise
