/* A row and its data: where nearly all of a body's bytes are, so this is the scanner's inner loop.
 *
 * The keys of data are compared with those of the row before (shape.h). As long as they are found there, each once,
 * they are neither read nor noted. The first one that is not makes this row go the general way: the keys found so far
 * are noted in the frame's set, and from then on every key is read, checked and noted. At its end such a row is the new
 * shape, if it had no fault. */
#include "rows/state.h"

/* --- data --------------------------------------------------------------------------------------------------------- */

struct data {
    uint64_t matched[SHAPE_KEYS / 64]; /* a bit for each key of the shape that was found */
    uint32_t at;                       /* the next one to look for */
    bool shaped;                       /* every key so far was found in the shape */
    bool escaped;                      /* a key holds a backslash: no shape can be made of it */
};

static bool all_alnum_bytes(const char *p, size_t len)
{
    bool ok = true;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)p[i], letter = (uint8_t)((c | 0x20) - 'a');
        ok &= letter < 26 || (uint8_t)(c - '0') < 10;
    }
    return ok;
}

#ifdef __SSE2__
static bool all_alnum_16(__m128i bytes)
{
    /* As in number.h: the range wanted becomes the smallest signed values. */
    __m128i letters = _mm_add_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8((char)(128 - 'a')));
    __m128i digits = _mm_add_epi8(bytes, _mm_set1_epi8((char)(128 - '0')));
    __m128i ok = _mm_or_si128(_mm_cmplt_epi8(letters, _mm_set1_epi8(-128 + 26)),
                              _mm_cmplt_epi8(digits, _mm_set1_epi8(-128 + 10)));
    return _mm_movemask_epi8(ok) == 0xFFFF;
}
#endif

/* Letters and digits only. Ends overlap, so that nothing behind the text is read. */
static bool all_alnum(const char *p, size_t len)
{
#ifdef __SSE2__
    if (len >= 8) {
        for (; len > 16; p += 16, len -= 16)
            if (!all_alnum_16(_mm_loadu_si128((const __m128i *)(const void *)p)))
                return false;
        if (len < 8)
            return all_alnum_bytes(p, len);
        __m128i head = _mm_loadl_epi64((const __m128i *)(const void *)p);
        __m128i tail = _mm_loadl_epi64((const __m128i *)(const void *)(p + len - 8));
        return all_alnum_16(_mm_unpacklo_epi64(head, tail));
    }
#endif
    return all_alnum_bytes(p, len);
}

static bool is_camel(struct slice key)
{
    return key.len > 0 && key.ptr[0] >= 'a' && key.ptr[0] <= 'z' && all_alnum(key.ptr, key.len);
}

static void data_key_check(struct scan *s, const struct text *key, struct slice plain)
{
    if (plain.len > KEY_MAX_BYTES)
        fault_add(s, FAULT_KEY_LONG, key->ptr - 1, KEY_MAX_BYTES);
    else if (!s->rules.any_keys && !key->nul && !is_camel(plain))
        fault_add(s, FAULT_CAMEL, key->ptr - 1, 0);
}

static inline bool data_has(const struct data *d, uint32_t i)
{
    return (d->matched[i / 64] >> i % 64 & 1) != 0;
}

/* Leave the shape: note the keys that were found in it. */
static bool data_unshape(struct scan *s, struct data *d)
{
    d->shaped = false;
    for (uint32_t i = 0; i < s->shape.count; i++) {
        const struct shape_key *key = &s->shape.keys[i];
        if (!data_has(d, i))
            continue;
        if (key_set_add(&s->keys, &frame_top(s)->keys, key->text + 1, key->len - 3) != ERR_OK) {
            scan_nomem(s);
            return false;
        }
    }
    return true;
}

/* A key that was not found in the shape; the position of its value. */
static const uint8_t *data_key_read(struct scan *s, const uint8_t *p, struct data *d)
{
    struct text key;
    if (d->shaped && !data_unshape(s, d))
        return NULL;
    p = member_scan(s, p, &key);
    if (p == NULL)
        return NULL;
    struct slice plain = scan_plain(s, &key);
    if (plain.ptr == NULL || !member_note(s, &key, plain))
        return NULL;
    data_key_check(s, &key, plain);
    d->escaped |= key.escaped;
    return p;
}

