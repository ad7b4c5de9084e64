/* An independent reading of row sets, to judge the scanner by: slow, simple, and made another way.
 *
 * It reads a document into a tree by plain recursive descent, one byte at a time, and then checks the tree against the
 * contract's section 3, rule by rule. It shares no code with core/rows. Numbers are judged by strtoll and strtod.
 * jansson reads every document as well: where its rules are the same it has to agree with the tree.
 *
 * Included by the differential test and by the fuzz target; memory is a bump that is reset for every body. */
#ifndef HG_TEST_ROWS_JUDGE_H
#define HG_TEST_ROWS_JUDGE_H

#include "rows/rows.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- memory ------------------------------------------------------------------------------------------------------- */

static struct {
    char *ptr;
    size_t used, size;
} judge_heap;

static void *judge_take(size_t len)
{
    len = (len + 15) & ~(size_t)15;
    if (judge_heap.ptr == NULL) {
        judge_heap.size = (size_t)256 << 20;
        judge_heap.ptr = malloc(judge_heap.size);
    }
    if (judge_heap.ptr == NULL || judge_heap.size - judge_heap.used < len) {
        fprintf(stderr, "judge: out of memory\n");
        abort();
    }
    void *taken = judge_heap.ptr + judge_heap.used;
    judge_heap.used += len;
    return memset(taken, 0, len);
}

/* --- the tree ----------------------------------------------------------------------------------------------------- */

struct node {
    char type; /* { [ " 0 t f n; 0: begun, not read */
    size_t from, to;
    struct slice key, text; /* unescaped */
    bool key_nul, text_nul;
    struct node *child, *last, *next;
};

struct judge_reader {
    const unsigned char *text;
    size_t len, at;
    size_t error_at;
};

static bool judge_fail(struct judge_reader *r, size_t at)
{
    r->error_at = at > r->len ? r->len : at;
    return false;
}

static int judge_byte(const struct judge_reader *r, size_t at)
{
    return at < r->len ? r->text[at] : -1;
}

static void judge_blank(struct judge_reader *r)
{
    for (int c = judge_byte(r, r->at); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = judge_byte(r, r->at))
        r->at++;
}

static long judge_hex(const struct judge_reader *r, size_t at)
{
    char digits[5] = {0};
    for (size_t i = 0; i < 4; i++) {
        int c = judge_byte(r, at + i);
        if (c <= 0 || strchr("0123456789abcdefABCDEF", c) == NULL)
            return -1;
        digits[i] = (char)c;
    }
    return strtol(digits, NULL, 16);
}

static void judge_put(char *out, size_t *len, long c)
{
    int extra = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[(*len)++] = (char)(lead[extra] | c >> (6 * extra));
    while (extra-- > 0)
        out[(*len)++] = (char)(0x80 | ((c >> (6 * extra)) & 0x3F));
}

