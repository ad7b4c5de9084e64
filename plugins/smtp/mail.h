/* One mail as bytes (RFC 5322, MIME). */
#ifndef SMTP_MAIL_H
#define SMTP_MAIL_H

#include "common/ranges.h"
#include "common/strbuf.h"
#include "headgate.h"

enum mail_form { MAIL_TEXT, MAIL_ATTACHMENT };

/* Who it is from, to whom, and what about. Addresses are checked: see mail_address_ok(). */
struct mail_head {
    const char *from;
    const char *const *to;
    size_t to_count;
    const char *subject; /* UTF-8 without control characters */
};

/* Visible ASCII with one '@' in it and something on both sides, at most 254 bytes, and nothing that a header or a
 * command could take for something else. */
int mail_address_ok(const char *address);

/* Instead of what is in `out`: the rows of the range, one a line. The same rows with the same head always give the same
 * bytes, the Message-ID too. 0, or -1: no memory. */
int mail_build(struct strbuf *out, struct strbuf *scratch, const struct mail_head *head, enum mail_form form,
               const struct hg_api *api, const struct hg_rows *rows, struct range range);

#endif