/* The key at `p` is the shape's `i`-th; the position of its value. */
static inline const uint8_t *data_key_match(struct scan *s, const uint8_t *p, struct data *d, uint32_t i)
{
    const struct shape_key *key = &s->shape.keys[i];
    struct frame *frame = frame_top(s);
    frame->key = p + 1;
    frame->key_len = key->len - 3;
    d->matched[i / 64] |= UINT64_C(1) << i % 64;
    d->at = i + 1;
    return space_skip(p + key->len, s->end);
}

/* It is not the next one: others were left out, or the keys come in another order. */
static const uint8_t *data_key_search(struct scan *s, const uint8_t *p, struct data *d)
{
    uint32_t i = shape_find(&s->shape, p, s->end);
    uint32_t stop = d->at + SHAPE_AHEAD < s->shape.count ? d->at + SHAPE_AHEAD : s->shape.count;
    for (uint32_t next = d->at; i == s->shape.count && next < stop; next++)
        if (shape_key_is(&s->shape.keys[next], p, s->end))
            i = next;
    return i < s->shape.count && !data_has(d, i) ? data_key_match(s, p, d, i) : data_key_read(s, p, d);
}

/* A key from its quote to its value. */
static inline const uint8_t *data_key(struct scan *s, const uint8_t *p, struct data *d)
{
    uint32_t i = d->at;
    if (!d->shaped)
        return data_key_read(s, p, d);
    if (i < s->shape.count && shape_key_is(&s->shape.keys[i], p, s->end) && !data_has(d, i))
        return data_key_match(s, p, d, i);
    return data_key_search(s, p, d);
}

static inline const uint8_t *data_value(struct scan *s, const uint8_t *p)
{
    struct misread bad;
    uint8_t c = peek(p, s->end);
    if (c == '"') {
        struct text text;
        p = text_scan(p, s->end, &text, &bad);
        if (p != NULL && text.nul)
            fault_add(s, FAULT_NUL, text.ptr - 1, 0);
    } else if (c == '-' || (uint8_t)(c - '0') < 10) {
        enum number_kind kind;
        const uint8_t *from = p;
        p = number_scan(p, s->end, &kind, &bad);
        if (p != NULL && kind != NUMBER_OK)
            fault_add(s, kind == NUMBER_BIG_INTEGER ? FAULT_INTEGER : FAULT_REAL, from, 0);
    } else if (c == '{' || c == '[') {
        return nest_scan(s, p);
    } else {
        const uint8_t *next = literal_scan(p, s->end);
        return next != NULL ? next : scan_expected(s, FAULT_VALUE, p);
    }
    return p != NULL ? p : scan_misread(s, &bad);
}

static void data_learn(struct scan *s, const struct data *d, bool faults)
{
    const struct key_set *set = &frame_top(s)->keys;
    s->shape.helped |= d->shaped;
    if (d->shaped || d->escaped || faults)
        return;
    shape_learn(&s->shape, s->keys.list + set->first, s->keys.listed.count - set->first, s->rules.any_keys);
}

const uint8_t *data_scan(struct scan *s, const uint8_t *p)
{
    struct data d = {.shaped = true};
    uint64_t faults = s->fault_total;
    if (frame_push(s, true) == NULL)
        return NULL;
    p = space_skip(p + 1, s->end);
    for (bool more = peek(p, s->end) != '}'; more;) {
        p = data_key(s, p, &d);
        if (p != NULL)
            p = data_value(s, p);
        if (p == NULL)
            return NULL;
        p = space_skip(p, s->end);
        more = peek(p, s->end) == ',';
        if (more)
            p = space_skip(p + 1, s->end);
        else if (peek(p, s->end) != '}')
            return scan_expected(s, FAULT_IN_OBJECT, p);
    }
    data_learn(s, &d, faults != s->fault_total);
    frame_pop(s);
    return p + 1;
}

/* --- a row -------------------------------------------------------------------------------------------------------- */

struct row {
    struct row_span span;
    bool has_index, has_data;
};

/* A number that is no index all the same has to be a number. */
static const uint8_t *index_refuse(struct scan *s, const uint8_t *p)
{
    enum number_kind kind;
    struct misread bad;
    const uint8_t *next = number_scan(p, s->end, &kind, &bad);
    if (next == NULL)
        return scan_misread(s, &bad);
    fault_add(s, FAULT_INDEX, p, 0);
    return next;
}

