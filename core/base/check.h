/* Assertions that stay on in release builds, and small compile-time helpers.
 *
 * CHECK() is for faults of our own: what the world can cause is an error code (err.h). A failed CHECK ends the process
 * at once; the journal's recovery is what makes that safe. */
#ifndef HG_BASE_CHECK_H
#define HG_BASE_CHECK_H

#include <stddef.h>

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Long-lived structs begin with a magic number, compared whenever a `void *` is cast back. */
#define CHECK_MAGIC(object, number) CHECK((object) != NULL && (object)->magic == (number))

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define COUNT_OF(array)   (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
