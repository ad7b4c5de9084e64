/* Error codes: texts from one table, detail formatted into the caller's struct. Any thread; no state. */
#define ERR_FUNCTIONS
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "headgate: internal fault at %s:%d: %s\n", file, line, what);
    abort();
}

static const char *const texts[] = {
    "no error",
#define ERR(name, text) text,
#include "base/err.def"
#undef ERR
};

const char *err_text(int code)
{
    return code >= 0 && code < ERR_COUNT ? texts[code] : "unknown error";
}

int err_from_errno(int number)
{
    switch (number) {
    case 0: return ERR_OK;
    case ENOMEM: return ERR_NOMEM;
    case ENOSPC:
    case EDQUOT: return ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    case ENOENT: return ERR_NOTFOUND;
    case EEXIST: return ERR_EXISTS;
    case EMFILE:
    case ENFILE: return ERR_FILES;
    case EWOULDBLOCK: return ERR_AGAIN;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case ECONNREFUSED: return ERR_UNREACHABLE;
    case EPIPE:
    case ECONNRESET: return ERR_CLOSED;
    default: return ERR_IO;
    }
}

bool err_passes(int code)
{
    return code == ERR_NOMEM || code == ERR_FILES || code == ERR_FULL || code == ERR_IO || code == ERR_AGAIN;
}

int err_set(struct err *e, int code, const char *format, ...)
{
    if (e != NULL) {
        va_list args;
        va_start(args, format);
        e->code = code;
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
    return code;
}

int err_errno(struct err *e, int number, const char *format, ...)
{
    int code = err_from_errno(number);
    if (e != NULL) {
        va_list args;
        va_start(args, format);
        e->code = code;
        int used = vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof e->text) {
            char why[128];
            snprintf(e->text + used, sizeof e->text - (size_t)used, ": %s", strerror_r(number, why, sizeof why));
        }
    }
    return code;
}
