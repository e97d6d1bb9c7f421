#include "answer.h"

Answer answer(std::string_view method, std::string_view path, std::string_view greeting) {
  if (method != "GET") return {405, "only GET\n"};
  if (path == "/") return {200, std::string(greeting) + "\n"};
  // Health is about this process alone: a check that asks a database restarts every service when the database
  // is slow.
  if (path == "/health") return {200, "ok\n"};
  return {404, "nothing here\n"};
}
