/* A scan in progress. Internal to rows.
 *
 * Scanning functions take the position and return the next one, or NULL when the scan has stopped: then scan->stop, or
 * scan->nomem, says why. Open objects and arrays are frames on a stack of their own; together they name the place a
 * fault is at. */
#ifndef HG_ROWS_STATE_H
#define HG_ROWS_STATE_H

#include "rows/arena.h"
#include "rows/fault.h"
#include "rows/keys.h"
#include "rows/number.h"
#include "rows/shape.h"
#include "rows/text.h"

enum {
    FRAMES_FIXED = 4,          /* document, rows, row, data */
    IGNORED_TOTAL_MAX = 65536, /* named in the answers to one request */
    POINTER_KEY_MAX = 256,     /* bytes of a longer key that a pointer shows */
};

/* An open object or array, and which of its members is being read. */
struct frame {
    const uint8_t *key; /* as written, without quotes; NULL: none yet, or an array */
    uint32_t key_len;
    uint32_t number; /* of the element, in an array */
    bool object;
    struct key_set keys;
};

/* A valid document, with places instead of pointers while arrays may still move. */
struct found_set {
    struct slice document, uuid;
    uint32_t span, tag, ignored; /* the first one of each */
};

struct scan {
    uint32_t magic;
    int stop;   /* ERR_SYNTAX: this document has ended, ERR_LIMIT: the body */
    bool nomem; /* the whole scan counts for nothing */
    struct scan_rules rules;
    const uint8_t *body, *document, *end; /* end: of the document's text (NDJSON: of its line) */

    struct frame *frames;
    struct grown framed; /* count: open ones */
    uint64_t *deep;      /* a bit for each bracket beyond max_depth: 1 object */
    struct grown deepened;
    struct keys keys;
    struct shape shape;
    struct arena arena;

    struct fault faults[FAULTS_MAX];
    uint64_t fault_total;
    uint32_t fault_count;
    bool stopped_once; /* a syntax or limit fault is among them */

    struct row_span *spans;
    struct grown spanned;
    uint32_t rows; /* of the request, also such with faults */
    struct tag *tags;
    struct grown tagged;
    struct slice *ignored;
    struct grown ignoring;
    struct found_set *found;
    struct grown founded;
    struct row_set *sets;
    struct grown setted;
    struct slice uuid; /* of the first document that has one */
};

/* NULL, with the scan stopped. */
const uint8_t *scan_nomem(struct scan *s);
const uint8_t *scan_misread(struct scan *s, const struct misread *bad);
/* The same for a token that is not there: the text may just have ended. */
const uint8_t *scan_expected(struct scan *s, enum fault_id id, const uint8_t *p);

/* The text of a string after unescaping: its own bytes, or a copy in the arena. ptr NULL: no memory, stopped. */
struct slice scan_plain(struct scan *s, const struct text *text);

/* The place that the open frames name, as a JSON pointer in the arena. ptr NULL: out of memory. */
struct slice scan_pointer(struct scan *s);

static inline struct frame *frame_top(struct scan *s)
{
    return &s->frames[s->framed.count - 1];
}

/* NULL: out of memory, stopped. Pointers to frames are void after this. */
static inline struct frame *frame_push(struct scan *s, bool object)
{
    if (grown_reserve(&s->framed, (void **)&s->frames, sizeof(*s->frames), (size_t)s->framed.count + 1) != ERR_OK) {
        scan_nomem(s);
        return NULL;
    }
    struct frame *frame = &s->frames[s->framed.count++];
    *frame = (struct frame){.object = object};
    key_set_open(&s->keys, &frame->keys);
    return frame;
}

static inline void frame_pop(struct scan *s)
{
    key_set_close(&s->keys, &frame_top(s)->keys);
    s->framed.count--;
}

/* Any value, for JSON's and I-JSON's rules only (nest.c). p is at its first byte. */
const uint8_t *value_scan(struct scan *s, const uint8_t *p);
/* An object or array in full, without recursion. p is at its bracket. */
const uint8_t *nest_scan(struct scan *s, const uint8_t *p);
/* A scalar; inside what is nested too deep (`deep`) only its syntax counts. */
const uint8_t *scalar_slow(struct scan *s, const uint8_t *p, bool deep);

/* A key, its colon and the spaces around it; the position of the value. p is at what should be the opening quote. */
const uint8_t *member_scan(struct scan *s, const uint8_t *p, struct text *key);
/* Note a key in the innermost frame; a fault when it is there already. False: out of memory, stopped. */
bool member_note(struct scan *s, const struct text *key, struct slice plain);

/* The schema's levels: a document up to the end of its text (document.c), a row, its data (row.c). */
const uint8_t *document_scan(struct scan *s, const uint8_t *p);
const uint8_t *row_scan(struct scan *s, const uint8_t *p);
const uint8_t *data_scan(struct scan *s, const uint8_t *p);
/* A key that is not understood: named in the answer. False: out of memory, stopped. */
bool ignored_add(struct scan *s);

#endif
