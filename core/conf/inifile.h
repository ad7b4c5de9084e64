/* The settings file as entries with their line numbers. Read by inih, after a scan that refuses what inih would mangle.
 * Inside core/conf only, and for the fuzzer. */
#ifndef HG_CONF_INIFILE_H
#define HG_CONF_INIFILE_H

#include "base/slice.h"
#include "conf/lines.h"

#include <stdbool.h>

enum {
    INIFILE_MAX = 256 * 1024,   /* bytes */
    INIFILE_ENTRIES_MAX = 4096, /* keys */
    INIFILE_LINE_MAX = 198,     /* bytes; inih splits longer ones */
    INIFILE_SECTION_MAX = 49,   /* bytes; inih cuts longer ones */
};

struct inifile_entry {
    char *section, *key, *value; /* owned; the value may be empty */
    int line;                    /* from 1 */
};

struct inifile {
    struct inifile_entry *entries;
    size_t count;
};

/* Each fault is a line "file PATH:LINE: …". `out` holds what could be read even so; fini it in every case. ERR_NOMEM;
 * else 0, also when there are faults. */
int inifile_parse(struct slice text, const char *path, struct inifile *out, struct lines *faults,
                  struct lines *notices) MUST_CHECK;
/* From the disk. A file that is not there, unless it may be absent, or cannot be read is a fault. */
int inifile_read(const char *path, bool may_be_absent, struct inifile *out, struct lines *faults,
                 struct lines *notices) MUST_CHECK;
void inifile_fini(struct inifile *f);

#endif
