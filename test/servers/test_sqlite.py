"""The `sqlite` pusher against SQLite: what concerns files rather than servers is here, the rest is as for the others."""
import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile
from pathlib import Path

from gateway import wait_until
from sqlsuite import Suite
from trial import Sent, drained, post, real_sets


class Far:
    server = None

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "data" / "rows.db"

    def options(self, proxy=None):
        return {"PATH": str(self.path)}

    def connect(self):
        self.path.parent.mkdir(exist_ok=True)
        return contextlib.closing(sqlite3.connect(self.path, isolation_level=None))

    def sql(self, text):
        with self.connect() as connection:
            return connection.execute(text).fetchall()

    def rows(self, table):
        with self.connect() as connection:
            connection.row_factory = sqlite3.Row
            return [dict(r) for r in connection.execute(f"SELECT * FROM {table}")]

    def make_strict_table(self):
        self.sql("CREATE TABLE strict (_id TEXT PRIMARY KEY, _uuid TEXT, _index INTEGER, _received TEXT, "
                 "title TEXT CHECK (length(title) <= 200), amount REAL CHECK (amount > 0), n INTEGER)")

    def strict_reason(self, reason):
        return "CHECK constraint failed" in reason

    def make_plain_table(self):
        self.sql("CREATE TABLE rows (_id TEXT PRIMARY KEY, _uuid TEXT, _index INTEGER, _received TEXT, n INTEGER, t TEXT) STRICT")

    def wrong(self):
        return [("PATH", "/proc/nowhere/x.db", "unable to open"), ("PATH", str(self.path.parent), "unable to open")]


class TestSqlite(Suite):
    plugin = "sqlite"

    @contextlib.contextmanager
    def far(self):
        folder = Path(tempfile.mkdtemp(prefix="headgate-sqlite-"))
        try:
            yield Far(folder)
        finally:
            shutil.rmtree(folder)

    def test_somebody_else_writes(self):
        """Who holds the file holds up the pusher, and nothing else happens."""
        with self.far() as far, self.gateway(far, BUSY_TIMEOUT="100ms") as g:
            sent = Sent()
            post(g, real_sets(200), sent)
            drained(g, self.plugin)
            with far.connect() as other:
                other.execute("BEGIN IMMEDIATE")
                post(g, real_sets(200, name="while"), sent)
                wait_until(lambda: "locked" in g.pusher(self.plugin)["error"], 30, lambda: g.pusher(self.plugin))
                assert g.pusher(self.plugin)["lag"]["rows"] == 200
                other.execute("ROLLBACK")
            drained(g, self.plugin)
            self.check(far, sent)
            assert not g.dead()

    def test_file_is_taken_away(self):
        """SIGUSR1 after a rename: rows go into a new file, those before stay in the old one."""
        with self.far() as far, self.gateway(far, JOURNAL="delete") as g:
            before, after = Sent(), Sent()
            post(g, real_sets(300), before)
            drained(g, self.plugin)
            old = far.path.with_name("old.db")
            os.rename(far.path, old)
            g.process.send_signal(signal.SIGUSR1)
            files = Path(f"/proc/{g.host(self.plugin)}/fd")
            wait_until(lambda: not [f for f in os.listdir(files) if os.readlink(files / f) == str(old)], 15, "it to be closed")
            post(g, real_sets(300, name="after"), after)
            drained(g, self.plugin)
            wait_until(far.path.exists, 15, "a new file")
            self.check(far, after)
            far.path = old
            self.check(far, before)
