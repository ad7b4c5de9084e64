/* Faults: their texts, the place they are at, and the shapes they are told in.
 *
 * A fault is recorded where it is met, with its byte only; lines and columns are counted once at the end, for all of
 * them in one pass. At most FAULTS_MAX are kept. When a document turns out not to be JSON, that is what counts (400,
 * not 422), however many faults were found before: the first syntax fault always finds a place and is listed first. */
#include "rows/fault.h"

#include "rows/state.h"

static const struct {
    enum fault_kind kind;
    const char *word, *legacy, *sentence;
} kinds[] = {
#define FAULT(id, kind, word, legacy, sentence) [FAULT_##id] = {FAULT_##kind, word, legacy, sentence},
#include "rows/fault.def"
#undef FAULT
};

const char *fault_legacy_type(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].word, type) == 0)
            return kinds[i].legacy;
    return "value_error";
}

/* The sentence, with its `#` replaced by the number. ptr NULL: out of memory. */
static struct slice detail_text(struct scan *s, enum fault_id id, uint64_t number)
{
    struct slice sentence = slice_of(kinds[id].sentence);
    const char *mark = memchr(sentence.ptr, '#', sentence.len);
    if (mark == NULL)
        return sentence;
    char digits[24];
    size_t count = 0, before = (size_t)(mark - sentence.ptr);
    do
        digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    char *text = arena_take(&s->arena, sentence.len - 1 + count);
    if (text == NULL)
        return slice_make(NULL, 0);
    memcpy(text, sentence.ptr, before);
    memcpy(text + before, digits + sizeof(digits) - count, count);
    memcpy(text + before + count, mark + 1, sentence.len - before - 1);
    return slice_make(text, sentence.len - 1 + count);
}

/* NULL: the list is full. */
static struct fault *fault_slot(struct scan *s, bool stops)
{
    s->fault_total++;
    bool replaces = stops && !s->stopped_once;
    s->stopped_once |= stops;
    if (s->fault_count < FAULTS_MAX)
        return &s->faults[s->fault_count++];
    return replaces ? &s->faults[FAULTS_MAX - 1] : NULL;
}

void fault_add(struct scan *s, enum fault_id id, const uint8_t *at, uint64_t number)
{
    enum fault_kind kind = kinds[id].kind;
    if (kind != FAULT_SCHEMA)
        s->stop = kind == FAULT_SYNTAX ? ERR_SYNTAX : ERR_LIMIT;
    struct fault *fault = fault_slot(s, kind != FAULT_SCHEMA);
    if (fault == NULL)
        return;
    *fault = (struct fault){
        .kind = kind,
        .type = kinds[id].word,
        .pointer = kind == FAULT_SYNTAX ? slice_make("", 0) : scan_pointer(s),
        .detail = detail_text(s, id, number),
        .byte = (uint64_t)(at - s->body),
    };
    if (fault->pointer.ptr == NULL || fault->detail.ptr == NULL)
        scan_nomem(s);
}

/* How many bytes of a key a pointer shows: all, or up to the last whole character that fits. */
static size_t shown_length(const char *key, size_t len)
{
    if (len <= POINTER_KEY_MAX)
        return len;
    len = POINTER_KEY_MAX;
    while (((uint8_t)key[len] & 0xC0) == 0x80)
        len--;
    return len;
}

static struct slice frame_key(struct scan *s, const struct frame *frame)
{
    struct text text = {.ptr = frame->key, .len = frame->key_len};
    text.escaped = memchr(text.ptr, '\\', text.len) != NULL;
    struct slice plain = scan_plain(s, &text);
    if (plain.ptr != NULL)
        plain.len = shown_length(plain.ptr, plain.len);
    return plain;
}

/* RFC 6901 section 3: '~' is "~0", '/' is "~1". */
static size_t pointer_key(char *out, struct slice key)
{
    size_t at = 0;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '~' || key.ptr[i] == '/') {
            out[at++] = '~';
            out[at++] = key.ptr[i] == '~' ? '0' : '1';
        } else {
            out[at++] = key.ptr[i];
        }
    }
    return at;
}

