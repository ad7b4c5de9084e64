/* The daemon: everything that `headgate run` brings up, in order, and brings to rest again.
 *
 * Loop thread only, but daemon_run's caller owns the process. */
#ifndef HG_API_DAEMON_H
#define HG_API_DAEMON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct intake_counts;
struct refusals;

struct daemon_options {
    struct conf_input input; /* for the start and for every reload */
    const char *host;        /* path of headgate-host */
    bool hint;               /* print addresses and a curl line for a person */
};

/* Runs until it is told to stop; the exit code (sysexits: 0, 70, 74, 78). */
int daemon_run(const struct daemon_options *options);

/* --- for the routes --- */
bool daemon_ready(struct daemon *d, char *why, size_t size);
/* May a request say this Host on admin? `local` is the address that it came to. */
bool daemon_host_allowed(const struct daemon *d, struct slice host, struct slice local);
uint64_t daemon_rows_received(const struct daemon *d);
double daemon_uptime(const struct daemon *d);
uint32_t daemon_connections(const struct daemon *d);
const struct budget *daemon_budget(const struct daemon *d); /* of http.max_memory */
bool daemon_encrypts(const struct daemon *d);
double daemon_tls_left(const struct daemon *d); /* seconds until the certificate ends; only where it encrypts */
double daemon_crl_left(const struct daemon *d); /* the same for the lists of tls.client_crl; only where that is set */
const struct conf *daemon_conf(const struct daemon *d);
void daemon_counts(const struct daemon *d, struct intake_counts *sum); /* of all intakes */
struct refusals *daemon_refusals(struct daemon *d);
/* Reads the settings again. ERR_CONFIG with the faults, a line each: nothing was changed. `changed` and `restart` get
 * keys (and names of pushers), a line each. */
int daemon_reload(struct daemon *d, struct buf *changed, struct buf *restart, struct buf *faults) MUST_CHECK;
void daemon_drain(struct daemon *d); /* no more rows; readiness says so */
bool daemon_draining(const struct daemon *d);

/* Where headgate-host is: beside this program, in ../libexec, or where it was installed. */
int daemon_find_host(char *out, size_t size, struct err *e) MUST_CHECK;

const char *daemon_data_dir(const struct daemon *d); /* as at the start */

/* Why the last line of the audit log is not on disk; NULL: it is. And how often that was so. */
const char *daemon_audit_fault(const struct daemon *d);
uint64_t daemon_audit_faults(const struct daemon *d);

/* Why this folder's file system is no good place for a journal; NULL: it is one, or is not known. */
const char *data_file_system(const char *dir);

#endif
