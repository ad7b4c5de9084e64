/* Putting files away: moved without ever taking another's place, or removed; and it is durable. */
#ifndef DIRECTORY_PUTAWAY_H
#define DIRECTORY_PUTAWAY_H

/* Moves folder/name to `to`, as name, or as name.1 and so on where that is taken. With `error` a file name.error with
 * that text stands beside it before it is there. 0, or an errno. */
int putaway_move(const char *folder, const char *name, const char *to, const char *error);
int putaway_remove(const char *folder, const char *name);

#endif
