/* The words of a far end, made fit to be a row's reason. */
#ifndef COMMON_REASON_H
#define COMMON_REASON_H

#include <stddef.h>

/* Copies `text` (NULL is "") as one line: breaks and other control characters become spaces, runs of space one, none at
 * the ends. What does not fit is cut between characters of UTF-8. Returns the length. */
size_t reason_line(char *out, size_t size, const char *text);

#endif
