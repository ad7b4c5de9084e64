/* The splitter: a state machine over bytes with one bit a nesting level; no recursion. */
#include "cli/jsplit.h"

#include <inttypes.h>

void jsplit_init(struct jsplit *s)
{
    *s = (struct jsplit){.line = 1, .began = 1};
    buf_init(&s->value, JSPLIT_VALUE_MAX);
}

void jsplit_fini(struct jsplit *s)
{
    buf_free(&s->value);
}

static enum jsplit_result jsplit_fault(const struct jsplit *s, struct err *e, const char *what)
{
    err_set(e, ERR_SYNTAX, "line %" PRIu64 ": %s", s->line, what);
    return JSPLIT_FAULT;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *jsplit_open(struct jsplit *s, bool brace)
{
    if (s->depth == JSPLIT_DEPTH_MAX)
        return "nested too deeply";
    uint8_t bit = (uint8_t)(1u << (s->depth % 8));
    uint8_t *byte = &s->braces[s->depth / 8];
    *byte = (uint8_t)(brace ? *byte | bit : *byte & ~bit);
    s->depth++;
    return NULL;
}

static const char *jsplit_close(struct jsplit *s, bool brace)
{
    uint32_t level = s->depth - 1;
    bool was_brace = (s->braces[level / 8] >> (level % 8) & 1) != 0;
    if (was_brace != brace)
        return brace ? "`}` where `]` must stand" : "`]` where `}` must stand";
    s->depth = level;
    if (level == 0) {
        s->state = JSPLIT_AFTER;
        s->complete = true;
    }
    return NULL;
}

static const char *jsplit_inside(struct jsplit *s, char c)
{
    if (s->escape) {
        s->escape = false;
        return NULL;
    }
    if (s->string) {
        s->escape = c == '\\';
        s->string = c != '"';
        return c == '\n' ? "a string never ends" : NULL;
    }
    switch (c) {
    case '"': s->string = true; return NULL;
    case '{':
    case '[': return jsplit_open(s, c == '{');
    case '}':
    case ']': return jsplit_close(s, c == '}');
    default: return NULL; /* any other character belongs to a scalar or stands between tokens: not judged here */
    }
}

/* Between values. */
static const char *jsplit_outside(struct jsplit *s, char c)
{
    if (s->state == JSPLIT_BEGIN && c == '[') {
        s->array = true;
        s->state = JSPLIT_FIRST;
        return NULL;
    }
    bool wanted = s->state == JSPLIT_BEGIN || s->state == JSPLIT_BEFORE || s->state == JSPLIT_FIRST ||
                  (s->state == JSPLIT_AFTER && !s->array);
    if (c == '{' && wanted) {
        s->state = JSPLIT_INSIDE;
        s->began = s->line;
        return jsplit_open(s, true);
    }
    if (c == ',' && s->array && s->state == JSPLIT_AFTER)
        s->state = JSPLIT_BEFORE;
    else if (c == ']' && s->array && (s->state == JSPLIT_AFTER || s->state == JSPLIT_FIRST))
        s->state = JSPLIT_ENDED;
    else
        return s->state == JSPLIT_ENDED ? "text behind the end of the array"
               : wanted                 ? "a row must be a JSON object: `{` is missing"
                                        : "a comma or `]` is missing";
    return NULL;
}

enum jsplit_result jsplit_feed(struct jsplit *s, const char *bytes, size_t len, size_t *used, struct err *e)
{
    if (s->complete) {
        s->complete = false;
        buf_clear(&s->value);
    }
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        bool inside = s->state == JSPLIT_INSIDE;
        const char *wrong = NULL;
        *used = i + 1;
        if (inside)
            wrong = jsplit_inside(s, c);
        else if (!is_blank(c))
            wrong = jsplit_outside(s, c);
        if (wrong != NULL)
            return jsplit_fault(s, e, wrong);
        if ((inside || s->state == JSPLIT_INSIDE) && buf_addc(&s->value, c) != ERR_OK)
            return jsplit_fault(s, e, "the row that ends here or never is too large");
        s->line += c == '\n';
        if (s->complete)
            return JSPLIT_VALUE;
    }
    *used = len;
    return JSPLIT_MORE;
}

int jsplit_finish(struct jsplit *s, struct err *e)
{
    if (s->state == JSPLIT_INSIDE)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": the object that begins here never ends", s->began);
    if (s->array && s->state != JSPLIT_ENDED)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": the array never ends", s->line);
    return ERR_OK;
}
