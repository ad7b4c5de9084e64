/* Values of any nesting, for the rules that hold everywhere: JSON, no key twice, no \u0000, numbers in range, depth.
 *
 * No recursion: open brackets up to rules.max_depth are frames; beyond it, where the value is refused already, one bit
 * each is enough to go on checking the syntax, and nothing but syntax is reported there. So a body of 16 MiB of opening
 * brackets costs 2 MiB and one pass. */
#include "rows/state.h"

const uint8_t *scan_nomem(struct scan *s)
{
    s->nomem = true;
    return NULL;
}

const uint8_t *scan_misread(struct scan *s, const struct misread *bad)
{
    fault_add(s, bad->id, bad->at, 0);
    return NULL;
}

const uint8_t *scan_expected(struct scan *s, enum fault_id id, const uint8_t *p)
{
    fault_add(s, p == s->end ? FAULT_END : id, p, 0);
    return NULL;
}

struct slice scan_plain(struct scan *s, const struct text *text)
{
    if (!text->escaped)
        return slice_make(text->ptr, text->len);
    char *plain = arena_take(&s->arena, text->len);
    if (plain == NULL) {
        scan_nomem(s);
        return slice_make(NULL, 0);
    }
    return slice_make(plain, text_unescape(text->ptr, text->len, plain, text->len));
}

static const uint8_t *string_slow(struct scan *s, const uint8_t *p, bool deep)
{
    struct text text;
    struct misread bad;
    const uint8_t *next = text_scan(p, s->end, &text, &bad);
    if (next == NULL)
        return scan_misread(s, &bad);
    if (text.nul && !deep)
        fault_add(s, FAULT_NUL, p, 0);
    return next;
}

static const uint8_t *number_slow(struct scan *s, const uint8_t *p, bool deep)
{
    enum number_kind kind;
    struct misread bad;
    const uint8_t *next = number_scan(p, s->end, &kind, &bad);
    if (next == NULL)
        return scan_misread(s, &bad);
    if (kind != NUMBER_OK && !deep)
        fault_add(s, kind == NUMBER_BIG_INTEGER ? FAULT_INTEGER : FAULT_REAL, p, 0);
    return next;
}

const uint8_t *scalar_slow(struct scan *s, const uint8_t *p, bool deep)
{
    uint8_t c = peek(p, s->end);
    if (c == '"')
        return string_slow(s, p, deep);
    if (c == '-' || (c >= '0' && c <= '9'))
        return number_slow(s, p, deep);
    const uint8_t *next = literal_scan(p, s->end);
    return next != NULL ? next : scan_expected(s, FAULT_VALUE, p);
}

const uint8_t *value_scan(struct scan *s, const uint8_t *p)
{
    uint8_t c = peek(p, s->end);
    return c == '{' || c == '[' ? nest_scan(s, p) : scalar_slow(s, p, false);
}

const uint8_t *member_scan(struct scan *s, const uint8_t *p, struct text *key)
{
    struct misread bad;
    if (peek(p, s->end) != '"')
        return scan_expected(s, FAULT_KEY, p);
    p = text_scan(p, s->end, key, &bad);
    if (p == NULL)
        return scan_misread(s, &bad);
    p = space_skip(p, s->end);
    if (peek(p, s->end) != ':')
        return scan_expected(s, FAULT_COLON, p);
    return space_skip(p + 1, s->end);
}

bool member_note(struct scan *s, const struct text *key, struct slice plain)
{
    struct frame *frame = frame_top(s);
    frame->key = key->ptr;
    frame->key_len = (uint32_t)key->len;
    if (key->nul)
        fault_add(s, FAULT_NUL, key->ptr - 1, 0);
    int code = key_set_add(&s->keys, &frame->keys, (const uint8_t *)plain.ptr, plain.len);
    if (code == ERR_EXISTS)
        fault_add(s, FAULT_DUPLICATE, key->ptr - 1, 0);
    else if (code != ERR_OK)
        scan_nomem(s);
    return !s->nomem;
}

/* --- objects and arrays ------------------------------------------------------------------------------------------- */

struct nest {
    uint32_t open;  /* brackets of this value */
    uint32_t limit; /* of them that get a frame */
};

static bool nest_is_object(const struct scan *s, const struct nest *n)
{
    if (n->open <= n->limit)
        return s->frames[s->framed.count - 1].object;
    uint32_t bit = n->open - n->limit - 1;
    return (s->deep[bit / 64] >> bit % 64 & 1) != 0;
}

static bool deep_push(struct scan *s, uint32_t bit, bool object)
{
    if (grown_reserve(&s->deepened, (void **)&s->deep, sizeof(*s->deep), (size_t)bit / 64 + 1) != ERR_OK) {
        scan_nomem(s);
        return false;
    }
    uint64_t mask = UINT64_C(1) << bit % 64;
    s->deep[bit / 64] = object ? s->deep[bit / 64] | mask : s->deep[bit / 64] & ~mask;
    return true;
}

static const uint8_t *nest_open(struct scan *s, const uint8_t *p, struct nest *n)
{
    bool object = *p == '{';
    if (n->open < n->limit) {
        if (frame_push(s, object) == NULL)
            return NULL;
    } else {
        if (n->open == n->limit)
            fault_add(s, FAULT_DEPTH, p, s->rules.max_depth);
        if (!deep_push(s, n->open - n->limit, object))
            return NULL;
    }
    n->open++;
    return space_skip(p + 1, s->end);
}

static const uint8_t *nest_key(struct scan *s, const uint8_t *p, bool deep)
{
    struct text key;
    p = member_scan(s, p, &key);
    if (p == NULL || deep)
        return p;
    struct slice plain = scan_plain(s, &key);
    return plain.ptr != NULL && member_note(s, &key, plain) ? p : NULL;
}

/* After a value: closing brackets, up to a comma (skipped) or until all are closed. */
static const uint8_t *nest_close(struct scan *s, const uint8_t *p, struct nest *n)
{
    while (n->open > 0) {
        bool object = nest_is_object(s, n), framed = n->open <= n->limit;
        p = space_skip(p, s->end);
        uint8_t c = peek(p, s->end);
        if (c == ',') {
            if (framed && !object)
                frame_top(s)->number++;
            return space_skip(p + 1, s->end);
        }
        if (c != (object ? '}' : ']'))
            return scan_expected(s, object ? FAULT_IN_OBJECT : FAULT_IN_ARRAY, p);
        if (framed)
            frame_pop(s);
        n->open--;
        p++;
    }
    return p;
}

const uint8_t *nest_scan(struct scan *s, const uint8_t *p)
{
    struct nest n = {.limit = s->rules.max_depth > 0 ? s->rules.max_depth - 1 : 0};
    bool fresh = true;
    p = nest_open(s, p, &n);
    while (p != NULL && n.open > 0) {
        bool object = nest_is_object(s, &n), deep = n.open > n.limit;
        uint8_t c = peek(p, s->end);
        if (!fresh || c != (object ? '}' : ']')) {
            if (object)
                p = nest_key(s, p, deep);
            if (p == NULL)
                return NULL;
            c = peek(p, s->end);
            fresh = c == '{' || c == '[';
            p = fresh ? nest_open(s, p, &n) : scalar_slow(s, p, deep);
            if (fresh || p == NULL)
                continue;
        }
        p = nest_close(s, p, &n);
        fresh = false;
    }
    return p;
}
