/* What lies in a journal's directory before anything is judged or touched. */
#ifndef HG_JOURNAL_SURVEY_H
#define HG_JOURNAL_SURVEY_H

#include "journal/record.h"

enum survey_kind {
    SURVEY_GOOD,    /* header valid and of this name */
    SURVEY_LOST,    /* header bad, but groups of this position: salt and epoch are told from them */
    SURVEY_BLANK,   /* first page all zeros and no groups: made ready, never begun */
    SURVEY_NOTHING, /* neither a header nor a group */
    SURVEY_FOREIGN, /* a valid header, but of another base or another journal */
    SURVEY_VOID,    /* given up by the life that wrote it: nothing in it was announced */
};

struct survey_file {
    uint64_t base;  /* of the name */
    uint64_t bytes; /* of the file */
    int64_t mtime_us;
    enum survey_kind kind;
    struct segment_header header; /* GOOD, LOST (prev_base unknown: UINT64_MAX), FOREIGN */
    bool followed;                /* a segment after it says where it ends */
    uint64_t end;                 /* if so */
};

struct survey {
    struct survey_file *files; /* by base */
    uint32_t count, cap;
    uint64_t next_base; /* beyond everything seen, also names only */
    bool unverified;    /* O_DIRECT was refused */
};

/* Read-only. ERR_VERSION when any header is newer. `segment_bytes`: what a file without a header is taken to span. */
int survey_read(const char *dir, uint64_t segment_bytes, struct survey *out, struct err *e) MUST_CHECK;
void survey_fini(struct survey *s);
/* The journal's own mark: what `lock` says (*noted), else what most segments say; false: neither, it is a new journal.
 */
bool survey_stream(const char *dir, const struct survey *s, struct epoch *out, bool *noted);
/* Into the file `lock`, synced. */
int survey_stream_write(int fd, const struct epoch *stream) MUST_CHECK;
/* Segments of another stream become FOREIGN, those in whose place a later one of the same life stands become VOID. */
void survey_judge(struct survey *s, const struct epoch *stream);
struct survey_file *survey_find(const struct survey *s, uint64_t base);
/* A descriptor that reads the medium and not the page cache. *direct is false where that is refused: then the file was
 * synced and its cache dropped. -1 and errno. */
int medium_open(const char *path, bool *direct);

#endif
