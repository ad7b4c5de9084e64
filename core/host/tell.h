/* The messages a worker sends about a hand-out. Sending fails only when the daemon is gone, which the main thread sees
 * too: so nothing is returned. */
#ifndef HG_HOST_TELL_H
#define HG_HOST_TELL_H

#include "host/host.h"

/* What one hand-out came to, for DONE. */
struct told {
    uint32_t result; /* enum hg_result, as it is to be taken */
    bool bad_result;
    struct wire_place end;
    int64_t push_us;
    const char *reason; /* of the call; not NUL-terminated */
    uint32_t reason_length;
};

void tell_taken(struct hg_host *w, const struct batch_end *end);
/* VERDICTS, as many messages as it takes, then COUNT for what was counted, then DONE. */
void tell_done(struct hg_host *w, const struct told *told);
void tell_damage(struct hg_host *w, struct read_damage damage);
void tell_dropped(struct host *h, uint32_t store, uint64_t base);
/* OPEN_FAILED and PROBED. */
void tell_outcome(struct host *h, enum wire_type type, uint16_t lane, uint64_t token, int result, const char *reason);
void tell_pulled(struct hg_host *w, uint64_t token, int result, const char *reason);
/* One piece of an emission; false: the daemon is gone. */
bool tell_emit(struct hg_host *w, const struct wire_emit *piece, const char *bytes) MUST_CHECK;
void tell_ready(struct host *h);
void tell_counts(struct host *h);

#endif
