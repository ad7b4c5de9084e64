/* What people look at over time: GET /v1/history and GET /v1/log. */
#include "api/api.h"
#include "api/history.h"
#include "api/recent.h"

#include <stdlib.h>

static enum shared_what span_of(const char *word)
{
    static const char *const words[] = {
        [SHARED_MINUTE] = "minute", [SHARED_HOUR] = "hour", [SHARED_DAY] = "day", [SHARED_PUSHERS] = ""};
    for (int what = SHARED_MINUTE; what < SHARED_COUNT; what++)
        if (strcmp(words[what], word) == 0)
            return (enum shared_what)what;
    return SHARED_COUNT;
}

void api_history(struct api *api, struct http_request *r, const struct api_params *params)
{
    char span[16] = "hour";
    (void)params;
    struct buf b;
    bool malformed = http_query(r, "span", span, sizeof span) == -2;
    enum shared_what what = span_of(span);
    if (!malformed && what != SHARED_COUNT && shared_answer(&api->shared, what, r))
        return;
    buf_init(&b, API_BODY_MAX);
    int code = malformed ? ERR_UNKNOWN : history_print(api->history, span, &b);
    if (code == ERR_OK && what != SHARED_COUNT)
        shared_keep(&api->shared, what, r, buf_slice(&b));
    if (code == ERR_UNKNOWN) {
        api_problem(r, 422, "schema", "span is minute, hour or day");
        buf_free(&b);
        return;
    }
    api_json(r, 200, &b, code);
}

static bool read_level(const struct http_request *r, enum log_level *level)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    char word[16] = "debug";
    if (http_query(r, "level", word, sizeof word) == -2)
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], word) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void api_log(struct api *api, struct http_request *r, const struct api_params *params)
{
    char after[32] = "0";
    enum log_level level;
    (void)params;
    if (!read_level(r, &level) || http_query(r, "after", after, sizeof after) == -2) {
        api_problem(r, 422, "schema", "level is error, warn, info or debug; after is the number that came as next");
        return;
    }
    struct buf b;
    buf_init(&b, API_BODY_MAX);
    int code = api->recent == NULL ? ERR_NOMEM : recent_print(api->recent, strtoull(after, NULL, 10), level, &b);
    api_json(r, 200, &b, code);
}
