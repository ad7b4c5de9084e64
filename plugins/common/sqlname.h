/* Names of columns, from the keys of rows. */
#ifndef COMMON_SQLNAME_H
#define COMMON_SQLNAME_H

#include "common/strbuf.h"

enum { SQLNAME_MAX = 63 /* bytes: PostgreSQL cuts longer ones silently; the others follow */ };

/* camelCase to snake_case: `tempMax` is temp_max, `usDVDSales` us_dvd_sales, `runningTimeMin` running_time_min. ASCII
 * letters become small, all else stays. 0; or -1 when the name would be empty or longer than SQLNAME_MAX (`out` then
 * holds as much of it as fits). */
int sqlname_of(const char *key, size_t len, char out[SQLNAME_MAX + 1]);

/* Appends the name as an identifier between two `quote` ('"' or '`'); one inside is doubled. */
void sqlname_quote(struct strbuf *out, const char *name, char quote);

/* Appends a text as an SQL literal for what no parameter can stand for. `backslash`: a backslash is doubled, too. */
void sqlname_literal(struct strbuf *out, const char *text, int backslash);

#endif
