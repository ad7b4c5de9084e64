/* One row of an option table (options.def, pusher_options.def) as data: reading its text into its typed member, and
 * showing the member as text again. Pure; inside core/conf only. */
#ifndef HG_CONF_OPT_H
#define HG_CONF_OPT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum opt_type {
    OPT_ADDRESSES,  /* const char *const *; commas between; each a listen address */
    OPT_LIST,       /* the same, any texts */
    OPT_PATHS,      /* the same, colons between */
    OPT_TEXT,       /* const char *, NULL when unset */
    OPT_FLAG,       /* bool */
    OPT_COUNT,      /* uint32_t */
    OPT_MODE,       /* uint32_t, written octal */
    OPT_SIZE,       /* uint64_t */
    OPT_DURATION,   /* int64_t milliseconds */
    OPT_SHARE,      /* uint64_t, and int percent in `also` */
    OPT_LAG,        /* uint64_t, and int64_t milliseconds in `also` */
    OPT_CHOICE,     /* an enum, in the order of `limits` */
    OPT_SWITCH,     /* the same for auto|yes|no, with the other words for yes and no */
    OPT_AUTH,       /* unsigned, bits of enum auth; commas between the words */
    OPT_DURABILITY, /* enum choice_durability, and int64_t milliseconds in `also` */
    OPT_EVERY       /* struct every */
};

struct opt {
    const char *key; /* "http.listen", "RETRY_MIN" */
    enum opt_type type;
    const char *fallback; /* as it would be written; "": none */
    const char *limits;   /* "min..max" or "a|b|c"; may be NULL */
    const char *zero;     /* the word that stands for 0; may be NULL */
    bool reloadable;
    const char *text;
    size_t offset, also; /* of the members in the struct */
};

/* "a|b|c" from a list of choices. */
#define CHOICE_TEXT(id, text) "|" text
#define CHOICE_TEXTS(name)    (&(CHOICES_##name(CHOICE_TEXT))[1])

/* `text` empty: the member becomes what unset means (0, NULL, an empty list). What was there before is freed, on
 * failure nothing changes. */
int opt_set(const struct opt *o, const char *text, void *base, struct err *e) MUST_CHECK;
/* Free what opt_set allocated. */
void opt_fini(const struct opt *o, void *base);
/* The member as it would be written, the same text for the same value however it was written. */
int opt_show(const struct opt *o, const void *base, struct buf *out) MUST_CHECK;

#endif
