/* What a listen address looks like, and whether strangers can reach it. Nothing is resolved: a name is a stranger's
 * unless it is `localhost`, because what it stands for tomorrow is not known today. */
#include "conf/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { HOST_MAX = 253 };

struct address {
    char host[HOST_MAX + 1];
    bool bracketed;
};

static int refuse(struct err *e, const char *text, const char *why)
{
    return err_set(e, ERR_SYNTAX, "\"%.80s\" is not an address: %s", text, why);
}

static int check_unix(const char *text, struct err *e)
{
    const char *path = text + 5;
    if (*path != '/')
        return refuse(e, text, "write the whole path of the socket, as in unix:/run/headgate/rows.sock");
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return refuse(e, text, "the path of a unix socket has at most 107 bytes");
    return ERR_OK;
}

static int check_port(const char *text, const char *port, struct err *e)
{
    size_t len = strlen(port);
    if (len == 0 || len > 5 || strspn(port, "0123456789") != len || strtol(port, NULL, 10) > 65535)
        return refuse(e, text, "a port is a number up to 65535, as in 127.0.0.1:8080");
    return ERR_OK;
}

/* Host and port apart. */
static int split(const char *text, struct address *out, struct err *e)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return refuse(e, text, "write host and port, as in 127.0.0.1:8080, or unix:/path");
    out->bracketed = *text == '[';
    const char *from = text, *to = colon;
    if (out->bracketed) {
        from++;
        if (to - from < 1 || *--to != ']')
            return refuse(e, text, "write an IPv6 address as in [::1]:8080");
    }
    if (to == from)
        return refuse(e, text, "the host is missing: 127.0.0.1 for this machine, 0.0.0.0 or [::] for all");
    if (to - from > HOST_MAX)
        return refuse(e, text, "the host is too long");
    memcpy(out->host, from, (size_t)(to - from));
    out->host[to - from] = '\0';
    return check_port(text, colon + 1, e);
}

static bool is_host_name(const char *host)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return host[0] != '-' && host[0] != '.' && strspn(host, chars) == strlen(host);
}

int address_check(const char *text, struct err *e)
{
    if (strncmp(text, "unix:", 5) == 0)
        return check_unix(text, e);
    struct address a;
    int code = split(text, &a, e);
    if (code != ERR_OK)
        return code;
    struct in6_addr v6;
    struct in_addr v4;
    if (a.bracketed)
        return inet_pton(AF_INET6, a.host, &v6) == 1 ? ERR_OK : refuse(e, text, "that is no IPv6 address");
    if (strchr(a.host, ':') != NULL)
        return refuse(e, text, "write an IPv6 address in brackets, as in [::1]:8080");
    if (!is_host_name(a.host))
        return refuse(e, text, "the host may hold letters, digits, dots and dashes");
    if (strspn(a.host, "0123456789.") == strlen(a.host) && inet_pton(AF_INET, a.host, &v4) != 1)
        return refuse(e, text, "that is no IPv4 address");
    return ERR_OK;
}

static bool is_local_v4(const unsigned char bytes[4])
{
    return bytes[0] == 127;
}

bool address_is_local(const char *text)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    struct address a;
    if (strncmp(text, "unix:", 5) == 0)
        return true;
    if (split(text, &a, NULL) != ERR_OK)
        return false;
    unsigned char bytes[16];
    if (a.bracketed) {
        if (inet_pton(AF_INET6, a.host, bytes) != 1)
            return false;
        return memcmp(bytes, &in6addr_loopback, 16) == 0 || (memcmp(bytes, mapped, 12) == 0 && is_local_v4(bytes + 12));
    }
    if (inet_pton(AF_INET, a.host, bytes) == 1)
        return is_local_v4(bytes);
    return strcasecmp(a.host, "localhost") == 0;
}
