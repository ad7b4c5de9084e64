/* Waiting, for client verbs that ask again. */
#include "cli/nap.h"

#include "base/sys.h"

#include <poll.h>
#include <stddef.h>

enum { NAP_MAX_MS = 60000 }; /* of one poll */

void nap_ms(int64_t ms)
{
    int64_t until = clock_ms() + ms;
    for (int64_t left; (left = until - clock_ms()) > 0;)
        (void)poll(NULL, 0, left < NAP_MAX_MS ? (int)left : NAP_MAX_MS);
}