/* A code point from UTF-8 by arithmetic; -1: none. */
static long judge_utf8(struct judge_reader *r)
{
    static const long least[] = {0, 0x80, 0x800, 0x10000};
    int c = judge_byte(r, r->at);
    int extra = c < 0x80 ? 0 : c >= 0xC0 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF8 ? 3 : -1;
    if (extra < 0)
        return -1;
    long value = extra == 0 ? c : c & (0x3F >> extra);
    for (int i = 1; i <= extra; i++) {
        int more = judge_byte(r, r->at + (size_t)i);
        if (more < 0x80 || more > 0xBF)
            return -1;
        value = value * 64 + (more - 0x80);
    }
    if (value < least[extra] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return -1;
    r->at += (size_t)extra + 1;
    return value;
}

static bool judge_escape(struct judge_reader *r, long *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t at = r->at;
    int c = judge_byte(r, at + 1);
    if (c < 0)
        return judge_fail(r, r->len);
    if (c != 'u') {
        const char *found = c == 0 ? NULL : strchr(names, c);
        if (found == NULL)
            return judge_fail(r, at);
        *out = values[found - names];
        r->at += 2;
        return true;
    }
    long unit = judge_hex(r, at + 2);
    if (unit < 0)
        return judge_fail(r, at);
    r->at += 6;
    *out = unit;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    long low = judge_byte(r, at + 6) == '\\' && judge_byte(r, at + 7) == 'u' ? judge_hex(r, at + 8) : -1;
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return judge_fail(r, at);
    *out = 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
    r->at += 6;
    return true;
}

static bool judge_string(struct judge_reader *r, struct slice *text, bool *nul)
{
    size_t longest = 0;
    while (r->at + 1 + longest < r->len && r->text[r->at + 1 + longest] != '"')
        longest += r->text[r->at + 1 + longest] == '\\' ? 2 : 1;
    char *out = judge_take(longest * 3 + 8);
    size_t len = 0;
    for (r->at++;;) {
        int c = judge_byte(r, r->at);
        long value;
        if (c < 0)
            return judge_fail(r, r->len);
        if (c == '"')
            break;
        if (c == '\\') {
            if (!judge_escape(r, &value))
                return false;
        } else {
            size_t at = r->at;
            value = c < 0x20 ? -1 : judge_utf8(r);
            if (value < 0)
                return judge_fail(r, at);
        }
        *nul |= value == 0;
        judge_put(out, &len, value);
    }
    r->at++;
    *text = slice_make(out, len);
    return true;
}

static bool judge_digits(struct judge_reader *r)
{
    size_t from = r->at;
    for (int c = judge_byte(r, r->at); c >= '0' && c <= '9'; c = judge_byte(r, r->at))
        r->at++;
    return r->at > from || judge_fail(r, r->at);
}

static bool judge_number(struct judge_reader *r)
{
    if (judge_byte(r, r->at) == '-')
        r->at++;
    size_t first = r->at;
    if (!judge_digits(r))
        return false;
    if (r->text[first] == '0' && r->at - first > 1)
        return judge_fail(r, first);
    if (judge_byte(r, r->at) == '.') {
        r->at++;
        if (!judge_digits(r))
            return false;
    }
    int c = judge_byte(r, r->at);
    if (c == 'e' || c == 'E') {
        r->at++;
        c = judge_byte(r, r->at);
        if (c == '+' || c == '-')
            r->at++;
        return judge_digits(r);
    }
    return true;
}

static bool judge_word(struct judge_reader *r, const char *word)
{
    size_t len = strlen(word);
    if (r->len - r->at < len || memcmp(r->text + r->at, word, len) != 0)
        return judge_fail(r, r->at);
    r->at += len;
    return true;
}

static struct node *judge_child(struct node *parent, size_t at)
{
    struct node *child = judge_take(sizeof(*child));
    child->from = at;
    if (parent->last == NULL)
        parent->child = child;
    else
        parent->last->next = child;
    parent->last = child;
    return child;
}

static bool judge_value(struct judge_reader *r, struct node *n);

/* Name, colon: then the child is there, with its value to be read. */
static bool judge_name(struct judge_reader *r, struct node *n, struct node **child)
{
    struct slice key;
    bool nul = false;
    if (judge_byte(r, r->at) != '"')
        return judge_fail(r, r->at);
    if (!judge_string(r, &key, &nul))
        return false;
    judge_blank(r);
    if (judge_byte(r, r->at) != ':')
        return judge_fail(r, r->at);
    r->at++;
    judge_blank(r);
    *child = judge_child(n, r->at);
    (*child)->key = key;
    (*child)->key_nul = nul;
    return true;
}

static bool judge_members(struct judge_reader *r, struct node *n, char close)
{
    n->type = (char)r->text[r->at++];
    judge_blank(r);
    if (judge_byte(r, r->at) == close) {
        r->at++;
        return true;
    }
    for (;;) {
        struct node *child;
        if (n->type == '{') {
            if (!judge_name(r, n, &child))
                return false;
        } else {
            child = judge_child(n, r->at);
        }
        if (!judge_value(r, child))
            return false;
        judge_blank(r);
        int c = judge_byte(r, r->at);
        if (c != ',' && c != close)
            return judge_fail(r, r->at);
        r->at++;
        if (c == close)
            return true;
        judge_blank(r);
    }
}

static bool judge_value(struct judge_reader *r, struct node *n)
{
    int c = judge_byte(r, r->at);
    bool ok;
    n->from = r->at;
    if (c == '{' || c == '[') {
        ok = judge_members(r, n, c == '{' ? '}' : ']');
    } else if (c == '"') {
        n->type = '"';
        ok = judge_string(r, &n->text, &n->text_nul);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        n->type = '0';
        ok = judge_number(r);
    } else if (c == 't' || c == 'f' || c == 'n') {
        n->type = (char)c;
        ok = judge_word(r, c == 't' ? "true" : c == 'f' ? "false" : "null");
    } else {
        return judge_fail(r, r->at);
    }
    n->to = r->at;
    return ok;
}

/* --- the verdict -------------------------------------------------------------------------------------------------- */

enum { JUDGE_FAULTS = 2000 };

struct judge_fault {
    const char *word;
    struct slice pointer;
};

struct judge_set {
    struct slice document, uuid;
    struct row_span *spans;
    uint32_t rows, tags;
    struct tag tag[TAGS_MAX];
    struct slice ignored[FAULTS_MAX];
    uint32_t ignored_count;
};

struct judge {
    const struct scan_rules *rules;
    struct slice body;
    int code;
    size_t error_at; /* of the first syntax fault, in the body */
    struct judge_fault *faults;
    size_t fault_count;
    struct judge_set *sets;
    uint32_t set_count;
    uint32_t rows;
    bool limit, syntax, jansson_differs;
    uint64_t jansson_read;
    struct judge_set *set; /* being read */
    const unsigned char *text;
};

static void judge_fault(struct judge *j, const char *word, struct slice pointer)
{
    if (j->fault_count < JUDGE_FAULTS)
        j->faults[j->fault_count] = (struct judge_fault){word, pointer};
    j->fault_count++;
}

static struct slice judge_step(struct slice base, struct slice key)
{
    size_t show = key.len;
    if (show > 256)
        for (show = 256; (key.ptr[show] & 0xC0) == 0x80;)
            show--;
    char *out = judge_take(base.len + 2 * show + 2);
    size_t len = base.len;
    if (len > 0)
        memcpy(out, base.ptr, len);
    out[len++] = '/';
    for (size_t i = 0; i < show; i++) {
        if (key.ptr[i] == '~' || key.ptr[i] == '/')
            out[len++] = '~';
        out[len++] = key.ptr[i] == '~' ? '0' : key.ptr[i] == '/' ? '1' : key.ptr[i];
    }
    return slice_make(out, len);
}

static struct slice judge_item(struct slice base, uint32_t number)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    return judge_step(base, slice_of(text));
}

