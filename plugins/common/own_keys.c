/* Names are compared after their escapes are resolved: "\u005fid" is _id. */
#include "common/own_keys.h"

#include <string.h>

enum { NAME_SIZE = 16 /* longer than each of them */ };

const char *const own_keys[OWN_KEYS] = {"_id", "_uuid", "_index", "_received"};

int own_key_taken(const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text key;
    struct hg_value value;
    for (size_t at = 0; api->next(api->data(row), &at, &key, &value);) {
        char name[NAME_SIZE];
        if (api->text((struct hg_text){key.ptr - 1, key.len + 2}, name, sizeof(name)) < 0)
            continue;
        for (size_t i = 0; i < OWN_KEYS; i++)
            if (strcmp(name, own_keys[i]) == 0)
                return 1;
    }
    return 0;
}
