/* The numbers of one row as they were sent, so that jq, which has doubles only, cannot lose their digits. */
#ifndef JQ_NUMBERS_H
#define JQ_NUMBERS_H

#include "common/strbuf.h"
#include "headgate.h"

#include <stddef.h>

struct number {
    double value;
    struct hg_text text; /* borrowed from the row */
};

struct numbers {
    struct number *all;
    size_t count, cap;
    int sorted, failed; /* failed: no memory */
};

void numbers_fini(struct numbers *n);
void numbers_clear(struct numbers *n);
/* Note one as it was sent; its double. */
double numbers_add(struct numbers *n, struct hg_text text);
/* Does a double hold its value, written in as few digits as it takes? */
int number_exact(struct hg_text text);

/* Append a double: as it was sent, where it was; else in as few digits as it takes. 1; 0 with a reason in `why` when it
 * is not finite, or when numbers were sent that differ and have this one double. */
int numbers_write(struct numbers *n, double value, struct strbuf *out, char *why, size_t size);

#endif