static bool judge_first_of_its_name(const struct node *parent, const struct node *child)
{
    for (const struct node *n = parent->child; n != child; n = n->next)
        if (slice_eq(n->key, child->key))
            return false;
    return true;
}

static const char *judge_number_text(const struct judge *j, const struct node *n)
{
    char *text = judge_take(n->to - n->from + 1);
    memcpy(text, j->text + n->from, n->to - n->from);
    return text;
}

static bool judge_number_fits(const struct judge *j, const struct node *n)
{
    const char *text = judge_number_text(j, n);
    errno = 0;
    if (strpbrk(text, ".eE") != NULL)
        return isfinite(strtod(text, NULL));
    strtoll(text, NULL, 10);
    return errno == 0;
}

static void judge_member_key(struct judge *j, const struct node *parent, const struct node *n, struct slice at)
{
    if (n->key_nul)
        judge_fault(j, "nul_character", at);
    if (!judge_first_of_its_name(parent, n))
        judge_fault(j, "duplicate_key", at);
}

/* I-JSON for any value. `inside`: how many of its containers are open. */
static void judge_any(struct judge *j, const struct node *n, struct slice at, uint32_t inside)
{
    uint32_t number = 0;
    if (n->type == '"' && n->text_nul)
        judge_fault(j, "nul_character", at);
    if (n->type == '0' && !judge_number_fits(j, n))
        judge_fault(j, "range", at);
    if (n->type != '{' && n->type != '[')
        return;
    if (inside + 1 >= (j->rules->max_depth == 0 ? 1 : j->rules->max_depth)) {
        judge_fault(j, "depth", at);
        return;
    }
    for (const struct node *c = n->child; c != NULL; c = c->next) {
        struct slice below = n->type == '{' ? judge_step(at, c->key) : judge_item(at, number++);
        if (n->type == '{')
            judge_member_key(j, n, c, below);
        judge_any(j, c, below, inside + 1);
    }
}

