/* A far end on loopback, in a thread of its own, that takes one connection after the other: what tests of pushers put
 * their brokers and servers on.
 *
 * It and the test take turns, which sockets bring about and a sanitizer cannot see: each says so by farend_turn, before
 * it lets the other go on and when it goes on itself. Only between turns may the test look at what `serve` writes. */
#ifndef TEST_FAREND_H
#define TEST_FAREND_H

#include <pthread.h>
#include <stddef.h>

struct farend {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    char port[8];
    void (*serve)(void *arg, int fd);
    void *arg;
    size_t connections;
};

/* `serve`: one connection, from its beginning to its end; it closes it. 0, or -1. */
int farend_start(struct farend *f, void (*serve)(void *arg, int fd), void *arg);
void farend_stop(struct farend *f); /* when every connection is closed by the other end */
void farend_turn(struct farend *f);
/* Ends a connection from here: what the other end has not read yet is not lost. Returns when it has closed, too. */
void farend_close(int fd);

#endif
