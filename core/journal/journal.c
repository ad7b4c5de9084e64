/* A journal's life: open, append, close. What the threads do stands in commit.c and threads.c, what a start finds in
 * recover.c.
 *
 * journal_append runs on the caller's thread and does there what can be done there: checksums of the bodies and hashes
 * for the indexes, so that the one commit thread only makes headers. After a crash nothing of a queued entry exists. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { RETRY_MS = 1000 };

/* --- append --- */

/* What can be done on the caller's thread. */
static int entry_prepare(const struct journal *j, struct journal_entry *entry)
{
    CHECK(entry->count > 0);
    uint64_t length = 0;
    for (uint32_t i = 0; i < entry->count; i++) {
        struct record_parts *r = &entry->records[i];
        uint32_t one = record_length(r);
        if (one == 0)
            return ERR_LIMIT;
        length += one;
        r->body_crc = record_body_crc(r);
        index_hashes(r->context, &r->uuid_hash, &r->key_hash);
        r->client = index_client_of(r->context);
    }
    if (length > UINT32_MAX / 4 || SEGMENT_HEADER + GROUP_HEADER + length > j->options.segment_bytes)
        return ERR_LIMIT;
    entry->length = length;
    entry->next = NULL;
    return ERR_OK;
}

static int entry_queue(struct journal *j, struct journal_entry *entry, bool call)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    int code = entry_prepare(j, entry);
    if (code != ERR_OK)
        return code;
    journal_lock(j);
    code = j->closing ? ERR_CLOSED : j->intake;
    if (code == ERR_OK) {
        *j->queue_end = entry;
        j->queue_end = &entry->next;
        if (call)
            commit_call(j);
    }
    journal_unlock(j);
    return code;
}

int journal_append(struct journal *j, struct journal_entry *entry)
{
    return entry_queue(j, entry, true);
}

int journal_put(struct journal *j, struct journal_entry *entry)
{
    return entry_queue(j, entry, false);
}

void journal_reconfigure(struct journal *j, const struct journal_options *options)
{
    journal_lock(j);
    j->options.max_bytes = options->max_bytes;
    j->options.min_free = options->min_free;
    j->options.durability = options->durability;
    j->options.interval_ms = options->interval_ms;
    j->options.keep_ms = options->keep_ms;
    j->options.keep_bytes = options->keep_bytes;
    j->keeps++;
    helper_call(j);
    journal_unlock(j);
}

/* --- open --- */

static int dirs_make(const char *dir, struct err *e)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path)
        return err_set(e, ERR_LIMIT, "the journal's directory has no usable name");
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i <= len; i++)
        if (path[i] == '/' || path[i] == '\0') {
            char c = path[i];
            struct stat st;
            path[i] = '\0';
            bool others = c == '/' && sys->stat(path, &st) == 0;
            if (!others && dir_make(path) != ERR_OK)
                return err_errno(e, errno, "%s", path);
            path[i] = c;
        }
    return ERR_OK;
}

/* The lock is on the open file: it goes with the process, however that ends. */
static int lock_take(struct journal *j, struct err *e)
{
    char path[PATH_MAX];
    int code = path_join(j->options.dir, "lock", path);
    if (code != ERR_OK)
        return err_set(e, code, "the journal's directory has too long a name");
    j->lock_fd = file_open(path, O_RDWR | O_CREAT);
    if (j->lock_fd < 0)
        return err_errno(e, errno, "%s", path);
    int result, tries = 0;
    do
        result = sys->flock(j->lock_fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR && ++tries < 100);
    if (result == 0)
        return ERR_OK;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_BUSY, "the journal %s is locked: another process has it open", j->options.dir);
    return err_errno(e, errno, "%s", path);
}

static int sync_objects_init(struct journal *j)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return ERR_NOMEM;
    int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    failed = failed != 0 ? failed : pthread_mutex_init(&j->lock, NULL);
    failed = failed != 0 ? failed : pthread_cond_init(&j->work, &attr);
    failed = failed != 0 ? failed : pthread_cond_init(&j->chores, &attr);
    pthread_condattr_destroy(&attr);
    return failed != 0 ? ERR_NOMEM : ERR_OK;
}

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *j = calloc(1, sizeof *j);
    if (j == NULL)
        return NULL;
    j->magic = JOURNAL_MAGIC;
    j->options = *options;
    j->options.dir = strdup(options->dir);
    if (j->options.retry_ms == 0)
        j->options.retry_ms = RETRY_MS;
    j->lock_fd = j->writer.fd = -1;
    j->queue_end = &j->queue;
    j->keeps = 1;
    j->writer.pile_end = &j->writer.pile;
    if (j->options.dir == NULL || sync_objects_init(j) != ERR_OK) {
        free((void *)(uintptr_t)j->options.dir);
        free(j);
        return NULL;
    }
    return j;
}

static void list_free(struct segment **list)
{
    while (*list != NULL) {
        struct segment *s = *list;
        *list = s->next;
        segment_free(&s);
    }
}

static void segments_free(struct journal *j)
{
    for (uint32_t i = 0; i < j->count; i++)
        segment_free(&j->table[i]);
    for (uint32_t i = 0; i < j->prepared_count; i++) {
        sys->close(j->prepared[i].fd);
        segment_free(&j->prepared[i].segment);
    }
    list_free(&j->discarded);
    list_free(&j->spares);
    free(j->table);
    free(j->keep);
}

void journal_free(struct journal **handle)
{
    struct journal *j = *handle;
    if (j == NULL)
        return;
    segments_free(j);
    if (j->writer.fd >= 0)
        sys->close(j->writer.fd);
    if (j->lock_fd >= 0)
        sys->close(j->lock_fd);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->chores);
    pthread_mutex_destroy(&j->lock);
    free((void *)(uintptr_t)j->options.dir);
    j->magic = 0;
    free(j);
    *handle = NULL;
}

int journal_open_quiet(struct journal **out, const struct journal_options *options, struct journal_report *report,
                       struct err *e)
{
    CHECK(options->segment_bytes % FILE_PAGE == 0 && options->segment_bytes > 2 * SEGMENT_HEADER);
    struct journal *j = journal_new(options);
    if (j == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    struct journal_report found = {.segments = 0};
    int code = dirs_make(options->dir, e);
    if (code == ERR_OK)
        code = lock_take(j, e);
    if (code == ERR_OK)
        code = journal_recover(j, &found, e);
    if (code == ERR_OK && epoch_draw(&j->epoch) != ERR_OK)
        code = err_set(e, ERR_IO, "the system has no random numbers");
    if (code != ERR_OK) {
        journal_free(&j);
        return code;
    }
    j->writer.rows = j->mark.rows;
    j->writer.synced = j->mark.position;
    trial_passed(j); /* recovery has read, written and synced */
    if (report != NULL)
        *report = found;
    *out = j;
    return ERR_OK;
}

int journal_open(struct journal **out, const struct journal_options *options, struct journal_report *report,
                 struct err *e)
{
    struct journal *j = NULL;
    int code = journal_open_quiet(&j, options, report, e);
    if (code == ERR_OK && journal_start(j) != ERR_OK) {
        code = err_set(e, ERR_NOMEM, "no thread can be started");
        journal_free(&j);
    }
    if (code == ERR_OK)
        *out = j;
    return code;
}