static bool judge_matches(struct slice s, const char *first, const char *rest)
{
    if (s.len == 0 || memchr(first, s.ptr[0], strlen(first)) == NULL)
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (memchr(rest, s.ptr[i], strlen(rest)) == NULL)
            return false;
    return true;
}

#define JUDGE_SMALL "abcdefghijklmnopqrstuvwxyz"
#define JUDGE_LARGE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define JUDGE_DIGIT "0123456789"

static void judge_data(struct judge *j, const struct node *n, struct slice at)
{
    if (n->type != '{') {
        judge_fault(j, "object_type", at);
        judge_any(j, n, at, 0);
        return;
    }
    for (const struct node *c = n->child; c != NULL; c = c->next) {
        struct slice below = judge_step(at, c->key);
        judge_member_key(j, n, c, below);
        if (c->key.len > KEY_MAX_BYTES)
            judge_fault(j, "too_long", below);
        else if (!c->key_nul && !j->rules->any_keys &&
                 !judge_matches(c->key, JUDGE_SMALL, JUDGE_SMALL JUDGE_LARGE JUDGE_DIGIT))
            judge_fault(j, "camel_case", below);
        judge_any(j, c, below, 0);
    }
}

static uint64_t judge_index(struct judge *j, const struct node *n, struct slice at)
{
    if (n->type == 'n')
        return INDEX_NONE;
    const char *text = n->type == '0' ? judge_number_text(j, n) : "x";
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (strspn(text, JUDGE_DIGIT) == strlen(text) && errno == 0 && value <= 9007199254740991u)
        return value;
    judge_fault(j, "index_type", at);
    if (n->type != '0')
        judge_any(j, n, at, 0);
    return INDEX_NONE;
}

static void judge_ignored(struct judge *j, struct slice at)
{
    if (j->set->ignored_count < FAULTS_MAX)
        j->set->ignored[j->set->ignored_count++] = at;
}

static void judge_row(struct judge *j, const struct node *n, struct slice at)
{
    struct row_span span = {.index = INDEX_NONE};
    bool data = false;
    if (j->rows++ == j->rules->max_rows) {
        j->limit = true;
        return;
    }
    if (n->type != '{') {
        judge_fault(j, "object_type", at);
        judge_any(j, n, at, 0);
        return;
    }
    for (const struct node *c = n->child; c != NULL; c = c->next) {
        struct slice below = judge_step(at, c->key);
        judge_member_key(j, n, c, below);
        if (!judge_first_of_its_name(n, c)) {
            judge_any(j, c, below, 0);
        } else if (slice_is(c->key, "index")) {
            span.index = judge_index(j, c, below);
        } else if (slice_is(c->key, "data")) {
            data = true;
            span.offset = (uint32_t)c->from;
            span.length = (uint32_t)(c->to - c->from);
            judge_data(j, c, below);
        } else {
            judge_ignored(j, below);
            judge_any(j, c, below, 0);
        }
    }
    if (!data)
        judge_fault(j, "missing", judge_step(at, slice_of("data")));
    j->set->spans[j->set->rows++] = span;
}

static void judge_rows(struct judge *j, const struct node *n, struct slice at)
{
    uint32_t number = 0;
    if (n->type != '[') {
        judge_fault(j, "array_type", at);
        judge_any(j, n, at, 0);
        return;
    }
    for (const struct node *c = n->child; c != NULL && !j->limit; c = c->next)
        judge_row(j, c, judge_item(at, number++));
}

