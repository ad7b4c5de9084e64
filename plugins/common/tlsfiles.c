#include "common/tlsfiles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *tlsfiles_fault(int tls, const char *ca, const char *cert, const char *key)
{
    if (!tls && (ca || cert || key))
        return "certificates are given, but TLS is off";
    return (cert != NULL) != (key != NULL) ? "a client certificate needs both its files" : NULL;
}

int tlsfiles_check(const char *ca, const char *cert, const char *key, char *why, size_t size)
{
    const char *const files[] = {ca, cert, key};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!files[i] || access(files[i], R_OK) == 0)
            continue;
        snprintf(why, size, "%.300s cannot be read: %s", files[i], strerror(errno));
        return -1;
    }
    return 0;
}
