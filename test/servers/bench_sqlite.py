"""SQLite: beside Python's executemany on the same library, 1,000 rows a commit, into a table like the pusher's."""
import sqlite3
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from sqlbench import columns, delivered, records
from sqlsuite import snake
from trial import encode


def values_of(data, names):
    if names is None:
        return (encode(data),)
    found = {snake(k): float(v) if isinstance(v, Decimal) else v for k, v in data.items()}
    return tuple(found.get(c) for c in names)


def looped(path, total, mode):
    names = None if mode == "json" else columns()
    rows = [(*head, *values_of(data, names)) for *head, data in records(total)]
    more = ["data"] if names is None else names
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"CREATE TABLE best (_id TEXT NOT NULL PRIMARY KEY, _uuid, _index, _received, {', '.join(more)})")
    sql = f"INSERT INTO best VALUES ({', '.join('?' * (4 + len(more)))}) ON CONFLICT (_id) DO NOTHING"
    began = time.monotonic()
    for at in range(0, total, 1000):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(sql, rows[at:at + 1000])
        db.execute("COMMIT")
    rate = total / (time.monotonic() - began)
    db.close()
    return rate


def bench(total):
    found = []
    for mode in ("columns", "json"):
        with tempfile.TemporaryDirectory(prefix="headgate-sqlite-") as folder:
            mine = delivered("sqlite", {"PATH": f"{folder}/rows.db", "MODE": mode}, total)
            found.append((mode, mine, "executemany, 1,000 a commit", looped(Path(folder) / "best.db", total, mode)))
    return found
