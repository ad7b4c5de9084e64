/* Verdicts beyond those a plugin can give (enum hg_verdict): what the host itself says of a row. */
#ifndef HG_DELIVERY_VERDICT_H
#define HG_DELIVERY_VERDICT_H

#include "headgate.h"

enum host_verdict {
    VERDICT_HELD = 16,   /* left out because of its uuid */
    VERDICT_LOST = 17,   /* of a list: the row could not be read */
    VERDICT_CLIENT = 18, /* of a range: passed by, the row set is of a client that CLIENTS does not name */
};

#endif
