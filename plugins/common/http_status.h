/* What an HTTP answer's status means for rows. */
#ifndef COMMON_HTTP_STATUS_H
#define COMMON_HTTP_STATUS_H

enum http_meaning {
    HTTP_DELIVERED, /* 2xx */
    HTTP_GUILTY,    /* 400, 413, 422: something of this request can never be taken */
    HTTP_NOT_NOW    /* everything else: the far end, the address or the password, never a row */
};

enum http_meaning http_status_meaning(long status);

/* What a probe makes of it: 1 unless the far end is out of order, or refuses the password. */
int http_status_reachable(long status);

/* "Service Unavailable" for 503; "" for one that has no name here. */
const char *http_status_text(long status);

#endif
