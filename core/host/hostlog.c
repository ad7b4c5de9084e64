/* Lines to the daemon's log. A line is at most what a pipe takes in one piece, so lines of several threads never mix; a
 * longer text is cut. A full pipe must not hold up a push: the line is dropped, and the next one that fits is preceded
 * by how many were. */
#include "host/hostlog.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic unsigned long dropped;

void hostlog_setup(void)
{
    struct stat st;
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    if (flags >= 0 && fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode))
        (void)fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
}

static bool hostlog_line(uint32_t level, const char *text)
{
    char line[PIPE_BUF];
    size_t len = strnlen(text, sizeof line - 4);
    line[0] = '<';
    line[1] = (char)('0' + (level > 3 ? 3 : level));
    line[2] = '>';
    for (size_t i = 0; i < len; i++)
        line[3 + i] = (unsigned char)text[i] < 0x20 && text[i] != '\t' ? ' ' : text[i];
    line[3 + len] = '\n';
    return write(STDERR_FILENO, line, len + 4) == (ssize_t)(len + 4);
}

static void hostlog_tell_dropped(void)
{
    unsigned long count = atomic_exchange(&dropped, 0);
    char text[64];
    snprintf(text, sizeof text, "%lu log lines were dropped", count);
    if (count > 0 && !hostlog_line(1, text))
        atomic_fetch_add(&dropped, count);
}

void hostlog_text(uint32_t level, const char *text)
{
    hostlog_tell_dropped();
    if (!hostlog_line(level, text))
        atomic_fetch_add(&dropped, 1);
}

void hostlog(uint32_t level, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hostlog_text(level, text);
}
