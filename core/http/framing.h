/* What the fields of a head say: where the body ends, and everything that makes a message ambiguous. Internal to
 * core/http. */
#ifndef HG_HTTP_FRAMING_H
#define HG_HTTP_FRAMING_H

#include "http/head.h"

/* Judge the fields of a head whose lines are all there. Fills the framing members; false: `h->bad` says why. */
bool framing_judge(struct head *h) MUST_CHECK;

#endif
