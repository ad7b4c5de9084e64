/* Error codes and the detail that goes with them.
 *
 * A function that can fail returns 0 or a code of this list, and must be checked. Detail for a person goes into a
 * `struct err` that the caller owns; NULL is allowed everywhere and means that nobody reads it. */
#ifndef HG_BASE_ERR_H
#define HG_BASE_ERR_H

#include "base/check.h"

#include <stdbool.h>

enum err_code {
    ERR_OK = 0,
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

struct err {
    int code;       /* of enum err_code */
    char text[512]; /* one sentence, no newline; may be cut */
};

/* Fill `e` (may be NULL) and return `code`, so that `return err_set(e, ERR_IO, …)` is the idiom. */
int err_set(struct err *e, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same, from errno: picks the code, appends strerror. `what` names the operation and the object. */
int err_errno(struct err *e, int number, const char *format, ...) PRINTF_LIKE(3, 4);

/* The code for an errno value: ENOSPC and EDQUOT are ERR_FULL, ENOMEM is ERR_NOMEM, and so on. */
int err_from_errno(int number);

/* The clang analyzer looks at one file at a time: here it learns that what these return is never ERR_OK. */
#if defined(__clang_analyzer__) && !defined(ERR_FUNCTIONS)
static inline int err_certain(int code)
{
    if (code == ERR_OK)
        __builtin_unreachable();
    return code;
}
#define err_set(...)           err_certain(err_set(__VA_ARGS__))
#define err_errno(...)         err_certain(err_errno(__VA_ARGS__))
#define err_from_errno(number) err_certain(err_from_errno(number))
#endif

/* Whether the same may go well in a moment without anybody mending anything here: memory, descriptors or room were
 * short, a read failed. */
bool err_passes(int code);

/* The fixed text of a code. */
const char *err_text(int code);

#endif
