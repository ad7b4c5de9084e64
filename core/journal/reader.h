/* Reading one segment: the same code for a plugin's host, receipts, replay, recovery and `headgate journal verify`.
 *
 * Never maps memory: a medium's error must be an error code, not a signal. A reader belongs to one thread; it borrows
 * the descriptor. Damage is reported once as a range and stepped over: reading goes on at the next valid group. */
#ifndef HG_JOURNAL_READER_H
#define HG_JOURNAL_READER_H

#include "journal/record.h"

struct reader {
    int fd; /* borrowed */
    uint64_t base;
    uint64_t salt;
    char *bytes; /* one window of the file, grown for a large record */
    size_t cap, filled;
    size_t ahead;        /* bytes read in one go when reading on; reader_init's megabyte may be made less */
    uint64_t window;     /* position of bytes[0] */
    uint64_t group_end;  /* end of the group being read, 0 before the first */
    uint64_t group_at;   /* its position */
    bool blank;          /* a page the medium cannot give counts as zeros, so as damage: for recovery and repair only */
    uint64_t unreadable; /* bytes of such pages so far */
};

enum read_result {
    READ_RECORD, /* *out is set; valid until the next call */
    READ_END,    /* nothing more before `limit` */
    READ_DAMAGE, /* damage from->to was found and stepped over; call again */
    READ_ERROR,  /* ERR_IO or ERR_NOMEM in *code, and the same call may be tried again; or ERR_VERSION: the record at
                  *at is whole, but has something this headgate must know and does not */
};

struct read_damage {
    uint64_t from, to; /* positions */
};

void reader_init(struct reader *r, int fd, uint64_t base, uint64_t salt);
void reader_fini(struct reader *r);
/* Give back a window larger than `keep` bytes. */
void reader_trim(struct reader *r, size_t keep);

/* The first record at or after `*at` and before `limit` (a group's end). `*at` may be the position of a group, of a
 * record, or base + SEGMENT_HEADER; it moves beyond what was read (record, damage) so that calling again goes on.
 * A record at a position that is known is found without its group. */
enum read_result reader_next(struct reader *r, uint64_t *at, uint64_t limit, struct record *out,
                             struct read_damage *damage, int *code);

/* Exactly the record at `position`: 0, ERR_DAMAGED, ERR_NOTFOUND (nothing of a record of this position there, or not
 * before `limit`), ERR_VERSION, ERR_IO, ERR_NOMEM. */
int reader_at(struct reader *r, uint64_t position, uint64_t limit, struct record *out) MUST_CHECK;

/* --- for recovery, verify and repair: whole groups --- */

/* The bytes from `position` to `position + length` in the window, in one piece; ERR_NOTFOUND: the file ends before. */
int reader_bytes(struct reader *r, uint64_t position, size_t length, uint64_t limit,
                 const unsigned char **out) MUST_CHECK;
/* The next valid group header at or after `*at` (a multiple of 8 from base): 0 and *at moved to it, or ERR_NOTFOUND.
 * With `any_salt` the group may be of any life of the file. */
int reader_seek_group(struct reader *r, uint64_t *at, uint64_t limit, bool any_salt,
                      struct group_header *out) MUST_CHECK;

#endif
