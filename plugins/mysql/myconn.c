/* libmariadb blocks, so every read and write has a timeout: REQUEST_TIMEOUT, or what is left of the push when that is
 * less. No option file and no plugin folder is read. What the session needs is set at once, above all the strict mode:
 * without it the server would cut texts and change numbers, and say so in a warning only. */
#include "myconn.h"

#include "common/reason.h"

#include <mariadb/errmsg.h>
#include <mariadb/mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN_MS = 500, PACKET_DEFAULT = 4 << 20 };

/* A row is to blame: beside the classes 22 (data), 23 (constraints) and 45 (SIGNAL of a trigger) of SQLSTATE these,
 * that the server gives under other classes. */
static const unsigned row_errors[] = {
    ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, /* wrong type or characters */
    ER_NO_DEFAULT_FOR_FIELD,
    WARN_DATA_TRUNCATED,
    ER_DATA_TOO_LONG,
    ER_TOO_BIG_ROWSIZE,
    3140, /* MySQL: invalid JSON */
    3819, /* MySQL: a check */
    4025, /* MariaDB: a check */
};
static const unsigned stale_errors[] = {ER_BAD_FIELD_ERROR, ER_NO_SUCH_TABLE, ER_NEED_REPREPARE,
                                        ER_WRONG_VALUE_COUNT_ON_ROW};

static int among(unsigned number, const unsigned *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == number)
            return 1;
    return 0;
}

void myconn_close(struct myconn *c)
{
    if (c->my)
        mysql_close(c->my);
    c->my = NULL;
}

enum myend myconn_say(struct myconn *c, const char *why)
{
    snprintf(c->why, sizeof(c->why), "%s", why);
    c->number = 0;
    return MY_NOT_NOW;
}

/* Numbers from 2000 on are the library's: the connection is gone or in disorder. A server that became read-only, or
 * that shuts down, can only be left. */
static int session_is_over(unsigned number)
{
    return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) || number == ER_SERVER_SHUTDOWN ||
           number == ER_OPTION_PREVENTS_STATEMENT || number == ER_CONNECTION_KILLED ||
           number == ER_NET_PACKET_TOO_LARGE || number >= CER_MIN_ERROR;
}

enum myend myconn_fault(struct myconn *c, unsigned number, const char *state, const char *text)
{
    char all[2 * MY_WHY];
    snprintf(all, sizeof(all), "%.*s (error %u, SQLSTATE %s)", MY_WHY - 80, text, number, state);
    reason_line(c->why, sizeof(c->why), all);
    c->number = number;
    if (session_is_over(number)) {
        myconn_close(c);
        return MY_NOT_NOW;
    }
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "45", 2) == 0 ||
        among(number, row_errors, sizeof(row_errors) / sizeof(row_errors[0])))
        return MY_ROW;
    return among(number, stale_errors, sizeof(stale_errors) / sizeof(stale_errors[0])) ? MY_STALE : MY_NOT_NOW;
}

static enum myend fault(struct myconn *c)
{
    return myconn_fault(c, mysql_errno(c->my), mysql_sqlstate(c->my), mysql_error(c->my));
}

/* Whole seconds, at least one: the library counts so. */
static unsigned seconds(int64_t ms)
{
    return ms < 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

static void set_options(const struct myconn *c)
{
    const struct mysettings *s = c->settings;
    unsigned connect = seconds(s->connect_ms), request = seconds(s->request_ms);
    unsigned local_files = 0;
    my_bool on = 1, verify = (my_bool)(s->tls == MYTLS_YES && s->verify), reconnect = 0;
    mysql_optionsv(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_optionsv(c->my, MYSQL_OPT_READ_TIMEOUT, &request);
    mysql_optionsv(c->my, MYSQL_OPT_WRITE_TIMEOUT, &request);
    mysql_optionsv(c->my, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(c->my, MYSQL_OPT_LOCAL_INFILE, &local_files);
    mysql_optionsv(c->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "headgate");
    if (s->tls == MYTLS_NO)
        return;
    if (s->tls == MYTLS_YES)
        mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    mysql_ssl_set(c->my, s->key, s->cert, s->ca, NULL, NULL);
}

/* What a session is asked first. In READ COMMITTED a repeat that waited for its predecessor sees what that one wrote.
 */
static enum myend set_up(struct myconn *c)
{
    char sql[512];
    MYSQL_RES *table = NULL;
    snprintf(sql, sizeof(sql),
             "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
             "NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', innodb_lock_wait_timeout = %u, autocommit = 1",
             seconds(c->settings->request_ms / 2));
    enum myend end = myconn_run(c, sql, NULL);
    if (end == MY_FINE)
        end = myconn_run(c, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", NULL);
    /* MariaDB's own: a session that lost its gateway must not hold rows for longer than needed. */
    snprintf(sql, sizeof(sql), "SET SESSION idle_transaction_timeout = %u", seconds(c->settings->request_ms));
    if (end == MY_FINE && myconn_run(c, sql, NULL) != MY_FINE && c->number != ER_UNKNOWN_SYSTEM_VARIABLE)
        end = MY_NOT_NOW;
    if (end == MY_FINE)
        end = myconn_run(c, "SELECT @@max_allowed_packet", &table);
    MYSQL_ROW row = table ? mysql_fetch_row(table) : NULL;
    c->packet_max = row && row[0] ? strtoul(row[0], NULL, 10) : PACKET_DEFAULT;
    mysql_free_result(table);
    return end == MY_FINE ? MY_FINE : MY_NOT_NOW;
}

static int takes_arrays(MYSQL *my)
{
    unsigned long more = 0;
    if (!mariadb_connection(my))
        return 0;
    mariadb_get_infov(my, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &more);
    return (more & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

enum myend myconn_open(struct myconn *c)
{
    const struct mysettings *s = c->settings;
    if (c->my)
        return MY_FINE;
    if (c->api->time_left(c->host) < MARGIN_MS)
        return myconn_say(c, "the time of this push is over");
    c->my = mysql_init(NULL);
    if (!c->my)
        return myconn_say(c, "no memory");
    set_options(c);
    if (!mysql_real_connect(c->my, s->host, s->user, s->password, s->database, (unsigned)s->port, s->socket, 0)) {
        fault(c);
        myconn_close(c);
        return MY_NOT_NOW;
    }
    c->bulk = takes_arrays(c->my);
    enum myend end = set_up(c);
    if (end != MY_FINE)
        myconn_close(c);
    return end;
}

enum myend myconn_run(struct myconn *c, const char *sql, MYSQL_RES **table)
{
    if (mysql_real_query(c->my, sql, strlen(sql)) != 0)
        return fault(c);
    MYSQL_RES *found = mysql_store_result(c->my);
    if (!found && mysql_errno(c->my) != 0)
        return fault(c);
    if (table)
        *table = found;
    else
        mysql_free_result(found);
    return MY_FINE;
}
