/* Names of clients. A name stands in keys, tokens, certificates, settings and in the journal's records; what it may
 * look like, and how a list of them is read, is said here once. */
#include "base/client.h"

#include <string.h>

bool client_valid(struct slice name)
{
    static const char others[] = "._@-";
    if (name.len == 0 || name.len > CLIENT_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && memchr(others, c, sizeof others - 1) == NULL)
            return false;
    }
    return true;
}

bool client_listed(const char *list, struct slice name)
{
    static const char between[] = ", ";
    bool any = false;
    for (const char *at = list + strspn(list, between); *at != '\0'; at += strspn(at, between)) {
        size_t len = strcspn(at, between);
        if (slice_eq(slice_make(at, len), name))
            return true;
        any = true;
        at += len;
    }
    return !any;
}
