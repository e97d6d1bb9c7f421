// Counts in a folder of its own; every process is played by opening the state anew.
#include "visits.h"

#include <unistd.h>

static void expect(int good, const char* what) {
  if (good) return;
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

static unsigned long visit(const char* folder) {
  selfbuild_state state;
  unsigned long number = 0;
  expect(visits_open(&state, folder) == SQLITE_OK, "opening the state");
  expect(visits_count(&state, &number) == SQLITE_OK, "counting");
  selfbuild_state_close(&state);
  return number;
}

int main(void) {
  char folder[] = "/tmp/visits-test.XXXXXX";
  char file[64];
  selfbuild_state newer;
  expect(mkdtemp(folder) != NULL, "a folder in /tmp");

  expect(visit(folder) == 1, "the first visitor");
  expect(visit(folder) == 2, "the next process goes on");

  expect(selfbuild_state_open(&newer, folder, VISITS_FORMAT + 1, 100) == SQLITE_OK,
         "a newer version opens it");
  expect(selfbuild_state_save(&newer, "visits", "two", 3) == SQLITE_OK, "and writes another format");
  selfbuild_state_close(&newer);
  expect(visit(folder) == 3, "what a newer version wrote is not ours");

  snprintf(file, sizeof file, "%s/service_state.db", folder);
  unlink(file);
  rmdir(folder);
  return 0;
}
