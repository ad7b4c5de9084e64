/* A text that cannot be read counts as absent: then the host's own backoff decides. */
#include "common/retry_after.h"

#include <string.h>
#include <time.h>

enum { TEXT_MAX = 64 };

static int64_t bounded_ms(int64_t seconds)
{
    if (seconds <= 0)
        return 0;
    return seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : seconds * 1000;
}

static int64_t seconds_ms(const char *text)
{
    int64_t seconds = 0;
    for (; *text; text++)
        if (seconds < RETRY_AFTER_MAX_MS)
            seconds = seconds * 10 + (*text - '0');
    return bounded_ms(seconds);
}

static int64_t date_ms(const char *text, int64_t now)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && *end == '\0')
            return bounded_ms((int64_t)timegm(&tm) - now);
    }
    return 0;
}

int64_t retry_after_ms(const char *ptr, size_t len, int64_t now)
{
    char text[TEXT_MAX];
    while (len > 0 && (*ptr == ' ' || *ptr == '\t')) {
        ptr++;
        len--;
    }
    while (len > 0 && (ptr[len - 1] == ' ' || ptr[len - 1] == '\t' || ptr[len - 1] == '\r' || ptr[len - 1] == '\n'))
        len--;
    if (len == 0 || len >= sizeof(text) || memchr(ptr, '\0', len))
        return 0;
    memcpy(text, ptr, len);
    text[len] = '\0';
    return strspn(text, "0123456789") == len ? seconds_ms(text) : date_ms(text, now);
}
