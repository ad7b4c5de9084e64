/* The life of a host process, from reading its setup to the last close(). */
#ifndef HG_HOST_LIFE_H
#define HG_HOST_LIFE_H

#include "host/host.h"

/* The normal run, with the descriptors of wire.h. The exit status. */
int life_run(void);

/* Every wait ends, workers finish the push in progress and close. Any thread, any number of times, without the mutex.
 */
void life_stop(struct host *h);
/* Wait for something to happen to this worker, at most until `deadline` (clock_ms); with the mutex held. False: the
 * time is over. */
bool life_wait(struct hg_host *w, int64_t deadline);
/* Wait for so long: true, or false at once when the host stops. Without the mutex. */
bool life_pause(struct hg_host *w, int64_t ms);
/* Tell the main thread that a stage has changed. Any thread. */
void life_wake(struct host *h);

#endif