static size_t pointer_number(char *out, uint32_t number)
{
    size_t len = 1;
    for (uint32_t rest = number / 10; rest > 0; rest /= 10)
        len++;
    for (size_t i = len; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
    return len;
}

struct slice scan_pointer(struct scan *s)
{
    static const struct slice none = {NULL, 0};
    size_t need = 1;
    for (uint32_t i = 0; i < s->framed.count; i++) {
        size_t len = s->frames[i].key_len < POINTER_KEY_MAX ? s->frames[i].key_len : POINTER_KEY_MAX;
        need += s->frames[i].object ? 1 + 2 * len : 11;
    }
    char *text = arena_take(&s->arena, need);
    if (text == NULL)
        return none;
    size_t at = 0;
    for (uint32_t i = 0; i < s->framed.count; i++) {
        const struct frame *frame = &s->frames[i];
        if (frame->object && frame->key == NULL)
            continue;
        text[at++] = '/';
        if (!frame->object) {
            at += pointer_number(text + at, frame->number);
            continue;
        }
        struct slice key = frame_key(s, frame);
        if (key.ptr == NULL)
            return none;
        at += pointer_key(text + at, key);
    }
    return slice_make(text, at);
}

/* --- after the scan ----------------------------------------------------------------------------------------------- */

static void rank_by_byte(const struct scan *s, uint32_t order[FAULTS_MAX])
{
    for (uint32_t i = 0; i < s->fault_count; i++) {
        uint32_t at = i;
        for (; at > 0 && s->faults[order[at - 1]].byte > s->faults[i].byte; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Lines and columns in one pass over the body. */
static void faults_locate(struct scan *s)
{
    uint32_t order[FAULTS_MAX];
    uint64_t line = 1, start = 0;
    rank_by_byte(s, order);
    for (uint32_t i = 0; i < s->fault_count; i++) {
        struct fault *fault = &s->faults[order[i]];
        const uint8_t *feed;
        while (fault->byte > start && (feed = memchr(s->body + start, '\n', fault->byte - start)) != NULL) {
            start = (uint64_t)(feed - s->body) + 1;
            line++;
        }
        fault->line = line;
        if (!s->rules.ndjson || fault->kind == FAULT_SYNTAX)
            fault->column = fault->byte - start + 1;
    }
}

static void syntax_first(struct scan *s)
{
    for (uint32_t i = 0; i < s->fault_count; i++) {
        if (s->faults[i].kind != FAULT_SYNTAX)
            continue;
        struct fault first = s->faults[i];
        memmove(s->faults + 1, s->faults, i * sizeof(first));
        s->faults[0] = first;
        return;
    }
}

void faults_finish(struct scan *s)
{
    faults_locate(s);
    syntax_first(s);
}

/* --- the older gateway's shape ------------------------------------------------------------------------------------ */

/* One step of a pointer with its escapes resolved, as a JSON string. */
static int loc_text(struct buf *out, struct slice step)
{
    char plain[2 * POINTER_KEY_MAX];
    size_t len = 0;
    for (size_t i = 0; i < step.len && len < sizeof(plain); i++) {
        plain[len] = step.ptr[i];
        if (step.ptr[i] == '~' && i + 1 < step.len)
            plain[len] = step.ptr[++i] == '1' ? '/' : '~';
        len++;
    }
    return buf_add_json(out, slice_make(plain, len));
}

/* Elements are numbers: a row's in `rows`, and what looks like one inside a value of `data`. A key of data itself
 * is always a text. */
static bool step_is_number(struct slice step, uint32_t level, bool in_rows)
{
    uint32_t data_key = in_rows ? 3 : 2;
    if (step.len == 0 || step.len > 10 || (level <= data_key && !(in_rows && level == 1)))
        return false;
    for (size_t i = 0; i < step.len; i++)
        if (step.ptr[i] < '0' || step.ptr[i] > '9')
            return false;
    return true;
}

int fault_loc_json(struct slice pointer, struct buf *out)
{
    size_t before = out->len, at = 0;
    bool in_rows = false;
    int code = buf_adds(out, "[\"body\"");
    for (uint32_t level = 0; code == ERR_OK && at < pointer.len; level++) {
        const char *from = pointer.ptr + at + 1;
        const char *to = memchr(from, '/', pointer.len - at - 1);
        struct slice step = slice_make(from, to == NULL ? pointer.len - at - 1 : (size_t)(to - from));
        if (level == 0)
            in_rows = slice_is(step, "rows");
        code = buf_addc(out, ',');
        if (code == ERR_OK)
            code = step_is_number(step, level, in_rows) ? buf_add(out, step.ptr, step.len) : loc_text(out, step);
        at += step.len + 1;
    }
    if (code == ERR_OK)
        code = buf_addc(out, ']');
    if (code != ERR_OK)
        out->len = before;
    return code;
}
