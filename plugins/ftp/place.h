/* A server to which files are uploaded: ftp, ftps or sftp. */
#ifndef FTP_PLACE_H
#define FTP_PLACE_H

#include "common/objects.h"
#include "common/transfer.h"
#include "headgate.h"

struct place_settings {
    const char *url; /* scheme, host and port alone */
    struct transfer_settings transfer;
    const char *known_hosts, *key, *key_password; /* sftp */
};

struct place;

/* NULL with a sentence; `*broken` is 1 when only another setting can help. Texts of the settings are kept. */
struct place *place_new(const struct place_settings *settings, struct hg_host *host, const struct hg_api *api,
                        char *why, size_t why_size, int *broken);
void place_free(struct place **p);

/* Writes a file under this name with .part behind it, and removes it: may files be put here? */
enum object_outcome place_try(struct place *p, const char *name);

const char *place_reason(const void *place);

/* `far` is a struct place. */
extern const struct object_store place_store;

#endif
