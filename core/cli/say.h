/* What a person reads: errors on standard error, and text from outside made harmless for a terminal.
 *
 * Control characters (also the 8-bit ones, written in UTF-8) become '?', so no uuid, reason or file name can move the
 * cursor or colour the screen. Main thread. */
#ifndef HG_CLI_SAY_H
#define HG_CLI_SAY_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* "headgate: …" and a newline on standard error. Returns `exit`, so that `return say_error(EXIT_USAGE, …)` is the
 * idiom. */
int say_error(int exit, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same without the exit code: notes and warnings. */
void say_note(const char *format, ...) PRINTF_LIKE(1, 2);
void say_notes(const char *lines); /* one for each line */

/* `text` into `out` without control characters; cut with "~" (at a character's border) beyond `columns`. Returns the
 * columns used. */
size_t say_clean(char *out, size_t size, const char *text, size_t columns);
/* How many columns clean text takes (characters, not bytes). */
size_t say_columns(const char *text);
/* Print cleaned `text` between column `indent` and `width`, wrapped at blanks, and a newline. `begun`: the cursor
 * stands at `indent` already. */
void say_wrapped(FILE *out, int indent, int width, const char *text, bool begun);

#endif
