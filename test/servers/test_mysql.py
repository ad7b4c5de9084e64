"""The `mysql` pusher against MariaDB."""
import contextlib

from server_mariadb import MariaDB
from sqlsuite import ServerSuite
from trial import Sent, dead_letters, drained, post


class Far:
    def __init__(self, server):
        self.server = server

    def options(self, proxy=None):
        return {"HOST": "127.0.0.1", "PORT": proxy.port if proxy else self.server.port, "USER": "hgtest",
                "PASSWORD": "hgtest", "DATABASE": "hgtest"}

    def sql(self, text):
        return self.server.sql(text)

    def rows(self, table):
        connection = self.server.connect()
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM `{table}`")
            names = [d[0] for d in cursor.description]
            return [dict(zip(names, r)) for r in cursor.fetchall()]

    def set_password(self, word):
        self.sql(f"ALTER USER hgtest@'127.0.0.1' IDENTIFIED BY '{word}'")

    def make_strict_table(self):
        self.sql("CREATE TABLE strict (_id varchar(64) PRIMARY KEY, _uuid varchar(128), _index bigint, _received datetime(6), "
                 "title varchar(200), amount double CHECK (amount > 0), n bigint)")

    def strict_reason(self, reason):
        return "Data too long for column 'title'" in reason or "CONSTRAINT `strict.amount` failed" in reason

    def make_plain_table(self):
        self.sql("CREATE TABLE `rows` (_id varchar(64) PRIMARY KEY, _uuid varchar(128), _index bigint, _received datetime(6), "
                 "n integer, t longtext)")

    def wrong(self):
        return [("PASSWORD", "wrong", "Access denied"), ("PORT", "1", "Can't connect"),
                ("DATABASE", "nowhere", "Access denied")]


class TestMysql(ServerSuite):
    plugin = "mysql"

    @contextlib.contextmanager
    def far(self, tls=None):
        with MariaDB(tls) as server:
            yield Far(server)

    def test_other_unique_key(self):
        """ON DUPLICATE KEY is silent about every unique key; a row that is not there must not pass for one that is."""
        with self.far() as far:
            far.sql("CREATE TABLE `rows` (_id varchar(64) PRIMARY KEY, _uuid varchar(128), _index bigint, _received datetime(6), "
                    "n bigint UNIQUE)")
            with self.gateway(far) as g:
                sent = Sent()
                post(g, [("first", [{"n": n} for n in range(50)])], sent)
                drained(g, self.plugin)
                post(g, [("second", [{"n": n} for n in range(40, 90)])], Sent())
                dead = dead_letters(g, self.plugin, 10)
                assert {d["index"] for d in dead} == set(range(10)), dead
                assert all("unique key" in d["reason"] for d in dead)
                assert [r[0] for r in far.sql("SELECT n FROM `rows` ORDER BY n")] == list(range(90))

    def test_larger_than_a_packet(self):
        """A row that the server can never take is refused, and takes no neighbour with it."""
        with self.far() as far:
            far.sql("SET GLOBAL max_allowed_packet = 1048576")
            with self.gateway(far) as g:
                sent, bad = Sent(), Sent()
                post(g, [("a", [{"t": "x" * 400_000}] * 5), ("c", [{"t": "y"}])], sent)
                post(g, [("b", [{"t": "x" * 1_100_000}])], bad)
                dead = dead_letters(g, self.plugin, 1)
                assert [d["uuid"] for d in dead] == ["b"] and "max_allowed_packet" in dead[0]["reason"]
                self.check(far, sent)

    def test_socket(self):
        with self.far() as far:
            far.sql("CREATE USER hgtest@localhost IDENTIFIED BY 'hgtest'")
            far.sql("GRANT ALL ON hgtest.* TO hgtest@localhost")
            env = {f"PLUGIN_MYSQL_{k}": v for k, v in far.options().items() if k not in ("HOST", "PORT")}
            assert self.probe({**env, "PLUGIN_MYSQL_SOCKET": str(far.server.socket)}).returncode == 0
