/* The progress bar of `headgate send`. */
#include "cli/progress.h"

#include "base/sys.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"

#include <string.h>
#include <unistd.h>

enum { BAR = 24, NAME_COLUMNS = 20, EVERY_MS = 100, LINE_BYTES = 256 };

void progress_init(struct progress *p, const char *name, uint64_t total, bool quiet)
{
    *p = (struct progress){
        .on = !quiet && isatty(STDERR_FILENO) == 1, .name = name, .total = total, .began_ms = clock_ms()};
}

void progress_show(struct progress *p, uint64_t done)
{
    int64_t now = clock_ms();
    if (!p->on || (p->drawn && now - p->shown_ms < EVERY_MS && done < p->total))
        return;
    char bar[BAR + 1], name[LINE_BYTES], rate[HUMAN_MAX];
    int full = p->total == 0 ? BAR : (int)(done * BAR / p->total);
    memset(bar, '#', (size_t)full);
    memset(bar + full, '.', (size_t)(BAR - full));
    bar[BAR] = '\0';
    const char *slash = strrchr(p->name, '/');
    say_clean(name, sizeof name, slash == NULL ? p->name : slash + 1, NAME_COLUMNS);
    human_rate(now > p->began_ms ? (double)done * 1000.0 / (double)(now - p->began_ms) : 0, rate);
    fprintf(stderr, "\r%s [%s] %d %%, %llu rows, %s/s\033[K", name, bar,
            p->total == 0 ? 100 : (int)(done * 100 / p->total), (unsigned long long)done, rate);
    fflush(stderr);
    p->drawn = true;
    p->shown_ms = now;
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
