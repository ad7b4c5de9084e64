/* The rows are known by a digest, so the marker of a batch is as short as that of one row. */
#include "marker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digest_of(char out[BATCH_DIGEST_SIZE], const struct hg_api *api, const struct hg_rows *rows, size_t count)
{
    struct batch_key key;
    batch_key_start(&key);
    for (size_t n = 0; n < count; n++)
        batch_key_add(&key, api, api->row(rows, n));
    return batch_key_digest(&key, out);
}

int marker_set(struct marker *m, const struct hg_api *api, const struct hg_rows *rows, size_t count)
{
    m->count = count;
    return digest_of(m->digest, api, rows, count);
}

int marker_refuse(struct marker *m, size_t n, int error)
{
    if (m->refused_count == MARKER_REFUSED || (m->refused_count > 0 && m->error != error))
        return -1;
    m->error = error;
    m->refused[m->refused_count++] = n;
    return 0;
}

void marker_write(const struct marker *m, char out[MARKER_SIZE])
{
    size_t at = (size_t)snprintf(out, MARKER_SIZE, "hg1 %s %zu %d ", m->digest, m->count, m->error);
    for (size_t i = 0; i < m->refused_count; i++)
        at += (size_t)snprintf(out + at, MARKER_SIZE - at, "%s%zu", i ? "," : "", m->refused[i]);
}

void marker_read(struct marker *m, const char *text, size_t len)
{
    char copy[MARKER_SIZE];
    int used = 0;
    *m = (struct marker){.count = 0};
    if (len >= sizeof(copy))
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (sscanf(copy, "hg1 %16[0-9a-f] %zu %d %n", m->digest, &m->count, &m->error, &used) != 3 || used == 0) {
        *m = (struct marker){.count = 0};
        return;
    }
    for (char *at = copy + used; *at >= '0' && *at <= '9' && m->refused_count < MARKER_REFUSED;) {
        m->refused[m->refused_count++] = strtoul(at, &at, 10);
        at += *at == ',';
    }
}

int marker_none(const struct marker *m)
{
    return m->digest[0] == '\0';
}

size_t marker_covers(const struct marker *m, const struct hg_api *api, const struct hg_rows *rows)
{
    char digest[BATCH_DIGEST_SIZE];
    if (marker_none(m) || m->count > api->row_count(rows) || digest_of(digest, api, rows, m->count) != 0)
        return 0;
    return strcmp(digest, m->digest) == 0 ? m->count : 0;
}

int marker_refused(const struct marker *m, size_t n)
{
    for (size_t i = 0; i < m->refused_count; i++)
        if (m->refused[i] == n)
            return 1;
    return 0;
}
