/* The tests that every pusher to a database server passes alone: options HOST, PORT, USER, PASSWORD, DATABASE, TABLE,
 * TLS and two timeouts, as those of `postgres`. */
#ifndef TEST_DATABASE_H
#define TEST_DATABASE_H

int database_tests(const char *path); /* of the plugin; how many have failed */

#endif
