/* A file is uploaded as NAME.part and gets its name when the server has said that it has all of it. What has the name
 * already is removed right before: the servers of many makers, and SFTP's rename in the version that all speak, refuse
 * to overwrite. That file can only be the same rows, byte for byte, for its name is made of their ids.
 *
 * Whether a rename took place is not known when its answer is missing; everything that can only happen before it is
 * known not to have stored anything. */
#include "place.h"

#include "common/curlhandle.h"
#include "common/paths.h"
#include "common/percent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MOST = 3000, TEXT_MOST = 16 * 1024, REASON_SIZE = 900 };

struct place {
    struct transfer *transfer;
    char *origin; /* "ftp://host:21/" */
    int sftp;
    struct strbuf name, url, line;
    char reason[REASON_SIZE];
};

/* --- settings --- */

static int url_check(const char *url, char *why, size_t size)
{
    CURLU *u = curl_url();
    char *user = NULL, *path = NULL, *scheme = NULL, *query = NULL;
    int ok = u && !curlhandle_has_control(url) && !strchr(url, ' ') &&
             curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
             curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
             (strcmp(scheme, "ftp") == 0 || strcmp(scheme, "ftps") == 0 || strcmp(scheme, "sftp") == 0);
    if (!ok)
        snprintf(why, size, "URL is not ftp://, ftps:// or sftp:// with the name of a server");
    else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK) {
        snprintf(why, size, "URL holds a user name, which belongs into USER and PASSWORD");
        ok = 0;
    } else if ((curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") != 0) ||
               curl_url_get(u, CURLUPART_QUERY, &query, 0) == CURLUE_OK || strchr(url, '#')) {
        snprintf(why, size, "URL holds a path, which belongs into PREFIX");
        ok = 0;
    }
    curl_free(user);
    curl_free(path);
    curl_free(scheme);
    curl_free(query);
    curl_url_cleanup(u);
    return ok ? 0 : -1;
}

static int settings_check(const struct place_settings *s, int sftp, char *why, size_t size)
{
    if (url_check(s->url, why, size) != 0)
        return -1;
    if (sftp && s->transfer.verify && !s->known_hosts)
        snprintf(why, size, "sftp needs KNOWN_HOSTS, by which the server is known");
    else if (sftp && !s->transfer.user)
        snprintf(why, size, "sftp needs USER");
    else if (!sftp && (s->known_hosts || s->key_password))
        snprintf(why, size, "KNOWN_HOSTS and KEY_PASSWORD are for sftp alone");
    else if (curlhandle_has_control(s->key_password))
        snprintf(why, size, "KEY_PASSWORD must not hold control characters");
    else if (sftp && (s->transfer.cert || s->transfer.ca))
        snprintf(why, size, "CA and CERT are for ftp and ftps alone");
    else if (!sftp && s->transfer.key && !s->transfer.cert)
        snprintf(why, size, "KEY needs CERT");
    else if (s->transfer.starttls && strncasecmp(s->url, "ftp://", 6) != 0)
        snprintf(why, size, "TLS=yes is for ftp:// alone; the others are encrypted anyway");
    else
        return 0;
    return -1;
}

static int curl_setup_sftp(CURL *curl, const struct place_settings *s)
{
    long ways = s->key ? CURLSSH_AUTH_PUBLICKEY : CURLSSH_AUTH_PASSWORD | CURLSSH_AUTH_KEYBOARD;
    int ok = curl_easy_setopt(curl, CURLOPT_SSH_AUTH_TYPES, ways) == CURLE_OK;
    if (s->key) {
        ok &= curl_easy_setopt(curl, CURLOPT_SSH_PRIVATE_KEYFILE, s->key) == CURLE_OK;
        ok &= curl_easy_setopt(curl, CURLOPT_SSH_PUBLIC_KEYFILE, "") == CURLE_OK; /* it is in the private one */
        ok &= curl_easy_setopt(curl, CURLOPT_KEYPASSWD, s->key_password ? s->key_password : "") == CURLE_OK;
    }
    if (s->transfer.verify) /* a host that is not in the file, or has another key there, is refused */
        ok &= curl_easy_setopt(curl, CURLOPT_SSH_KNOWNHOSTS, s->known_hosts) == CURLE_OK;
    return ok ? 0 : -1;
}

static int curl_setup(struct place *p, const struct place_settings *s)
{
    CURL *curl = transfer_curl(p->transfer);
    int ok = curl_easy_setopt(curl, CURLOPT_FTP_CREATE_MISSING_DIRS, (long)CURLFTP_CREATE_DIR_RETRY) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_FTP_SKIP_PASV_IP, 1L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
    if (!ok || !p->sftp)
        return ok ? 0 : -1;
    return curl_setup_sftp(curl, s);
}

struct place *place_new(const struct place_settings *settings, struct hg_host *host, const struct hg_api *api,
                        char *why, size_t why_size, int *broken)
{
    struct place_settings s = *settings;
    int sftp = strncasecmp(s.url, "sftp:", 5) == 0;
    *broken = settings_check(&s, sftp, why, why_size) != 0;
    struct place *p = *broken ? NULL : calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    strbuf_init(&p->name, TEXT_MOST);
    strbuf_init(&p->url, TEXT_MOST);
    strbuf_init(&p->line, TEXT_MOST);
    p->sftp = sftp;
    s.transfer.protocols = "ftp,ftps,sftp";
    p->transfer = transfer_new(&s.transfer, host, api, why, why_size, broken);
    size_t len = strlen(s.url);
    if (p->transfer &&
        (curl_setup(p, &s) != 0 || asprintf(&p->origin, "%s%s", s.url, s.url[len - 1] == '/' ? "" : "/") < 0)) {
        p->origin = NULL;
        snprintf(why, why_size, "libcurl refuses the settings, or there is no memory");
        transfer_free(&p->transfer);
    }
    if (!p->transfer)
        place_free(&p);
    return p;
}

