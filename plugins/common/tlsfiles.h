/* The options TLS, CA, CERT and KEY, checked as they are given together. */
#ifndef COMMON_TLSFILES_H
#define COMMON_TLSFILES_H

#include <stddef.h>

/* NULL, or what is wrong with them. `tls`: whether the connection is encrypted. */
const char *tlsfiles_fault(int tls, const char *ca, const char *cert, const char *key);
/* 0, or -1 with a sentence: one of them cannot be read (now). Any may be NULL. */
int tlsfiles_check(const char *ca, const char *cert, const char *key, char *why, size_t size);

#endif
