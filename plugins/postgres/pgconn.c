/* libpq is used without blocking throughout, so that a server that went silent costs the request's time and not the
 * host's life; and every question goes out as one text, so that a push costs two round trips.
 *
 * Nothing is taken from the surroundings: password file, service file and the like of whoever runs the gateway stay
 * unread. `target_session_attrs` picks the leader when HOST names several; a session that finds itself on a server that
 * became read-only is closed, so that the next one asks again. */
#include "pgconn.h"

#include "common/reason.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 200, MARGIN_MS = 500, WORDS_MAX = 24, NUMBER_SIZE = 24 };
static const char system_certificates[] = "/etc/ssl/certs/ca-certificates.crt";

/* Of every session: how values are read must not depend on the server's settings. A weaker durability than a commit
 * that is on disk is lifted, a stronger one stays. A session that lost its gateway must not hold rows for longer than
 * needed. */
static const char prologue[] =
    "SET standard_conforming_strings = on; SET DateStyle = ISO; SET TimeZone = 'UTC'; SET bytea_output = hex; "
    "SET client_min_messages = error; "
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; ";

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The moment until which an exchange may take. */
static int64_t deadline_of(const struct pgconn *c, int64_t ms)
{
    int64_t left = c->api->time_left(c->host) - MARGIN_MS;
    return now_ms() + (left < ms ? left : ms);
}

static enum pgend fail_here(struct pgconn *c, const char *why)
{
    snprintf(c->why, sizeof(c->why), "%s", why);
    c->state[0] = '\0';
    pgconn_close(c);
    return PG_NOT_NOW;
}

static enum pgend fail_libpq(struct pgconn *c)
{
    reason_line(c->why, sizeof(c->why), PQerrorMessage(c->pg));
    if (!c->why[0])
        snprintf(c->why, sizeof(c->why), "the connection was lost");
    c->state[0] = '\0';
    pgconn_close(c);
    return PG_NOT_NOW;
}

void pgconn_close(struct pgconn *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
}

void pganswer_clear(struct pganswer *a)
{
    for (size_t i = 0; i < a->table_count; i++)
        PQclear(a->tables[i]);
    *a = (struct pganswer){.inserted = 0};
}

/* 1: the socket is ready, or a slice of the time is over; 0: the time is over. */
static int wait_socket(const struct pgconn *c, short events, int64_t deadline)
{
    int64_t left = deadline - now_ms();
    struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
    if (left <= 0)
        return 0;
    if (poll(&p, 1, (int)(left < SLICE_MS ? left : SLICE_MS)) < 0 && errno != EINTR)
        return 0;
    return 1;
}

/* --- connecting */

struct words {
    const char *names[WORDS_MAX], *values[WORDS_MAX];
    size_t count;
};

static void word(struct words *w, const char *name, const char *value)
{
    if (!value || w->count + 1 >= WORDS_MAX)
        return;
    w->names[w->count] = name;
    w->values[w->count++] = value;
}

static void words_tls(struct words *w, const struct pgsettings *s)
{
    static const char *const modes[] = {[PGTLS_AUTO] = "prefer", [PGTLS_YES] = "verify-full", [PGTLS_NO] = "disable"};
    const char *ca = s->ca ? s->ca : access(system_certificates, R_OK) == 0 ? system_certificates : NULL;
    word(w, "sslmode", s->tls == PGTLS_YES && !s->verify ? "require" : modes[s->tls]);
    word(w, "sslrootcert", s->tls == PGTLS_YES && s->verify ? ca : "/dev/null/none");
    word(w, "sslcert", s->cert ? s->cert : "/dev/null/none");
    word(w, "sslkey", s->key ? s->key : "/dev/null/none");
    word(w, "sslcrl", "/dev/null/none");
}