static const uint8_t *index_scan(struct scan *s, const uint8_t *p, struct row *row)
{
    uint8_t c = peek(p, s->end);
    if (c == '-')
        return index_refuse(s, p);
    if ((uint8_t)(c - '0') >= 10) {
        if (c != 'n')
            fault_add(s, FAULT_INDEX, p, 0);
        return value_scan(s, p);
    }
    const uint8_t *from = p;
    uint64_t value = 0;
    for (; p < s->end && (uint8_t)(*p - '0') < 10 && p - from < 17; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    bool more = p < s->end && ((uint8_t)(*p - '0') < 10 || *p == '.' || (*p | 0x20) == 'e');
    if (more || value > INDEX_MAX || (c == '0' && p - from > 1))
        return index_refuse(s, from);
    row->span.index = value;
    return p;
}

static const uint8_t *row_data(struct scan *s, const uint8_t *p, struct row *row)
{
    if (peek(p, s->end) != '{') {
        fault_add(s, FAULT_DATA_OBJECT, p, 0);
        return value_scan(s, p);
    }
    const uint8_t *stop = data_scan(s, p);
    row->span.offset = (uint32_t)(p - s->document);
    row->span.length = stop == NULL ? 0 : (uint32_t)(stop - p);
    return stop;
}

/* A member whose key is read. Its value is checked by the schema only the first time; a second one is a fault. */
static const uint8_t *row_member(struct scan *s, const uint8_t *p, const struct text *key, struct row *row)
{
    struct frame *frame = frame_top(s);
    struct slice plain = scan_plain(s, key);
    if (plain.ptr == NULL)
        return NULL;
    frame->key = key->ptr;
    frame->key_len = (uint32_t)key->len;
    bool is_index = slice_is(plain, "index"), is_data = slice_is(plain, "data");
    if ((is_index && row->has_index) || (is_data && row->has_data)) {
        fault_add(s, FAULT_DUPLICATE, key->ptr - 1, 0);
        return value_scan(s, p);
    }
    row->has_index |= is_index;
    row->has_data |= is_data;
    if (is_index)
        return index_scan(s, p, row);
    if (is_data)
        return row_data(s, p, row);
    if (!member_note(s, key, plain) || !ignored_add(s))
        return NULL;
    return value_scan(s, p);
}

/* The key of a member; the usual two are told by their first bytes. */
static inline const uint8_t *row_key(struct scan *s, const uint8_t *p, struct text *key)
{
    static const char index[] = "\"index\":", data[] = "\"data\":";
    size_t len = 0;
    if (s->end - p > 8)
        len = memcmp(p, index, 8) == 0 ? 5 : memcmp(p, data, 7) == 0 ? 4 : 0;
    if (len == 0)
        return member_scan(s, p, key);
    *key = (struct text){.ptr = p + 1, .len = len};
    return space_skip(p + len + 3, s->end);
}

static bool span_add(struct scan *s, const struct row *row)
{
    if (grown_reserve(&s->spanned, (void **)&s->spans, sizeof(*s->spans), (size_t)s->spanned.count + 1) != ERR_OK) {
        scan_nomem(s);
        return false;
    }
    s->spans[s->spanned.count++] = row->span;
    return true;
}

static const uint8_t *row_members(struct scan *s, const uint8_t *p, struct row *row)
{
    p = space_skip(p + 1, s->end);
    for (bool more = peek(p, s->end) != '}'; more;) {
        struct text key;
        p = row_key(s, p, &key);
        if (p != NULL)
            p = row_member(s, p, &key, row);
        if (p == NULL)
            return NULL;
        p = space_skip(p, s->end);
        more = peek(p, s->end) == ',';
        if (more)
            p = space_skip(p + 1, s->end);
        else if (peek(p, s->end) != '}')
            return scan_expected(s, FAULT_IN_OBJECT, p);
    }
    return p + 1;
}

const uint8_t *row_scan(struct scan *s, const uint8_t *p)
{
    struct row row = {.span.index = INDEX_NONE};
    if (s->rows == s->rules.max_rows) {
        fault_add(s, FAULT_ROWS_LIMIT, p, s->rules.max_rows);
        return NULL;
    }
    s->rows++;
    if (peek(p, s->end) != '{') {
        fault_add(s, FAULT_ROW_OBJECT, p, 0);
        return value_scan(s, p);
    }
    if (frame_push(s, true) == NULL)
        return NULL;
    const uint8_t *stop = row_members(s, p, &row);
    if (stop == NULL)
        return NULL;
    if (!row.has_data) {
        struct frame *frame = frame_top(s);
        frame->key = (const uint8_t *)"data";
        frame->key_len = 4;
        fault_add(s, FAULT_DATA_MISSING, p, 0);
    }
    frame_pop(s);
    return span_add(s, &row) ? stop : NULL;
}
