/* What is said is the same for all who carry rows over TLS, so it is said here. */
#include "common/opened.h"

int opened(struct hg_host *host, const struct hg_api *api, int result, const char *why, int unchecked)
{
    if (result != HG_OPEN_OK)
        api->fail(host, why);
    else if (unchecked)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    return result;
}
