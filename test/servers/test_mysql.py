"""The `mysql` pusher against MariaDB."""
import contextlib

from server_mariadb import MariaDB
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
    def far(self):
        with MariaDB() as server:
            yield Far(server)