static void judge_uuid(struct judge *j, const struct node *n, struct slice at)
{
    size_t count = 0;
    bool control = false;
    if (n->type != '"') {
        judge_fault(j, "string_type", at);
        judge_any(j, n, at, 0);
        return;
    }
    j->set->uuid = n->text;
    struct judge_reader r = {.text = (const unsigned char *)n->text.ptr, .len = n->text.len};
    for (; r.at < r.len; count++) {
        long c = judge_utf8(&r);
        control |= c < 0x20 || (c >= 0x7F && c < 0xA0);
    }
    if (n->text_nul)
        judge_fault(j, "nul_character", at);
    else if (control)
        judge_fault(j, "control_character", at);
    if (count < 1)
        judge_fault(j, "too_short", at);
    if (count > 128)
        judge_fault(j, "too_long", at);
}

static void judge_tags(struct judge *j, const struct node *n, struct slice at)
{
    uint32_t count = 0;
    if (n->type != '{') {
        judge_fault(j, "object_type", at);
        judge_any(j, n, at, 0);
        return;
    }
    for (const struct node *c = n->child; c != NULL; c = c->next, count++) {
        struct slice below = judge_step(at, c->key);
        judge_member_key(j, n, c, below);
        if (c->key.len > 256)
            judge_fault(j, "too_long", below);
        else if (!c->key_nul && !judge_matches(c->key, JUDGE_SMALL, JUDGE_SMALL JUDGE_DIGIT "_"))
            judge_fault(j, "tag_name", below);
        if (c->type != '"')
            judge_fault(j, "string_type", below);
        else if (c->text.len > 256)
            judge_fault(j, "too_long", below);
        judge_any(j, c, below, 0);
        if (count < TAGS_MAX)
            j->set->tag[j->set->tags++] = (struct tag){c->key, c->text};
    }
    if (count > 16)
        judge_fault(j, "tag_count", at);
}

static void judge_top_member(struct judge *j, const struct node *c, struct slice at)
{
    if (slice_is(c->key, "uuid"))
        judge_uuid(j, c, at);
    else if (slice_is(c->key, "tags"))
        judge_tags(j, c, at);
    else if (slice_is(c->key, "row") && !j->rules->batch)
        judge_row(j, c, at);
    else if (slice_is(c->key, "rows") && !j->rules->single)
        judge_rows(j, c, at);
    else {
        if (slice_is(c->key, "time") || slice_is(c->key, "schema"))
            judge_fault(j, "reserved", at);
        else if (slice_is(c->key, "row") || slice_is(c->key, "rows"))
            judge_fault(j, "misplaced", at);
        else
            judge_ignored(j, at);
        judge_any(j, c, at, 0);
    }
}

static bool judge_has(const struct node *n, const char *name)
{
    for (const struct node *c = n->child; c != NULL; c = c->next)
        if (slice_is(c->key, name))
            return true;
    return false;
}

/* What is complete of the tree is checked, also when the text went wrong later: a limit passed before counts first. */
static void judge_schema(struct judge *j, const struct node *n, bool whole)
{
    struct slice top = {"", 0};
    if (n->type != '{') {
        judge_fault(j, "object_type", top);
        judge_any(j, n, top, 0);
        return;
    }
    for (const struct node *c = n->child; c != NULL && !j->limit; c = c->next) {
        struct slice at = judge_step(top, c->key);
        judge_member_key(j, n, c, at);
        if (judge_first_of_its_name(n, c))
            judge_top_member(j, c, at);
        else
            judge_any(j, c, at, 0);
    }
    if (!whole || j->limit)
        return;
    bool row = judge_has(n, "row"), rows = judge_has(n, "rows");
    if (!judge_has(n, "uuid"))
        judge_fault(j, "missing", judge_step(top, slice_of("uuid")));
    if (j->rules->single && !row)
        judge_fault(j, "missing", judge_step(top, slice_of("row")));
    else if (!j->rules->single && j->rules->batch && !rows)
        judge_fault(j, "missing", judge_step(top, slice_of("rows")));
    else if (!j->rules->single && !j->rules->batch && row == rows)
        judge_fault(j, row ? "one_of" : "missing", top);
}

