/* The `postgres` pusher by the test kit, without a server. What it does with one stands in
 * test/servers/test_postgres.py. */
#include "database.h"

int main(void)
{
    return database_tests(TEST_BUILD "/plugins/postgres.so");
}
