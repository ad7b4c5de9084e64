/* Addresses of a daemon. Pure. */
#include "cli/target.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int target_unix(const char *path, struct target *t, struct err *e)
{
    if (path[0] != '/')
        return err_set(e, ERR_SYNTAX, "`unix:%s` must be unix: and an absolute path", path);
    if (strlen(path) >= sizeof t->socket)
        return err_set(e, ERR_SYNTAX, "the path of a unix socket has at most %d bytes", TARGET_SOCKET_MAX - 1);
    memcpy(t->socket, path, strlen(path) + 1);
    snprintf(t->base, sizeof t->base, "http://localhost");
    return ERR_OK;
}

static int target_url(const char *text, struct target *t, struct err *e)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    const char *host = strstr(text, "://") + 3;
    if (host >= text + len || strpbrk(host, "?#@") != NULL)
        return err_set(e, ERR_SYNTAX, "`%s` must be http://host:port", text);
    snprintf(t->base, sizeof t->base, "%.*s", (int)len, text);
    return ERR_OK;
}

static int target_port(const char *text, const char *colon, struct err *e)
{
    char *end;
    long port = colon == NULL || colon[1] < '0' || colon[1] > '9' ? 0 : strtol(colon + 1, &end, 10);
    if (port < 1 || port > 65535 || *end != '\0')
        return err_set(e, ERR_SYNTAX, "`%s` is no address: write host:port, [v6]:port or unix:/path", text);
    return ERR_OK;
}

static int target_host(const char *text, struct target *t, struct err *e)
{
    const char *colon = strrchr(text, ':');
    if (target_port(text, colon, e) != ERR_OK)
        return ERR_SYNTAX;
    size_t len = (size_t)(colon - text);
    const char *host = text;
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (!bracketed && (memchr(text, ':', len) != NULL || strcspn(text, "[]/?#@ ") < len))
        return err_set(e, ERR_SYNTAX, "`%s` is no address: write host:port, [v6]:port or unix:/path", text);
    if (len == 0 || (len == 1 && text[0] == '*') || strncmp(text, "0.0.0.0:", 8) == 0) {
        host = "127.0.0.1";
        len = strlen(host);
    } else if (strncmp(text, "[::]:", 5) == 0) {
        host = "[::1]";
        len = strlen(host);
    }
    snprintf(t->base, sizeof t->base, "http://%.*s%s", (int)len, host, colon);
    return ERR_OK;
}

int remote_target_parse(const char *text, struct target *out, struct err *e)
{
    struct target t = {0};
    char first[TARGET_BASE_MAX - 16];
    text += strspn(text, " ,\t");
    size_t len = strcspn(text, " ,\t");
    if (len == 0 || len >= sizeof first)
        return err_set(e, ERR_SYNTAX, len == 0 ? "the address is empty" : "the address is too long");
    memcpy(first, text, len);
    first[len] = '\0';
    snprintf(t.shown, sizeof t.shown, "%s", first);
    int code;
    if (strncmp(first, "unix:", 5) == 0)
        code = target_unix(first + 5, &t, e);
    else if (strncmp(first, "http://", 7) == 0 || strncmp(first, "https://", 8) == 0)
        code = target_url(first, &t, e);
    else
        code = target_host(first, &t, e);
    if (code == ERR_OK)
        *out = t;
    return code;
}