/* --- jansson ------------------------------------------------------------------------------------------------------ */

/* Everything that jansson refuses as well, anywhere in the tree. */
static bool judge_jansson_refuses(const struct judge *j, const struct node *n, uint32_t depth)
{
    if (depth > 2000 || (n->type == '0' && !judge_number_fits(j, n)))
        return true;
    for (const struct node *c = n->child; c != NULL; c = c->next)
        if ((n->type == '{' && (c->key_nul || !judge_first_of_its_name(n, c))) ||
            judge_jansson_refuses(j, c, depth + 1))
            return true;
    return false;
}

/* It takes a NUL byte behind a number for the end of it; so texts with a NUL byte are not put to it. */
static void judge_jansson(struct judge *j, struct slice text, const struct node *tree)
{
    json_error_t error;
    if (memchr(text.ptr, 0, text.len) != NULL)
        return;
    json_t *read = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool expect = tree != NULL && !judge_jansson_refuses(j, tree, 1);
    j->jansson_differs |= (read != NULL) != expect;
    j->jansson_read++;
    json_decref(read);
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static void judge_document(struct judge *j, struct slice text)
{
    struct judge_reader r = {.text = (const unsigned char *)text.ptr, .len = text.len};
    struct node *tree = judge_take(sizeof(*tree));
    if (j->rules->ndjson && j->set_count == j->rules->max_rows) {
        j->limit = true;
        return;
    }
    j->set = &j->sets[j->set_count];
    *j->set = (struct judge_set){.spans = judge_take(sizeof(struct row_span) * (text.len / 2 + 1))};
    j->text = r.text;
    judge_blank(&r);
    bool whole = judge_value(&r, tree);
    if (whole) {
        judge_blank(&r);
        whole = r.at == r.len || judge_fail(&r, r.at);
    }
    judge_jansson(j, text, whole ? tree : NULL);
    judge_schema(j, tree, whole);
    if (!whole && !j->limit && !j->syntax) {
        j->syntax = true;
        j->error_at = (size_t)(text.ptr - j->body.ptr) + r.error_at;
    }
    if (!whole || j->limit || tree->type != '{')
        return;
    j->set->document = slice_make(text.ptr + tree->from, tree->to - tree->from);
    for (uint32_t i = 0; i < j->set->rows; i++)
        j->set->spans[i].offset -= (uint32_t)tree->from;
    j->set_count++;
}

static bool judge_is_blank(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(" \t\r\n", text.ptr[i]) == NULL || text.ptr[i] == 0)
            return false;
    return true;
}

