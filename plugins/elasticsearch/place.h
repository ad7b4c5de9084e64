/* Where documents go: the template of the index's name, and the mapping that is made for it once. */
#ifndef ELASTICSEARCH_PLACE_H
#define ELASTICSEARCH_PLACE_H

#include "common/http_client.h"
#include "common/template.h"
#include "headgate.h"

/* NULL with a sentence when the text is no template, or no index could have such a name. */
struct template *place_index(const char *text, char *why, size_t why_size);

/* `base` with `path` behind it, one slash between. Freed by the caller; NULL: no memory. */
char *place_url(const char *base, const char *path);

/* Makes an index template (of the name headgate-<instance>) out of the file's mapping, for all names that `index` can
 * give, unless it is there. `key_line`: a header field to send along, or NULL. enum hg_open_result, with a sentence. */
struct place {
    const char *base, *instance, *index, *file, *key_line;
};
int place_mapping(struct http_client *client, const struct place *place, char *why, size_t why_size);

#endif
