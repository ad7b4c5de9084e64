/* Values as people write them: one grammar for the settings file, the environment, flags and plugins' options.
 * Pure; any thread. On error `e->text` is a sentence that names the accepted form. Linked into the plugin host too. */
#ifndef HG_CONF_VALUE_H
#define HG_CONF_VALUE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

int value_boolean(const char *text, bool *out, struct err *e) MUST_CHECK; /* yes/no true/false 1/0 */
int value_integer(const char *text, int64_t *out, struct err *e) MUST_CHECK;
int value_number(const char *text, double *out, struct err *e) MUST_CHECK;
int value_duration(const char *text, int64_t *ms,
                   struct err *e) MUST_CHECK; /* 200ms 10s 5m 24h 7d; bare numbers refused, but 0 */
int value_size(const char *text, int64_t *bytes, struct err *e) MUST_CHECK;  /* 64KiB 16MiB 10GiB 512B; but 0 */
int value_percent(const char *text, int *percent, struct err *e) MUST_CHECK; /* 80% */
int value_choice(const char *text, const char *choices, int *out, struct err *e) MUST_CHECK; /* "a|b|c", from 0 */
int value_url(const char *text, struct err *e) MUST_CHECK; /* http(s)://host[:port][/…] */
/* "min..max" in the notation of the type; either side may be missing. */
enum value_kind { VALUE_INTEGER, VALUE_NUMBER, VALUE_DURATION, VALUE_SIZE };
int value_within(enum value_kind kind, const char *text, const char *limits, struct err *e) MUST_CHECK;

/* As they would be written, for `headgate config`. */
void value_duration_text(int64_t ms, char out[32]);
void value_size_text(int64_t bytes, char out[32]);

/* The candidate nearest to `word` by edit distance, NULL when none is near enough to suggest. */
const char *value_nearest(const char *word, const char *const *candidates, size_t count);

#endif