static void judge_body(struct judge *j, const struct scan_rules *rules, struct slice body)
{
    judge_heap.used = 0;
    *j = (struct judge){.rules = rules, .body = body};
    j->faults = judge_take(sizeof(*j->faults) * JUDGE_FAULTS);
    size_t lines = 1;
    for (size_t i = 0; i < body.len; i++)
        lines += body.ptr[i] == '\n';
    j->sets = judge_take(sizeof(*j->sets) * (lines + 1));
    if (judge_is_blank(body)) {
        j->syntax = true;
        j->error_at = body.len;
    } else if (!rules->ndjson) {
        judge_document(j, body);
    } else {
        for (size_t at = 0; at < body.len && !j->limit;) {
            size_t to = at;
            while (to < body.len && body.ptr[to] != '\n')
                to++;
            struct slice line = slice_make(body.ptr + at, to - at);
            if (!judge_is_blank(line))
                judge_document(j, line);
            at = to + 1;
        }
    }
    j->code = j->syntax ? ERR_SYNTAX : j->limit ? ERR_LIMIT : j->fault_count > 0 ? ERR_RANGE : ERR_OK;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static int judge_order(const char *word_a, struct slice a, const char *word_b, struct slice b)
{
    int order = strcmp(word_a, word_b);
    if (order == 0)
        order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int judge_fault_order(const void *a, const void *b)
{
    const struct judge_fault *x = a, *y = b;
    return judge_order(x->word, x->pointer, y->word, y->pointer);
}

static const char *judge_compare_faults(struct judge *j, const struct fault *faults, uint32_t count)
{
    size_t expect = j->fault_count < FAULTS_MAX ? j->fault_count : FAULTS_MAX;
    if (count != expect)
        return "number of faults";
    if (j->fault_count > FAULTS_MAX)
        return NULL;
    struct judge_fault ours[FAULTS_MAX];
    for (uint32_t i = 0; i < count; i++)
        ours[i] = (struct judge_fault){faults[i].type, faults[i].pointer};
    qsort(ours, count, sizeof(*ours), judge_fault_order);
    qsort(j->faults, count, sizeof(*j->faults), judge_fault_order);
    for (uint32_t i = 0; i < count; i++)
        if (judge_fault_order(&ours[i], &j->faults[i]) != 0)
            return "faults";
    return NULL;
}

static const char *judge_compare_syntax(const struct judge *j, const struct fault *fault)
{
    if (fault->kind != FAULT_SYNTAX)
        return "the syntax fault is not the first";
    if (fault->byte != j->error_at)
        return "place of the syntax fault";
    uint64_t line = 1, column = 1;
    for (size_t i = 0; i < j->error_at; i++) {
        column = j->body.ptr[i] == '\n' ? 1 : column + 1;
        line += j->body.ptr[i] == '\n';
    }
    return fault->line != line || fault->column != column ? "line and column" : NULL;
}

static bool judge_same_lists(const struct judge_set *a, const struct row_set *b)
{
    for (uint32_t i = 0; i < a->tags; i++)
        if (!slice_eq(a->tag[i].name, b->tags[i].name) || !slice_eq(a->tag[i].value, b->tags[i].value))
            return false;
    for (uint32_t i = 0; i < a->ignored_count; i++)
        if (!slice_eq(a->ignored[i], b->ignored[i]))
            return false;
    return true;
}

static const char *judge_compare_set(const struct judge_set *a, const struct row_set *b)
{
    if (a->document.ptr != b->document.ptr || a->document.len != b->document.len)
        return "document";
    if (!slice_eq(a->uuid, b->uuid))
        return "uuid";
    if (a->rows != b->rows || (a->rows > 0 && memcmp(a->spans, b->spans, a->rows * sizeof(*a->spans)) != 0))
        return "spans";
    if (a->tags != b->tag_count || a->ignored_count != b->ignored_count || !judge_same_lists(a, b))
        return "tags or ignored keys";
    return NULL;
}

/* What the scanner and the judge say differently about a body; NULL: nothing. */
static const char *judge_disagreement(struct judge *j, struct scan *s, const struct scan_rules *rules,
                                      struct slice body)
{
    uint32_t faults, sets;
    int code = scan_body(s, rules, body);
    const struct fault *fault = scan_faults(s, &faults);
    const struct row_set *set = scan_sets(s, &sets);
    judge_body(j, rules, body);
    if (j->jansson_differs)
        return "jansson";
    if (code != j->code)
        return "result";
    if (code != ERR_OK && (faults == 0 || sets != 0))
        return "a refusal without a fault, or with row sets";
    if (code == ERR_SYNTAX)
        return judge_compare_syntax(j, fault);
    if (code == ERR_RANGE)
        return judge_compare_faults(j, fault, faults);
    if (code == ERR_LIMIT)
        return fault[faults - 1].kind == FAULT_LIMIT ? NULL : "the limit is not the last fault";
    if (sets != j->set_count || scan_rows(s) != j->rows || faults != 0)
        return "number of row sets or rows";
    for (uint32_t i = 0; i < sets; i++) {
        const char *differs = judge_compare_set(&j->sets[i], &set[i]);
        if (differs != NULL)
            return differs;
    }
    return NULL;
}

#endif
