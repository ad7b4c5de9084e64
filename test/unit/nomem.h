/* Memory that runs out: malloc and its kin, replaced by ones of which a call fails as a test says, and that count what
 * was taken and not given back. The sanitizers replace them themselves: in their builds NOMEM is 0, and nothing fails.
 * Included by one file of a program. */
#ifndef TEST_NOMEM_H
#define TEST_NOMEM_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NOMEM 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NOMEM 0
#endif
#endif
#ifndef NOMEM
#define NOMEM 1
#endif

static struct {
    bool counting; /* calls are counted, and may fail */
    long left;     /* that still succeed before one fails; negative: all do */
    long live;     /* blocks taken and not given back */
} nomem = {.left = -1};

#if NOMEM
#define NOMEM_SHOWN __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);

static bool nomem_fails(void)
{
    return nomem.counting && nomem.left >= 0 && nomem.left-- == 0;
}

static void *nomem_taken(void *ptr)
{
    nomem.live += nomem.counting && ptr != NULL;
    return ptr;
}

NOMEM_SHOWN void *malloc(size_t size)
{
    return nomem_fails() ? NULL : nomem_taken(__libc_malloc(size));
}

NOMEM_SHOWN void *calloc(size_t count, size_t size)
{
    return nomem_fails() ? NULL : nomem_taken(__libc_calloc(count, size));
}

NOMEM_SHOWN void *realloc(void *ptr, size_t size)
{
    if (nomem_fails())
        return NULL;
    return ptr == NULL ? nomem_taken(__libc_realloc(ptr, size)) : __libc_realloc(ptr, size);
}

NOMEM_SHOWN void *aligned_alloc(size_t align, size_t size)
{
    return nomem_fails() ? NULL : nomem_taken(__libc_memalign(align, size));
}

NOMEM_SHOWN void free(void *ptr)
{
    nomem.live -= nomem.counting && ptr != NULL;
    __libc_free(ptr);
}
#endif

#endif
