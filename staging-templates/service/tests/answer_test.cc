// What is answered to which request.
#include "answer.h"

#include <iostream>

namespace {

int failures = 0;

void expect(std::string_view method, std::string_view path, int status, std::string_view body) {
  const Answer found = answer(method, path, "hi");
  if (found.status == status && found.body == body) return;
  std::cerr << method << " " << path << ": expected " << status << " " << body << "found " << found.status
            << " " << found.body;
  ++failures;
}

}  // namespace

int main() {
  expect("GET", "/", 200, "hi\n");
  expect("GET", "/health", 200, "ok\n");
  expect("GET", "/nowhere", 404, "nothing here\n");
  expect("POST", "/", 405, "only GET\n");
  return failures == 0 ? 0 : 1;
}
