"""The `postgres` pusher against PostgreSQL."""
import contextlib
import json
from decimal import Decimal

from server_postgres import Postgres
from sqlsuite import ServerSuite


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
    def far(self):
        with Postgres() as server:
            yield Far(server)
