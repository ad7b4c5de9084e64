/* A template is cut into pieces once, at open: texts with time conversions, the uuid, tags. Faults are found there, so
 * that a push cannot meet one. Only conversions that mean the same everywhere are taken: nothing of the local time
 * zone, nothing that a locale could give a slash. */
#include "common/template.h"

#include "common/percent.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECES_MAX = 64, PIECE_TEXT_MAX = 512, NAME_MAX_LEN = 64 };

static const char conversions[] = "YymdjHMSGgVuUwWCeFbBaA%";

enum piece_kind { PIECE_TEXT, PIECE_TIME, PIECE_UUID, PIECE_TAG };

struct piece {
    enum piece_kind kind;
    char *text; /* literal, strftime format or the tag's name */
};

struct template
{
    size_t count;
    struct piece pieces[PIECES_MAX];
};

static int piece_add(struct template *t, enum piece_kind kind, const char *ptr, size_t len, char *why, size_t size)
{
    if (t->count == PIECES_MAX) {
        snprintf(why, size, "has more than %d parts", PIECES_MAX);
        return -1;
    }
    char *text = strndup(ptr, len);
    if (!text) {
        snprintf(why, size, "no memory");
        return -1;
    }
    t->pieces[t->count++] = (struct piece){kind, text};
    return 0;
}

static int name_ok(const char *ptr, size_t len)
{
    if (len == 0 || len > NAME_MAX_LEN || ptr[0] < 'a' || ptr[0] > 'z')
        return 0;
    return strspn(ptr, "abcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

/* `{name}` at *at; moves behind it. */
static int value_parse(struct template *t, const char **at, char *why, size_t size)
{
    const char *name = *at + 1, *end = strchr(name, '}');
    if (!end || !name_ok(name, (size_t)(end - name))) {
        snprintf(why, size, "'%.40s' is not {uuid} or the name of a tag in braces", *at);
        return -1;
    }
    size_t len = (size_t)(end - name);
    *at = end + 1;
    enum piece_kind kind = len == 4 && memcmp(name, "uuid", 4) == 0 ? PIECE_UUID : PIECE_TAG;
    return piece_add(t, kind, name, len, why, size);
}

/* Text up to the next brace; moves to it. */
static int text_parse(struct template *t, const char **at, char *why, size_t size)
{
    const char *start = *at, *p = start;
    enum piece_kind kind = PIECE_TEXT;
    for (; *p && *p != '{'; p++) {
        if (*p == '}' || (unsigned char)*p < 0x20 || p - start > PIECE_TEXT_MAX) {
            snprintf(why, size, "has a stray '}', a control character, or a part that is too long");
            return -1;
        }
        if (*p != '%')
            continue;
        kind = PIECE_TIME;
        if (!*++p || !strchr(conversions, *p)) {
            snprintf(why, size, "'%%%.1s' is not one of the time conversions %s", p, conversions);
            return -1;
        }
    }
    *at = p;
    return piece_add(t, kind, start, (size_t)(p - start), why, size);
}

struct template *template_new(const char *text, char *why, size_t why_size)
{
    errno = 0;
    struct template *t = calloc(1, sizeof(*t));
    if (!t) {
        snprintf(why, why_size, "no memory");
        return NULL;
    }
    int rc = 0;
    for (const char *at = text; rc == 0 && *at;)
        rc = *at == '{' ? value_parse(t, &at, why, why_size) : text_parse(t, &at, why, why_size);
    if (rc == 0 && t->count == 0) {
        snprintf(why, why_size, "is empty");
        rc = -1;
    }
    if (rc != 0)
        template_free(&t);
    return t;
}

void template_free(struct template **t)
{
    if (!*t)
        return;
    for (size_t i = 0; i < (*t)->count; i++)
        free((*t)->pieces[i].text);
    free(*t);
    *t = NULL;
}

int template_values(const struct template *t)
{
    int values = 0;
    for (size_t i = 0; i < t->count; i++) {
        values |= t->pieces[i].kind == PIECE_UUID ? TEMPLATE_UUID : 0;
        values |= t->pieces[i].kind == PIECE_TAG ? TEMPLATE_TAGS : 0;
    }
    return values;
}

/* The format is the operator's, and was checked conversion by conversion in text_parse(). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void time_add(struct strbuf *out, const char *format, const struct tm *tm)
{
    char text[PIECE_TEXT_MAX * 6];
    strbuf_add(out, text, strftime(text, sizeof(text), format, tm));
}
#pragma GCC diagnostic pop

void template_expand(const struct template *t, const struct hg_api *api, const struct hg_row *row, struct strbuf *out)
{
    struct tm tm = {0};
    time_t seconds = (time_t)(api->received(row) / 1000000);
    gmtime_r(&seconds, &tm);
    for (size_t i = 0; i < t->count; i++) {
        const struct piece *p = &t->pieces[i];
        struct hg_text value;
        switch (p->kind) {
        case PIECE_TEXT: strbuf_adds(out, p->text); break;
        case PIECE_TIME: time_add(out, p->text, &tm); break;
        case PIECE_UUID:
            value = api->uuid(row);
            percent_add(out, value.ptr, value.len);
            break;
        case PIECE_TAG:
            value = api->tag(row, p->text);
            percent_add(out, value.ptr, value.len);
            break;
        }
    }
}
