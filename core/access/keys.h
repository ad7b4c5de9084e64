/* The keys in force in a daemon. Looking up is for any thread; everything else is for the thread that opened them. */
#ifndef HG_ACCESS_KEYS_H
#define HG_ACCESS_KEYS_H

#include "access/keyfile.h"

struct keys;

/* Reads the files. ERR_DAMAGED, ERR_VERSION, ERR_DENIED, ERR_IO, ERR_NOMEM with a sentence. */
int keys_open(struct keys **out, const char *data_dir, struct err *e) MUST_CHECK;
void keys_close(struct keys **k);
size_t keys_count(const struct keys *k);

/* Has the file changed? Then read it again, and `*changed` is true. On an error the keys before stay in force, and it
 * is told once for each change of the file. A stat() where nothing has changed. */
int keys_look(struct keys *k, bool *changed, struct err *e) MUST_CHECK;

enum key_result { KEY_GOOD, KEY_UNKNOWN, KEY_EXPIRED };
/* `out` is filled for KEY_GOOD, and the key counts as used at `now_s`. Any thread. */
enum key_result keys_find(struct keys *k, struct slice text, int64_t now_s, struct key *out);

/* The key as it is now that `was` one time: KEY_UNKNOWN when it was taken back or is another by that id. Does not count
 * as used. Any thread. */
enum key_result keys_again(struct keys *k, const struct key *was, int64_t now_s, struct key *out);

/* {"keys":[…]}: what is known of each, but for what it is compared with. */
int keys_print(struct keys *k, struct buf *out) MUST_CHECK;

/* When keys were used last, for keyfile_used_write; `*any` is false, and nothing is written, when no key was used since
 * the last call. */
int keys_used_take(struct keys *k, struct buf *out, bool *any) MUST_CHECK;
/* keyfile_used_write in their directory. Blocking; any thread. */
int keys_used_write(const struct keys *k, struct slice text) MUST_CHECK;

#endif