static PGconn *begin(const struct pgconn *c)
{
    const struct pgsettings *s = c->settings;
    struct words w = {.count = 0};
    char port[NUMBER_SIZE], name[80];
    snprintf(port, sizeof(port), "%lld", (long long)s->port);
    snprintf(name, sizeof(name), "headgate %.50s", c->api->instance(c->host));
    word(&w, "host", s->host);
    word(&w, "port", port);
    word(&w, "user", s->user);
    word(&w, "password", s->password);
    word(&w, "dbname", s->database);
    word(&w, "application_name", name);
    word(&w, "client_encoding", "UTF8");
    word(&w, "target_session_attrs", "read-write");
    word(&w, "passfile", "/dev/null");
    word(&w, "gssencmode", "disable");
    word(&w, "options", "");
    words_tls(&w, s);
    return PQconnectStartParams(w.names, w.values, 0);
}

static enum pgend set_up(struct pgconn *c)
{
    struct strbuf sql;
    strbuf_init(&sql, 4096);
    strbuf_adds(&sql, prologue);
    strbuf_addf(&sql, "SET statement_timeout = %lld; SET lock_timeout = %lld; ", (long long)c->settings->request_ms,
                (long long)c->settings->request_ms / 2);
    strbuf_addf(&sql, "SET idle_in_transaction_session_timeout = %lld", (long long)c->settings->request_ms);
    enum pgend end = sql.failed ? fail_here(c, "no memory") : pgconn_run(c, strbuf_str(&sql), NULL, NULL, NULL);
    if (end != PG_FINE)
        pgconn_close(c);
    strbuf_fini(&sql);
    return end == PG_FINE ? PG_FINE : PG_NOT_NOW;
}

enum pgend pgconn_open(struct pgconn *c)
{
    if (c->pg && PQstatus(c->pg) == CONNECTION_OK)
        return PG_FINE;
    pgconn_close(c);
    int64_t deadline = deadline_of(c, c->settings->connect_ms);
    c->pg = begin(c);
    if (!c->pg)
        return fail_here(c, "no memory");
    for (PostgresPollingStatusType s = PGRES_POLLING_WRITING; s != PGRES_POLLING_OK; s = PQconnectPoll(c->pg)) {
        if (s == PGRES_POLLING_FAILED || PQstatus(c->pg) == CONNECTION_BAD)
            return fail_libpq(c);
        if (c->api->stopping(c->host))
            return fail_here(c, "stopping");
        short events = s == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
        while (poll(&p, 1, SLICE_MS) <= 0)
            if (now_ms() >= deadline || c->api->stopping(c->host))
                return fail_here(c, "no answer to the attempt to connect within CONNECT_TIMEOUT");
        if (now_ms() >= deadline)
            return fail_here(c, "connecting took longer than CONNECT_TIMEOUT");
    }
    if (PQsetnonblocking(c->pg, 1) != 0)
        return fail_libpq(c);
    return set_up(c);
}

/* --- statements */

/* What a server's word means for rows. A row is to blame for what it holds (data, constraints, what a trigger says to
 * it, the size of a row or of an index entry); all else is somebody else's to mend. */
static enum pgend meaning(const char *state)
{
    static const char *const rows[] = {"22", "23", "44", "P0"};
    static const char *const stale[] = {"42703", "42804", "42P01", "42701", "0A000"};
    static const char *const limits[] = {"54000", "54011"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strncmp(state, rows[i], 2) == 0)
            return PG_ROW;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (strcmp(state, limits[i]) == 0)
            return PG_ROW;
    for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
        if (strcmp(state, stale[i]) == 0)
            return PG_STALE;
    return PG_NOT_NOW;
}

static enum pgend fail_server(struct pgconn *c, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    char all[2 * PG_WHY];
    snprintf(c->state, sizeof(c->state), "%s", state ? state : "");
    snprintf(all, sizeof(all), "%.*s%s%.*s (SQLSTATE %s)", PG_WHY / 2, text ? text : PQresultErrorMessage(r),
             detail ? ": " : "", PG_WHY / 3, detail ? detail : "", state ? state : "unknown");
    reason_line(c->why, sizeof(c->why), all);
    return state ? meaning(state) : PG_NOT_NOW;
}

