#include "visits.h"

enum { MOST_BYTES = 64 * 1024 };

int visits_open(selfbuild_state* state, const char* folder) {
  return selfbuild_state_open(state, folder, VISITS_FORMAT, MOST_BYTES);
}

int visits_count(selfbuild_state* state, unsigned long* number) {
  void* text = NULL;
  size_t size = 0;
  const int found = selfbuild_state_load(state, "visits", &text, &size, NULL);
  if (found != SQLITE_OK && found != SQLITE_NOTFOUND) return found;
  char* end = NULL;
  const unsigned long last = found == SQLITE_OK ? strtoul((const char*)text, &end, 10) : 0;
  const int is_number = end == NULL || (end != text && *end == '\0');
  free(text);
  if (!is_number) return SQLITE_MISMATCH;
  const unsigned long next = last + 1;
  char written[32];
  const int length = snprintf(written, sizeof written, "%lu", next);
  const int saved = selfbuild_state_save(state, "visits", written, (size_t)length);
  if (saved == SQLITE_OK) *number = next;
  return saved;
}
