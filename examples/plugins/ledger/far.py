"""A far end that is down: somebody else holds the database locked. `far.py down`, `up`, `count`."""
import os
import signal
import sqlite3
import sys

DATABASE, PID = "far/rows.db", "far.pid"


def down():
    database = sqlite3.connect(DATABASE, isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("begin exclusive")
    with open(PID, "w") as out:
        out.write(str(os.getpid()))
    return database


def hold():
    """In a process of its own, once the lock is there."""
    ready, told = os.pipe()
    if os.fork() > 0:
        os.close(told)
        os._exit(0 if os.read(ready, 1) else 1)
    os.setsid()
    database = down()
    os.write(told, b"x")
    while database:
        signal.pause()


def up():
    os.makedirs("far", exist_ok=True)
    try:
        os.kill(int(open(PID).read()), signal.SIGKILL)
        os.unlink(PID)
    except (OSError, ValueError):
        pass


def count():
    print(sqlite3.connect(DATABASE).execute("select count(*) from rows").fetchone()[0])


if __name__ == "__main__":
    {"up": up, "down": hold, "count": count}[sys.argv[1]]()
