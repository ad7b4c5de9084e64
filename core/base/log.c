/* Log lines: built in a bounded buffer, written with one write(2) so that lines of several threads never mix. */
#include "base/log.h"

#include "base/buf.h"
#include "base/sys.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static _Atomic int level_now = LOG_INFO;
static _Atomic bool json_now = false;
static void (*keep_line)(void *arg, enum log_level level, const char *line, size_t len);
static void *keep_arg;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, bool json)
{
    atomic_store(&level_now, (int)level);
    atomic_store(&json_now, json);
}

void log_also(void (*keep)(void *arg, enum log_level level, const char *line, size_t len), void *arg)
{
    keep_line = keep;
    keep_arg = arg;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load(&level_now);
}

static int add_time(struct buf *b)
{
    int64_t us = clock_wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[40];
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    int code = buf_add(b, text, len);
    return code != ERR_OK ? code : buf_addf(b, ".%03dZ", (int)(us / 1000 % 1000));
}

static int add_json(struct buf *b, enum log_level level, const char *event, const char *text,
                    const struct log_field *fields, int count)
{
    int code = buf_adds(b, "{\"time\":\"");
    if (code == ERR_OK)
        code = add_time(b);
    if (code == ERR_OK)
        code = buf_addf(b, "\",\"level\":\"%s\",\"event\":\"%s\",\"text\":", level_names[level], event);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(text));
    for (int i = 0; code == ERR_OK && i < count; i++) {
        code = buf_addf(b, ",\"%s\":", fields[i].key);
        if (code == ERR_OK)
            code = fields[i].value != NULL ? buf_add_json(b, slice_of(fields[i].value))
                                           : buf_addf(b, "%lld", fields[i].number);
    }
    return code != ERR_OK ? code : buf_adds(b, "}");
}

static int add_text(struct buf *b, enum log_level level, const char *event, const char *text,
                    const struct log_field *fields, int count)
{
    int code = add_time(b);
    if (code == ERR_OK)
        code = buf_addf(b, " %-5s %s: ", level_names[level], event);
    for (const char *p = text; code == ERR_OK && *p != '\0'; p++)
        code = buf_addc(b, (unsigned char)*p < 0x20 ? ' ' : *p);
    for (int i = 0; code == ERR_OK && i < count; i++) {
        code = buf_addf(b, " %s=", fields[i].key);
        if (code == ERR_OK)
            code = fields[i].value != NULL ? buf_add_json(b, slice_of(fields[i].value))
                                           : buf_addf(b, "%lld", fields[i].number);
    }
    return code;
}

static int add_line(struct buf *b, bool json, enum log_level level, const char *event, const char *text,
                    const struct log_field *fields, int count)
{
    int code = json ? add_json(b, level, event, text, fields, count) : add_text(b, level, event, text, fields, count);
    if (code == ERR_OK)
        return ERR_OK;
    buf_clear(b); /* too long: the event without its fields is better than nothing */
    return json ? add_json(b, level, event, "(text and fields too long)", NULL, 0)
                : add_text(b, level, event, "(text and fields too long)", NULL, 0);
}

static void keep_copy(const struct buf *written, bool json, enum log_level level, const char *event, const char *text,
                      const struct log_field *fields, int count)
{
    struct buf b;
    buf_init(&b, LINE_MAX_BYTES);
    if (json)
        keep_line(keep_arg, level, written->ptr, written->len);
    else if (add_line(&b, true, level, event, text, fields, count) == ERR_OK)
        keep_line(keep_arg, level, b.ptr, b.len);
    buf_free(&b);
}

void log_line(enum log_level level, const char *event, const char *text, const struct log_field *fields, int count)
{
    struct buf b;
    bool json = atomic_load(&json_now);
    buf_init(&b, LINE_MAX_BYTES);
    int code = add_line(&b, json, level, event, text, fields, count);
    if (code == ERR_OK && keep_line != NULL)
        keep_copy(&b, json, level, event, text, fields, count);
    b.max++; /* room for the newline */
    if (code == ERR_OK && buf_addc(&b, '\n') == ERR_OK) {
        ssize_t written = write(STDERR_FILENO, b.ptr, b.len);
        (void)written; /* nowhere to report it to */
    }
    buf_free(&b);
}
