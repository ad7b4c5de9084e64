/* What the journal takes in: one appender keeps N requests of S bytes queued and takes them back as they are durable.
 *
 *   journal_bench DIR BYTES QUEUED SECONDS [none|interval] [new]
 *
 * With `new` nothing is settled, so every segment is a fresh file; else all that is durable is released at once and
 * segments are used again: the steady state. Prints one JSON line, like bench/group_commit.c beside the design. */
#include "base/sys.h"
#include "journal/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUEUED_MAX = 4096, LATENCY_MAX = 4000000 };

struct request {
    struct journal_entry entry;
    struct record_parts record;
    struct row_span span;
    uint64_t position;
    int64_t sent_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int woken;

static void done_wake(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    woken = 1;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void send_one(struct journal *j, struct request *r)
{
    r->sent_ns = clock_ns();
    int code = journal_append(j, &r->entry);
    if (code != ERR_OK) {
        fprintf(stderr, "append: %s\n", err_text(code));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: journal_bench DIR BYTES QUEUED SECONDS [none|interval] [new]\n");
        return 64;
    }
    size_t bytes = strtoul(argv[2], NULL, 10), queued = strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    bool fresh = false;
    struct journal_options options = {.dir = argv[1],
                                      .segment_bytes = 64 << 20,
                                      .max_bytes = UINT64_C(10) << 30,
                                      .durability = DURABILITY_FSYNC,
                                      .interval_ms = 100,
                                      .keep_ms = 0,
                                      .keep_bytes = 0};
    for (int i = 5; i < argc; i++) {
        options.durability = strcmp(argv[i], "none") == 0       ? DURABILITY_NONE
                             : strcmp(argv[i], "interval") == 0 ? DURABILITY_INTERVAL
                                                                : options.durability;
        fresh = fresh || strcmp(argv[i], "new") == 0;
    }
    struct journal *j;
    struct journal_report report;
    struct err e;
    if (queued == 0 || queued > QUEUED_MAX || journal_open(&j, &options, &report, &e) != ERR_OK) {
        fprintf(stderr, "%s\n", queued == 0 || queued > QUEUED_MAX ? "queued: 1 to 4096" : e.text);
        return 1;
    }
    struct buf context;
    buf_init(&context, 4096);
    char *data = malloc(bytes);
    struct request *requests = calloc(queued, sizeof *requests);
    double *latency = calloc(LATENCY_MAX, sizeof *latency);
    if (data == NULL || requests == NULL || latency == NULL ||
        context_add(&context, CONTEXT_UUID, SLICE_LIT("5e3c2c7e-2f0f-4f0e-a1c5-0123456789ab")) != ERR_OK ||
        context_finish(&context) != ERR_OK)
        return 1;
    memset(data, 'x', bytes);
    struct commit_queue queue = {.wake = done_wake};
    for (size_t i = 0; i < queued; i++) {
        struct request *r = &requests[i];
        r->span = (struct row_span){.length = (uint32_t)bytes, .index = INDEX_NONE};
        r->record = (struct record_parts){.type = RECORD_ROWS,
                                          .rows = 1,
                                          .context = buf_slice(&context),
                                          .spans = &r->span,
                                          .data = slice_make(data, bytes)};
        r->entry =
            (struct journal_entry){.queue = &queue, .records = &r->record, .count = 1, .positions = &r->position};
    }
    struct timespec pause = {.tv_nsec = 400 * 1000 * 1000}; /* the first segments are being made */
    nanosleep(&pause, NULL);
    int64_t begin = clock_ns(), end = begin + (int64_t)(seconds * 1e9);
    uint64_t finished = 0, outstanding = queued;
    for (size_t i = 0; i < queued; i++)
        send_one(j, &requests[i]);
    while (outstanding > 0) {
        pthread_mutex_lock(&lock);
        while (!woken)
            pthread_cond_wait(&wake, &lock);
        woken = 0;
        pthread_mutex_unlock(&lock);
        int64_t now = clock_ns();
        struct journal_entry *next;
        for (struct journal_entry *entry = commit_take(&queue); entry != NULL; entry = next) {
            struct request *r = container_of(entry, struct request, entry);
            next = entry->next;
            if (entry->status != ERR_OK) {
                fprintf(stderr, "status: %s\n", err_text(entry->status));
                return 1;
            }
            if (finished < LATENCY_MAX)
                latency[finished] = (double)(now - r->sent_ns) * 1e-3;
            finished++;
            if (now < end)
                send_one(j, r);
            else
                outstanding--;
        }
        if (!fresh)
            journal_release(j, journal_durable(j).position);
    }
    double spent = (double)(clock_ns() - begin) * 1e-9;
    struct journal_health h;
    journal_health(j, &h);
    size_t n = finished < LATENCY_MAX ? finished : LATENCY_MAX;
    qsort(latency, n, sizeof *latency, order);
    printf("{\"bytes\":%zu,\"queued\":%zu,\"new\":%d,\"sync_s\":%.0f,\"records_s\":%.0f,\"mb_s\":%.1f,\"group\":%.1f,"
           "\"ack_p50_us\":%.0f,\"ack_p99_us\":%.0f,\"journal_mib\":%.0f}\n",
           bytes, queued, fresh, (double)h.syncs / spent, (double)finished / spent,
           (double)finished * (double)bytes / spent / 1e6, (double)finished / (double)h.commits, latency[n / 2],
           latency[n * 99 / 100], (double)h.bytes / 1048576);
    journal_close(&j);
    free(latency);
    free(requests);
    free(data);
    buf_free(&context);
    return 0;
}
