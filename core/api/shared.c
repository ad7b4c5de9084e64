/* Keeping the last answer of each kind, for those who say how old it may be. A few kilobytes each, and none before
 * somebody asks so. */
#include "api/shared.h"

#include "api/api.h"
#include "base/sys.h"

#include <stdlib.h>

enum { AGE_MAX_S = 5 };

void shared_init(struct shared *s)
{
    for (size_t i = 0; i < SHARED_COUNT; i++) {
        buf_init(&s->of[i].text, API_BODY_MAX);
        s->of[i].made_ms = 0;
    }
}

void shared_fini(struct shared *s)
{
    for (size_t i = 0; i < SHARED_COUNT; i++)
        buf_free(&s->of[i].text);
}

/* Milliseconds that the answer may be old; 0: it may not. */
static int64_t age_allowed(const struct http_request *r)
{
    static const char word[] = "max-age=";
    struct slice field;
    char number[8] = "";
    if (!http_field(r, "cache-control", &field) || field.len < sizeof word ||
        memcmp(field.ptr, word, sizeof word - 1) != 0 || field.len - (sizeof word - 1) >= sizeof number)
        return 0;
    memcpy(number, field.ptr + sizeof word - 1, field.len - (sizeof word - 1));
    unsigned long seconds = strtoul(number, NULL, 10);
    return (int64_t)(seconds < AGE_MAX_S ? seconds : AGE_MAX_S) * 1000;
}

bool shared_answer(struct shared *s, size_t what, struct http_request *r)
{
    int64_t allowed = age_allowed(r);
    if (allowed == 0 || s->of[what].made_ms == 0 || clock_ms() - s->of[what].made_ms >= allowed)
        return false;
    const struct http_answer answer = {
        .status = 200, .content_type = "application/json", .body = buf_slice(&s->of[what].text)};
    api_send(r, &answer);
    return true;
}

void shared_keep(struct shared *s, size_t what, const struct http_request *r, struct slice text)
{
    if (age_allowed(r) == 0)
        return;
    buf_clear(&s->of[what].text);
    s->of[what].made_ms = buf_add(&s->of[what].text, text.ptr, text.len) == ERR_OK ? clock_ms() : 0;
}
