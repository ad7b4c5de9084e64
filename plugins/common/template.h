/* Templates for names of files, objects and paths: strftime conversions of the row's received time in UTC, and values
 * of the row in braces: {uuid}, or the name of a tag, as {line}. Values are percent-encoded outside [A-Za-z0-9_-]; an
 * empty or missing one is "_". */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include "common/strbuf.h"
#include "headgate.h"

struct template;

/* NULL when the text is no template: `why` then holds one sentence, and errno is ENOMEM if that is the only reason.
 * Freed with template_free. */
struct template *template_new(const char *text, char *why, size_t why_size);
void template_free(struct template **t);

enum { TEMPLATE_UUID = 1, TEMPLATE_TAGS = 2 };
int template_values(const struct template *t); /* which values beside the time it depends on */

/* Appends the expansion; out->failed on lack of memory. */
void template_expand(const struct template *t, const struct hg_api *api, const struct hg_row *row, struct strbuf *out);

#endif
