/* The daemon around one pusher, without its loop: what core/supervise does with orders and messages, one at a time. */
#ifndef HG_SIM_DAEMON_H
#define HG_SIM_DAEMON_H

#include "delivery/pusher.h"

extern struct pusher *pusher;
extern struct pusher_settings daemon_settings;
extern uint32_t daemon_flags, daemon_workers, daemon_running;
extern uint64_t daemon_dead_max, daemon_park_max;

/* The pusher is made from what is on the disk, and wanted unless it was forgotten. */
void daemon_open(void);
/* It ends: the host with it. */
void daemon_close(void);
/* Other settings, as after a reload. */
void daemon_configure(void);

/* One thing of each kind that can happen now; false: nothing. */
bool daemon_hear(void);       /* one message of the host */
bool daemon_mind_host(void);  /* it starts, ends, or does one thing */
bool daemon_checkpoint(void); /* what is to be written is written */
void daemon_step(void);       /* pusher_step */
void daemon_kill_host(void);  /* from outside */
void daemon_nonsense(void);   /* the host sends what it should not */
void daemon_give_back(void);  /* segments that the host has left behind */
bool daemon_idle(void);       /* no message, no work, no checkpoint under way */

extern int64_t daemon_wake_ms; /* when pusher_step wants to be called again */

#endif
