/* Small helpers for answers of the operation's routes: JSON pieces, times, problems. */
#include "api/api.h"
#include "api/bounce.h"

#include "base/sys.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void api_send(struct http_request *r, const struct http_answer *answer)
{
    if (r->route == NULL)
        http_respond(r, answer);
    else
        bounce_answer(r->route, answer);
}

void api_send_problem(struct http_request *r, const struct http_problem *problem)
{
    if (r->route == NULL)
        http_problem(r, problem);
    else
        bounce_problem(r->route, problem);
}

void api_text(struct http_request *r, int status, const char *content_type, struct buf *body, int code)
{
    if (code != ERR_OK) {
        buf_free(body);
        api_error(r, code, "the answer could not be built");
        return;
    }
    struct http_answer answer = {.status = status, .content_type = content_type, .body = buf_slice(body)};
    api_send(r, &answer);
    buf_free(body);
}

void api_json(struct http_request *r, int status, struct buf *body, int code)
{
    api_text(r, status, "application/json", body, code);
}

void api_events(struct http_request *r)
{
    const struct http_answer answer = {.status = 200,
                                       .content_type = "text/event-stream",
                                       .fields = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"};
    http_stream(r, &answer);
}

void api_events_head(struct http_request *r)
{
    api_send(r, &(struct http_answer){.status = 200, .content_type = "text/event-stream"});
}

void api_problem(struct http_request *r, int status, const char *word, const char *detail)
{
    struct http_problem problem = {
        .status = status, .word = word, .detail = detail, .retry_after = status == 503 ? 1 : 0};
    api_send_problem(r, &problem);
}

void api_error(struct http_request *r, int code, const char *detail)
{
    static const struct {
        int code, status;
        const char *word;
    } table[] = {
        {ERR_NOTFOUND, 404, "not-found"}, {ERR_GONE, 410, "gone"},       {ERR_SYNTAX, 400, "syntax"},
        {ERR_RANGE, 422, "schema"},       {ERR_BUSY, 409, "conflict"},   {ERR_LIMIT, 409, "conflict"},
        {ERR_UNKNOWN, 422, "schema"},     {ERR_CONFIG, 422, "settings"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (table[i].code == code) {
            api_problem(r, table[i].status, table[i].word, detail);
            return;
        }
    api_problem(r, 503, "unavailable", detail);
}

int api_comma(struct buf *b, bool *more)
{
    int code = *more ? buf_addc(b, ',') : ERR_OK;
    *more = true;
    return code;
}

int api_time(struct buf *b, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    char text[40];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    return buf_addf(b, "\"%s.%06dZ\"", text, (int)(wall_us % 1000000));
}

int api_tags(struct buf *b, struct slice context)
{
    size_t at = 0;
    uint16_t tag;
    struct slice value;
    bool more = false;
    int code = buf_addc(b, '{');
    while (code == ERR_OK && context_next(context, &at, &tag, &value)) {
        if (tag != CONTEXT_TAG || value.len < 1 || (unsigned char)value.ptr[0] >= value.len)
            continue;
        size_t name = (unsigned char)value.ptr[0];
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = buf_add_json(b, slice_make(value.ptr + 1, name));
        if (code == ERR_OK)
            code = buf_addc(b, ':');
        if (code == ERR_OK)
            code = buf_add_json(b, slice_make(value.ptr + 1 + name, value.len - 1 - name));
    }
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

int api_time_parse(const char *text, int64_t *wall_us)
{
    int64_t ms;
    if (value_duration(text, &ms, NULL) == ERR_OK) {
        const int64_t now = clock_wall_us();
        *wall_us = ms < now / 1000 ? now - ms * 1000 : 0; /* before 1970 there was nothing */
        return ERR_OK;
    }
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%d", &parts);
    int64_t micros = 0, offset = 0;
    if (rest == NULL)
        return ERR_SYNTAX;
    if (*rest == 'T' || *rest == 't' || *rest == ' ') {
        rest = strptime(rest + 1, "%H:%M:%S", &parts);
        if (rest == NULL)
            return ERR_SYNTAX;
        if (*rest == '.') {
            int64_t unit = 100000;
            for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
                micros += (*rest - '0') * unit;
        }
        int hours, minutes, taken = 0;
        if (*rest == 'Z' || *rest == 'z') {
            rest++;
        } else if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &taken) == 2 &&
                   taken == 5) {
            offset = (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
            rest += 6;
        }
    }
    if (*rest != '\0')
        return ERR_SYNTAX;
    *wall_us = ((int64_t)timegm(&parts) - offset) * 1000000 + micros;
    return ERR_OK;
}

bool api_number(const struct http_request *r, const char *name, uint64_t *value)
{
    char text[24];
    long len = http_query(r, name, text, sizeof text);
    if (len == -2 || (len > 0 && strspn(text, "0123456789") != (size_t)len))
        return false;
    if (len > 0)
        *value = strtoull(text, NULL, 10);
    return true;
}

bool api_flag(const struct http_request *r, const char *name, bool *value)
{
    char text[16];
    long len = http_query(r, name, text, sizeof text);
    return len == -1 || (len > 0 && value_boolean(text, value, NULL) == ERR_OK);
}

bool api_flag_or_refuse(struct http_request *r, const char *name, bool *value)
{
    char text[64];
    if (api_flag(r, name, value))
        return true;
    snprintf(text, sizeof text, "%s is yes or no", name);
    api_problem(r, 400, "syntax", text);
    return false;
}
