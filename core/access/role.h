/* Roles as a set of bits. Pure; any thread. */
#ifndef HG_ACCESS_ROLE_H
#define HG_ACCESS_ROLE_H

#include "base/buf.h"
#include "base/client.h"

#include <stdbool.h>

enum role_number {
#define ROLE(id, word, text) ROLE_NUMBER_##id,
#include "access/role.def"
#undef ROLE
    ROLE_COUNT
};

enum role {
#define ROLE(id, word, text) ROLE_##id = 1 << ROLE_NUMBER_##id,
#include "access/role.def"
#undef ROLE
    ROLE_ALL = (1 << ROLE_COUNT) - 1,
};

/* The role of that name, or 0. */
unsigned role_parse(struct slice word);
/* "ingest,read" into a set; ERR_UNKNOWN with a sentence, also for no role at all. */
int roles_parse(const char *text, unsigned *out, struct err *e) MUST_CHECK;
/* The words with commas between. */
int roles_show(unsigned roles, struct buf *out) MUST_CHECK;
const char *role_word(enum role_number number);
/* With what follows from them: admin may do everything, operate may read. */
unsigned roles_with_lesser(unsigned roles);

#endif
