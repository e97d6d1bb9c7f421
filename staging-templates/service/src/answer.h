// What @NAME@ answers: a pure function, so that it can be tested without a socket.
#pragma once

#include <string>
#include <string_view>

struct Answer {
  int status = 200;
  std::string body;
};

[[nodiscard]] Answer answer(std::string_view method, std::string_view path, std::string_view greeting);