/* Everything that waits to be sent is sent, while what comes in is read, so that neither side waits for the other. */
static int flushed(struct pgconn *c, int64_t deadline)
{
    int left;
    while ((left = PQflush(c->pg)) == 1)
        if (!wait_socket(c, POLLIN | POLLOUT, deadline) || !PQconsumeInput(c->pg))
            return 0;
    return left == 0;
}

static enum pgend part_send(struct pgconn *c, const struct strbuf *part, int64_t deadline)
{
    int sent = 0;
    while (part->len > 0 && sent == 0) {
        sent = PQputCopyData(c->pg, part->ptr, (int)part->len);
        if (sent < 0)
            return fail_libpq(c);
        if (!flushed(c, deadline))
            return now_ms() < deadline ? fail_libpq(c)
                                       : fail_here(c, "the server did not take the rows within REQUEST_TIMEOUT");
    }
    return PG_FINE;
}

static enum pgend copy_send(struct pgconn *c, const struct pgcopy *copy, const char *give_up, int64_t deadline)
{
    for (int more = copy != NULL; more && !give_up;) {
        strbuf_clear(copy->buffer);
        more = copy->more(copy->self, copy->buffer);
        if (copy->buffer->failed)
            return fail_here(c, "no memory for the rows");
        enum pgend end = part_send(c, copy->buffer, deadline);
        if (end != PG_FINE)
            return end;
    }
    if (PQputCopyEnd(c->pg, give_up) < 0 || !flushed(c, deadline))
        return fail_libpq(c);
    return PG_FINE;
}

static PGresult *next_result(struct pgconn *c, int64_t deadline, enum pgend *end)
{
    while (PQisBusy(c->pg)) {
        if (!wait_socket(c, POLLIN, deadline)) {
            *end = fail_here(c, "no answer from the server within REQUEST_TIMEOUT");
            return NULL;
        }
        if (!PQconsumeInput(c->pg)) {
            *end = fail_libpq(c);
            return NULL;
        }
    }
    return PQgetResult(c->pg);
}

static void keep_table(struct pganswer *a, PGresult *r)
{
    if (a && a->table_count < sizeof(a->tables) / sizeof(a->tables[0]))
        a->tables[a->table_count++] = r;
    else
        PQclear(r);
}

/* Leader gone, shutting down, connection broken: only another session can help. */
static int session_is_over(const struct pgconn *c)
{
    return PQstatus(c->pg) != CONNECTION_OK || strcmp(c->state, "25006") == 0 || strncmp(c->state, "57P", 3) == 0 ||
           strncmp(c->state, "08", 2) == 0;
}

enum pgend pgconn_run(struct pgconn *c, const char *sql, const struct pgcopy *copy, const char *first,
                      struct pganswer *a)
{
    int64_t deadline = deadline_of(c, c->settings->request_ms);
    enum pgend end = PG_FINE, lost = PG_FINE;
    int changed = 0, tables = 0;
    PGresult *r;
    if (!PQsendQuery(c->pg, sql) || !flushed(c, deadline))
        return fail_libpq(c);
    while ((r = next_result(c, deadline, &lost)) != NULL) {
        ExecStatusType status = PQresultStatus(r);
        if (status == PGRES_TUPLES_OK) {
            changed |= tables++ == 0 && first && (PQntuples(r) != 1 || strcmp(PQgetvalue(r, 0, 0), first) != 0);
            keep_table(a, r);
            continue;
        }
        if (status == PGRES_COPY_IN)
            lost = copy_send(c, copy, changed ? "the table was changed" : NULL, deadline);
        else if (status == PGRES_COMMAND_OK && a && (PQcmdStatus(r)[0] == 'I' || PQcmdStatus(r)[0] == 'C'))
            a->inserted = strtol(PQcmdTuples(r), NULL, 10); /* of the last of INSERT and COPY */
        else if (status != PGRES_COMMAND_OK && end == PG_FINE)
            end = fail_server(c, r);
        PQclear(r);
        if (lost != PG_FINE)
            return lost;
    }
    if (lost != PG_FINE)
        return lost;
    if (changed && end != PG_FINE)
        end = PG_STALE;
    if (end != PG_FINE && session_is_over(c))
        pgconn_close(c);
    return end;
}
