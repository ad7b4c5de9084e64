/* A document: the object with uuid, one of row and rows, and tags.
 *
 * Its keys may come in any order. A key that stands twice is a fault, and its second value is checked as JSON only. So
 * is the value of a key that is not understood; such keys are named in the answer. What is required is missed at the
 * end, once the document is known to be JSON. */
#include "rows/state.h"

enum member { UUID, ROW, ROWS, TAGS, TIME, SCHEMA, MEMBERS };

static const char *const member_names[MEMBERS] = {"uuid", "row", "rows", "tags", "time", "schema"};

/* A document so far. */
struct document {
    bool has[MEMBERS];
    struct found_set found;
};

/* --- uuid --------------------------------------------------------------------------------------------------------- */

/* Count characters, and look for C0, DEL and C1 (U+0080 to U+009F: C2 80 to C2 9F). */
static size_t characters(struct slice text, bool *control)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        count += (c & 0xC0) != 0x80;
        if (c < ' ' || c == 0x7F || (c == 0xC2 && (uint8_t)text.ptr[i + 1] < 0xA0))
            *control = true;
    }
    return count;
}

static void uuid_check(struct scan *s, const uint8_t *at, const struct text *text, struct slice plain)
{
    bool control = false;
    size_t count = characters(plain, &control);
    if (text->nul)
        fault_add(s, FAULT_NUL, at, 0);
    else if (control)
        fault_add(s, FAULT_UUID_CONTROL, at, 0);
    if (count == 0)
        fault_add(s, FAULT_UUID_EMPTY, at, 0);
    if (count > UUID_MAX_CHARS)
        fault_add(s, FAULT_UUID_LONG, at, UUID_MAX_CHARS);
}

