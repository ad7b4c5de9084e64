/* Who may call: opening what callers are judged by, noticing changed files, writing down when keys were used.
 *
 * The last use of a key is worth no write for each request: it is kept in memory and written at most once a minute, on
 * a worker thread, and once at the end. A crash forgets a minute of it. */
#include "api/parts.h"

#include "access/keyfile.h"

#include <stdlib.h>

enum { USED_EVERY_MS = 60000 };

int daemon_open_access(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct err e = {0};
    const struct access_options options = {
        .data_dir = s->data_dir, .client_roles = s->tls_client_roles, .auth = s->http_auth | s->admin_auth};
    d->used_saved_ms = clock_ms();
    int code = access_open(&d->access, &options, &e);
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "access.not_opened", e.text);
        return code == ERR_NOMEM ? EXIT_INTERNAL_FAULT : code == ERR_IO ? EXIT_DISK_FAULT : EXIT_CONFIG_FAULT;
    }
    if ((options.auth & AUTH_KEYS) != 0 && access_keys(d->access) == 0)
        LOG(LOG_WARN, "access.no_keys", "there is no key yet, so nobody gets in with one: headgate key add");
    return EXIT_OK;
}

static void look_at_files(struct daemon *d)
{
    static const struct {
        const char *read, *not_read, *text;
    } events[ACCESS_PARTS] = {
        [ACCESS_KEYS] = {"access.keys", "access.keys_not_read", "the keys were read again"},
        [ACCESS_CERTS] = {"access.certs", "access.certs_not_read", "roles of certificates were read again"},
    };
    for (int part = 0; part < ACCESS_PARTS; part++) {
        struct err e = {0};
        bool changed;
        if (access_look(d->access, (enum access_part)part, &changed, &e) != ERR_OK)
            LOG(LOG_ERROR, events[part].not_read, e.text);
        else if (changed)
            LOG(LOG_INFO, events[part].read, events[part].text);
    }
}

/* --- last use --- */

struct used_job {
    uv_work_t work;
    struct daemon *daemon;
    struct buf text;
    int code;
};

static void used_write(uv_work_t *work)
{
    struct used_job *job = work->data;
    job->code = access_used_write(job->daemon->access, buf_slice(&job->text));
}

static void used_end(struct used_job *job)
{
    if (job->code != ERR_OK)
        LOG(LOG_WARN, "access.use_not_written", "when keys were used last could not be written",
            LOG_S("why", err_text(job->code)));
    buf_free(&job->text);
    free(job);
}

static void used_written(uv_work_t *work, int status)
{
    struct used_job *job = work->data;
    (void)status;
    job->daemon->api.works--;
    used_end(job);
}

/* NULL when there is nothing to write. */
static struct used_job *used_job_new(struct daemon *d)
{
    bool any = false;
    struct used_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->work.data = job;
    job->daemon = d;
    buf_init(&job->text, KEYFILE_BYTES);
    job->code = access_used_take(d->access, &job->text, &any);
    if (any && job->code == ERR_OK)
        return job;
    used_end(job);
    return NULL;
}

void daemon_look_access(struct daemon *d)
{
    int64_t now = clock_ms();
    look_at_files(d);
    if (now - d->used_saved_ms < USED_EVERY_MS)
        return;
    d->used_saved_ms = now;
    struct used_job *job = used_job_new(d);
    if (job == NULL)
        return;
    d->api.works++;
    CHECK(uv_queue_work(&d->loop, &job->work, used_write, used_written) == 0);
}

void daemon_close_access(struct daemon *d)
{
    struct used_job *job = d->access == NULL ? NULL : used_job_new(d);
    if (job != NULL) {
        used_write(&job->work);
        used_end(job);
    }
    access_close(&d->access);
}

/* --- the log --- */

void daemon_note_refused(void *arg, const struct http_request *r, int status, struct slice detail)
{
    struct daemon *d = arg;
    if (status != 401 && status != 403)
        return;
    const struct refusal_note note = {
        .status = status, .peer = slice_of(r->peer), .method = r->method_text, .path = r->path, .detail = detail};
    refusals_add(d->refusals, &note);
}
