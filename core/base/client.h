/* Names of clients: whose row sets are whose. Pure; any thread. */
#ifndef HG_BASE_CLIENT_H
#define HG_BASE_CLIENT_H

#include "base/slice.h"

#include <stdbool.h>

enum { CLIENT_MAX = 64 }; /* bytes */

/* 1 to CLIENT_MAX of letters, digits and ._@- */
bool client_valid(struct slice name);
/* Does `list` (names with commas between, blanks do not matter) name it? An empty list names everybody, also "". */
bool client_listed(const char *list, struct slice name);

#endif