static const uint8_t *uuid_scan(struct scan *s, const uint8_t *p, struct document *d)
{
    struct text text;
    struct misread bad;
    if (peek(p, s->end) != '"') {
        fault_add(s, FAULT_UUID_STRING, p, 0);
        return value_scan(s, p);
    }
    const uint8_t *next = text_scan(p, s->end, &text, &bad);
    if (next == NULL)
        return scan_misread(s, &bad);
    struct slice plain = scan_plain(s, &text);
    if (plain.ptr == NULL)
        return NULL;
    d->found.uuid = plain;
    if (s->uuid.ptr == NULL)
        s->uuid = plain;
    uuid_check(s, p, &text, plain);
    return next;
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

static bool is_tag_name(struct slice name)
{
    if (name.len == 0 || name.ptr[0] < 'a' || name.ptr[0] > 'z')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

static const uint8_t *tag_value(struct scan *s, const uint8_t *p, struct slice name)
{
    struct text text;
    struct misread bad;
    if (peek(p, s->end) != '"') {
        fault_add(s, FAULT_TAG_STRING, p, 0);
        return value_scan(s, p);
    }
    const uint8_t *next = text_scan(p, s->end, &text, &bad);
    if (next == NULL)
        return scan_misread(s, &bad);
    struct slice plain = scan_plain(s, &text);
    if (plain.ptr == NULL ||
        grown_reserve(&s->tagged, (void **)&s->tags, sizeof(*s->tags), (size_t)s->tagged.count + 1) != ERR_OK)
        return scan_nomem(s);
    if (text.nul)
        fault_add(s, FAULT_NUL, p, 0);
    if (plain.len > TAG_VALUE_MAX)
        fault_add(s, FAULT_TAG_LONG, p, TAG_VALUE_MAX);
    s->tags[s->tagged.count++] = (struct tag){.name = name, .value = plain};
    return next;
}

static const uint8_t *tag_scan(struct scan *s, const uint8_t *p)
{
    struct text key;
    p = member_scan(s, p, &key);
    if (p == NULL)
        return NULL;
    struct slice name = scan_plain(s, &key);
    if (name.ptr == NULL || !member_note(s, &key, name))
        return NULL;
    if (name.len > KEY_MAX_BYTES)
        fault_add(s, FAULT_KEY_LONG, key.ptr - 1, KEY_MAX_BYTES);
    else if (!key.nul && !is_tag_name(name))
        fault_add(s, FAULT_TAG_NAME, key.ptr - 1, 0);
    return tag_value(s, p, name);
}

static const uint8_t *tags_scan(struct scan *s, const uint8_t *p)
{
    const uint8_t *from = p;
    uint32_t count = 0;
    if (peek(p, s->end) != '{') {
        fault_add(s, FAULT_TAGS_OBJECT, p, 0);
        return value_scan(s, p);
    }
    if (frame_push(s, true) == NULL)
        return NULL;
    p = space_skip(p + 1, s->end);
    for (bool more = peek(p, s->end) != '}'; more; count++) {
        p = tag_scan(s, p);
        if (p == NULL)
            return NULL;
        p = space_skip(p, s->end);
        more = peek(p, s->end) == ',';
        if (more)
            p = space_skip(p + 1, s->end);
        else if (peek(p, s->end) != '}')
            return scan_expected(s, FAULT_IN_OBJECT, p);
    }
    frame_pop(s);
    if (count > TAGS_MAX)
        fault_add(s, FAULT_TAG_COUNT, from, TAGS_MAX);
    return p + 1;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static const uint8_t *rows_scan(struct scan *s, const uint8_t *p)
{
    if (peek(p, s->end) != '[') {
        fault_add(s, FAULT_ROWS_ARRAY, p, 0);
        return value_scan(s, p);
    }
    if (frame_push(s, false) == NULL)
        return NULL;
    p = space_skip(p + 1, s->end);
    for (bool more = peek(p, s->end) != ']'; more;) {
        p = row_scan(s, p);
        if (p == NULL)
            return NULL;
        p = space_skip(p, s->end);
        more = peek(p, s->end) == ',';
        if (more) {
            frame_top(s)->number++;
            p = space_skip(p + 1, s->end);
        } else if (peek(p, s->end) != ']') {
            return scan_expected(s, FAULT_IN_ARRAY, p);
        }
    }
    frame_pop(s);
    return p + 1;
}

/* --- the document ------------------------------------------------------------------------------------------------- */

/* At most FAULTS_MAX for a document, IGNORED_TOTAL_MAX for a request; what is beyond is ignored unnamed. */
bool ignored_add(struct scan *s)
{
    if (s->ignoring.count - s->found[s->founded.count].ignored >= FAULTS_MAX || s->ignoring.count >= IGNORED_TOTAL_MAX)
        return true;
    struct slice pointer = scan_pointer(s);
    if (pointer.ptr == NULL || grown_reserve(&s->ignoring, (void **)&s->ignored, sizeof(*s->ignored),
                                             (size_t)s->ignoring.count + 1) != ERR_OK) {
        scan_nomem(s);
        return false;
    }
    s->ignored[s->ignoring.count++] = pointer;
    return true;
}

static enum member member_find(struct slice name)
{
    enum member m = UUID;
    while (m < MEMBERS && !slice_is(name, member_names[m]))
        m++;
    return m;
}

static const uint8_t *member_value(struct scan *s, const uint8_t *p, enum member m, struct document *d)
{
    switch (m) {
    case UUID: return uuid_scan(s, p, d);
    case ROW:
        if (!s->rules.batch)
            return row_scan(s, p);
        fault_add(s, FAULT_MISPLACED, p, 0);
        break;
    case ROWS:
        if (!s->rules.single)
            return rows_scan(s, p);
        fault_add(s, FAULT_MISPLACED, p, 0);
        break;
    case TAGS: return tags_scan(s, p);
    case TIME:
    case SCHEMA: fault_add(s, FAULT_RESERVED, p, 0); break;
    case MEMBERS: break;
    }
    return value_scan(s, p);
}

static const uint8_t *document_member(struct scan *s, const uint8_t *p, struct document *d)
{
    struct text key;
    p = member_scan(s, p, &key);
    if (p == NULL)
        return NULL;
    struct slice plain = scan_plain(s, &key);
    if (plain.ptr == NULL)
        return NULL;
    enum member m = member_find(plain);
    if (!member_note(s, &key, plain))
        return NULL;
    if (m == MEMBERS)
        return ignored_add(s) ? value_scan(s, p) : NULL;
    if (d->has[m])
        return value_scan(s, p);
    d->has[m] = true;
    return member_value(s, p, m, d);
}

static void missing(struct scan *s, enum fault_id id, const char *name)
{
    struct frame *frame = frame_top(s);
    frame->key = (const uint8_t *)name;
    frame->key_len = name == NULL ? 0 : (uint32_t)strlen(name);
    fault_add(s, id, s->document, 0);
}

static void document_complete(struct scan *s, const struct document *d)
{
    if (!d->has[UUID])
        missing(s, FAULT_UUID_MISSING, "uuid");
    if (s->rules.single) {
        if (!d->has[ROW])
            missing(s, FAULT_ROW_MISSING, "row");
    } else if (s->rules.batch) {
        if (!d->has[ROWS])
            missing(s, FAULT_ROWS_MISSING, "rows");
    } else if (d->has[ROW] && d->has[ROWS]) {
        missing(s, FAULT_BOTH, NULL);
    } else if (!d->has[ROW] && !d->has[ROWS]) {
        missing(s, FAULT_EITHER_MISSING, NULL);
    }
}

static const uint8_t *document_members(struct scan *s, const uint8_t *p, struct document *d)
{
    p = space_skip(p + 1, s->end);
    for (bool more = peek(p, s->end) != '}'; more;) {
        p = document_member(s, p, d);
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

/* Nothing but space may come before the end. */
static const uint8_t *document_end(struct scan *s, const uint8_t *p)
{
    p = space_skip(p, s->end);
    if (p == s->end)
        return p;
    fault_add(s, FAULT_TRAILING, p, 0);
    return NULL;
}

static const uint8_t *not_an_object(struct scan *s, const uint8_t *p)
{
    if (s->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        fault_add(s, FAULT_BOM, p, 0);
        return NULL;
    }
    fault_add(s, FAULT_ROOT_OBJECT, p, 0);
    p = value_scan(s, p);
    return p == NULL ? NULL : document_end(s, p);
}

const uint8_t *document_scan(struct scan *s, const uint8_t *p)
{
    struct document d = {.found = {.span = s->spanned.count, .tag = s->tagged.count, .ignored = s->ignoring.count}};
    if (s->founded.count == s->rules.max_rows && s->rules.ndjson) {
        fault_add(s, FAULT_DOCUMENTS_LIMIT, p, s->rules.max_rows);
        return NULL;
    }
    if (grown_reserve(&s->founded, (void **)&s->found, sizeof(*s->found), (size_t)s->founded.count + 1) != ERR_OK)
        return scan_nomem(s);
    s->found[s->founded.count] = d.found;
    s->document = p;
    if (peek(p, s->end) != '{')
        return not_an_object(s, p);
    if (frame_push(s, true) == NULL)
        return NULL;
    const uint8_t *stop = document_members(s, p, &d);
    if (stop == NULL)
        return NULL;
    const uint8_t *end = document_end(s, stop);
    if (end == NULL)
        return NULL;
    document_complete(s, &d);
    frame_pop(s);
    d.found.document = slice_make(p, (size_t)(stop - p));
    s->found[s->founded.count++] = d.found;
    return end;
}