void place_free(struct place **p)
{
    if (!*p)
        return;
    transfer_free(&(*p)->transfer);
    free((*p)->origin);
    strbuf_fini(&(*p)->name);
    strbuf_fini(&(*p)->url);
    strbuf_fini(&(*p)->line);
    free(*p);
    *p = NULL;
}

/* --- names --- */

/* A name that begins with a slash is one; others are below the folder that the user logs in to. */
static void url_make(struct place *p)
{
    const char *at = strbuf_str(&p->name);
    strbuf_clear(&p->url);
    strbuf_adds(&p->url, p->origin);
    if (p->sftp && *at != '/')
        strbuf_adds(&p->url, "~/");
    else if (p->sftp)
        at++;
    else if (*at == '/') {
        strbuf_adds(&p->url, "%2F"); /* RFC 1738 section 3.2.2 */
        at++;
    }
    for (size_t len; *at; at += len) {
        len = strcspn(at, "/");
        if (len > 0)
            percent_add(&p->url, at, len);
        else
            strbuf_add(&p->url, at, len = 1);
    }
    strbuf_adds(&p->url, ".part");
}

/* Appends a file's name to the command: for SFTP, whose names libcurl wants in quotes, from the login folder on; for
 * FTP as seen from the file's folder, where the upload has gone to. */
static void line_name(struct place *p, const char *suffix)
{
    const char *name = strbuf_str(&p->name), *slash = strrchr(name, '/');
    strbuf_addc(&p->line, ' ');
    if (!p->sftp) {
        strbuf_addf(&p->line, "%s%s", slash ? slash + 1 : name, suffix);
        return;
    }
    strbuf_addc(&p->line, '"');
    for (const char *at = name; *at; at++) {
        if (*at == '"' || *at == '\\')
            strbuf_addc(&p->line, '\\');
        strbuf_addc(&p->line, *at);
    }
    strbuf_addf(&p->line, "%s\"", suffix);
}

/* `word` and the names with these suffixes as one more command. */
static int line_end(struct place *p, struct curl_slist **list, const char *word, const char *one, const char *two)
{
    strbuf_clear(&p->line);
    strbuf_adds(&p->line, word);
    line_name(p, one);
    if (two)
        line_name(p, two);
    struct curl_slist *longer = p->line.failed ? NULL : curl_slist_append(*list, strbuf_str(&p->line));
    if (!longer)
        return -1;
    *list = longer;
    return 0;
}

/* A star: its failure is none, there was no such file. */
static int rename_lines(struct place *p, struct curl_slist **list)
{
    if (p->sftp)
        return line_end(p, list, "*rm", "", NULL) != 0 || line_end(p, list, "rename", ".part", "") != 0 ? -1 : 0;
    return line_end(p, list, "*DELE", "", NULL) != 0 || line_end(p, list, "RNFR", ".part", NULL) != 0 ||
                   line_end(p, list, "RNTO", "", NULL) != 0
               ? -1
               : 0;
}

static int remove_line(struct place *p, struct curl_slist **list)
{
    return line_end(p, list, p->sftp ? "rm" : "DELE", ".part", NULL);
}

/* --- files --- */

static enum object_outcome outcome_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK: return OBJECT_STORED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_LOGIN_DENIED:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_USE_SSL_FAILED:
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_REMOTE_DISK_FULL:
    case CURLE_UPLOAD_FAILED: return OBJECT_REFUSED;
    default: return OBJECT_UNKNOWN;
    }
}

static enum object_outcome upload(struct place *p, int (*then)(struct place *, struct curl_slist **), const void *body,
                                  size_t len)
{
    struct curl_slist *lines = NULL;
    CURL *curl = transfer_curl(p->transfer);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    url_make(p);
    snprintf(p->reason, sizeof(p->reason), "no memory");
    if (!p->url.failed && then(p, &lines) == 0 && curl_easy_setopt(curl, CURLOPT_POSTQUOTE, lines) == CURLE_OK) {
        code = transfer_send(p->transfer, strbuf_str(&p->url), body, len);
        snprintf(p->reason, sizeof(p->reason), "%s", transfer_reason(p->transfer));
        curl_easy_setopt(curl, CURLOPT_POSTQUOTE, NULL);
    }
    curl_slist_free_all(lines);
    return outcome_of(code);
}

static int name_set(struct place *p, const char *name)
{
    strbuf_clear(&p->name);
    path_shorten(name, &p->name);
    if (!p->name.failed && p->name.len <= NAME_MOST)
        return 0;
    snprintf(p->reason, sizeof(p->reason), "the file's name would have more than %d bytes", (int)NAME_MOST);
    return -1;
}

static enum object_outcome place_put(void *place, const char *name, const char *type, const void *body, size_t len)
{
    struct place *p = place;
    (void)type;
    return name_set(p, name) == 0 ? upload(p, rename_lines, body, len) : OBJECT_NAME;
}

enum object_outcome place_try(struct place *p, const char *name)
{
    return name_set(p, name) == 0 ? upload(p, remove_line, "", 0) : OBJECT_NAME;
}

const char *place_reason(const void *place)
{
    const struct place *p = place;
    return p->reason;
}

const struct object_store place_store = {place_put, place_reason, NULL};
