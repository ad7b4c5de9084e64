/* Where documents go: the template of the index's name, and the mapping that is made for it once. */
#ifndef ELASTICSEARCH_PLACE_H
#define ELASTICSEARCH_PLACE_H

#include "common/http_client.h"
#include "headgate.h"

/* 0, or -1 with a sentence: no index could have such a name. */
int place_check(const char *index, char *why, size_t why_size);

/* `base` with `path` behind it, one slash between. Freed by the caller; NULL: no memory. */
char *place_url(const char *base, const char *path);

/* Makes an index template (of the name headgate-<instance>) out of the file's mapping, for all names that `index` can
 * give, unless it is there. `key_line`: a header field to send along, or NULL. enum hg_open_result, with a sentence. */
struct place {
    const char *base, *instance, *index, *file, *key_line;
};
int place_mapping(struct http_client *client, const struct place *place, char *why, size_t why_size);

#endif
