"""The `postgres` pusher against PostgreSQL."""
import contextlib
import json
from decimal import Decimal

from server_postgres import Postgres
from gateway import wait_until
from sqlsuite import ServerSuite
from trial import Sent, dead_letters, drained, post, real_sets


class Far:
    def __init__(self, server):
        self.server = server

    def options(self, proxy=None):
        return {"HOST": "127.0.0.1", "PORT": proxy.port if proxy else self.server.port, "USER": "hgtest",
                "PASSWORD": "hgtest", "DATABASE": "hgtest"}

    def sql(self, text):
        return self.server.sql(text)

    def rows(self, table):
        import psycopg2.extras

        connection = self.server.connect()
        psycopg2.extras.register_default_jsonb(connection, loads=lambda text: json.loads(text, parse_float=Decimal))
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            names = [d[0] for d in cursor.description]
            return [dict(zip(names, r)) for r in cursor.fetchall()]

    def set_password(self, word):
        self.sql(f"ALTER USER hgtest PASSWORD '{word}'")

    def make_strict_table(self):
        self.sql("CREATE TABLE strict (_id text PRIMARY KEY, _uuid text, _index bigint, _received timestamptz, "
                 "title varchar(200), amount double precision CHECK (amount > 0), n bigint); ALTER TABLE strict OWNER TO hgtest")

    def strict_reason(self, reason):
        return "too long for type character varying(200)" in reason or "violates check constraint" in reason

    def make_plain_table(self):
        self.sql("CREATE TABLE rows (_id text PRIMARY KEY, _uuid text, _index bigint, _received timestamptz, "
                 "n double precision, t text); ALTER TABLE rows ALTER n TYPE bigint; ALTER TABLE rows ALTER n TYPE integer; "
                 "ALTER TABLE rows OWNER TO hgtest")

    def wrong(self):
        return [("PASSWORD", "wrong", "password authentication failed"), ("PORT", "1", "refused"),
                ("DATABASE", "nowhere", "does not exist")]


class TestPostgres(ServerSuite):
    plugin = "postgres"

    @contextlib.contextmanager
    def far(self, tls=None):
        with Postgres(tls) as server:
            yield Far(server)

    def test_altered_by_somebody_else(self):
        """A double that became numeric in the meantime: the digits of the next value are not cut by a cast."""
        with self.far() as far, self.gateway(far) as g:
            sent = Sent()
            post(g, [("one", [{"n": Decimal("0.5")}])], sent)
            drained(g, self.plugin)
            far.sql("ALTER TABLE rows ALTER n TYPE numeric")
            post(g, [("two", [{"n": Decimal("0.12345678901234567")}])], sent)
            drained(g, self.plugin)
            far.sql("ALTER TABLE rows DROP n")
            post(g, [("three", [{"n": 3}])], sent)
            drained(g, self.plugin)
            found = {r["_uuid"]: r["n"] for r in far.rows("rows")}
            assert found == {"one": None, "two": None, "three": 3} and not g.dead()

    def test_names_of_the_system(self):
        """What can never be a column is refused with the server's words."""
        with self.far() as far, self.gateway(far) as g:
            sent = Sent()
            post(g, [("a", [{"n": 1}]), ("c", [{"n": 2}])], sent)
            post(g, [("b", [{"n": 1, "ctid": 2}])], Sent())
            dead = dead_letters(g, self.plugin, 1)
            assert [d["uuid"] for d in dead] == ["b"] and "system column" in dead[0]["reason"], dead
            self.check(far, sent)

    def test_rights(self):
        """A missing right is never held against rows."""
        with self.far() as far:
            far.sql("CREATE TABLE rows (_id text PRIMARY KEY, _uuid text, _index bigint, _received timestamptz, n bigint)")
            with self.gateway(far) as g:
                sent = Sent()
                post(g, [("a", [{"n": 1}])], sent)
                wait_until(lambda: "permission denied" in g.pusher(self.plugin)["error"], 30, lambda: g.pusher(self.plugin))
                far.sql("GRANT INSERT, SELECT ON rows TO hgtest")
                drained(g, self.plugin)
                post(g, [("b", [{"n": 2, "more": 1}])], sent)
                wait_until(lambda: "must be owner" in g.pusher(self.plugin)["error"], 30, lambda: g.pusher(self.plugin))
                far.sql("ALTER TABLE rows OWNER TO hgtest")
                drained(g, self.plugin)
                self.check(far, sent)
                assert not g.dead()

    def test_push_is_held_and_killed(self):
        """kill -9 while a push waits for a lock in the middle of its transaction, of the host and of all."""
        with self.far() as far, self.gateway(far, BATCH_ROWS=100) as g:
            sent = Sent()
            post(g, real_sets(200, 100), sent)
            drained(g, self.plugin)
            for n in range(2):
                other = far.server.connect()
                other.autocommit = False
                other.cursor().execute("LOCK TABLE rows IN EXCLUSIVE MODE")
                post(g, real_sets(300, 100, f"held-{n}"), sent)
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'hgtest'"
                wait_until(lambda: far.sql(waiting)[0][0] > 0, 30, "a push that waits")
                g.kill9(hosts=n == 1)
                other.rollback()
                other.close()
                g.start()
                drained(g, self.plugin)
            self.check(far, sent)
            assert not g.dead()
