// How many visitors there were, kept from process to process.
#ifndef VISITS_H
#define VISITS_H

#include "selfbuild/service_state.h"

// Of what is kept: 1 is the number as text. To change with it, see selfbuild/service_state.h.
enum { VISITS_FORMAT = 1 };

// Opens where the number is kept: `folder`, or NULL for the conductor's. SQLite's result codes.
int visits_open(selfbuild_state* state, const char* folder);
// Counts one more and says which number it has; it is on disk when this returns. By one process at a time:
// selfbuild.yaml says `swap: drain-first`. SQLITE_MISMATCH: what is kept is no number.
int visits_count(selfbuild_state* state, unsigned long* number);

#endif
