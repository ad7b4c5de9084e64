/* Structured log lines on standard error: a stable event name and key=value fields, as text or JSON.
 *
 * Only the layers that decide log (supervise, api, cli; delivery through its table): base, conf, rows, journal and http
 * return errors instead. Any thread; a line is one write. Values are escaped, so no field can forge a line. Secrets
 * are never handed to this module. */
#ifndef HG_BASE_LOG_H
#define HG_BASE_LOG_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key;
    const char *value; /* NULL: the number is the value */
    long long number;
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .value = (v)})
#define LOG_N(k, n) ((struct log_field){.key = (k), .number = (long long)(n)})

/* May be called again at any time (reload). */
void log_setup(enum log_level level, bool json);
bool log_enabled(enum log_level level);

/* Also hand every line, as JSON without its newline, to this function; NULL: to nobody. Any thread may call it, and it
 * may not log. Set before other threads log. */
void log_also(void (*keep)(void *arg, enum log_level level, const char *line, size_t len), void *arg);

/* `event` is one stable word with dots (`pusher.broken`); `text` is a sentence for a person. */
void log_line(enum log_level level, const char *event, const char *text, const struct log_field *fields, int count);

#define LOG(level, event, text, ...)                                                                                   \
    do {                                                                                                               \
        if (log_enabled(level)) {                                                                                      \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                                      \
            log_line(level, event, text, log_fields_, (int)COUNT_OF(log_fields_));                                     \
        }                                                                                                              \
    } while (0)

#endif
