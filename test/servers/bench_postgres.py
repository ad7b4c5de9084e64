"""PostgreSQL: beside psql's COPY of 1,000 rows a commit into a table like the pusher's."""
import subprocess
import time

from server_postgres import Postgres
from sqlbench import columns, delivered, records
from sqlsuite import snake
from trial import encode

HEAD = "_id text COLLATE \"C\" PRIMARY KEY, _uuid text NOT NULL, _index bigint, _received timestamptz NOT NULL"


def escaped(value):
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def script(total, names):
    """What psql reads. names: None for one column of JSON."""
    lines = []
    target = "best" if names is None else f"best (_id, _uuid, _index, _received, {', '.join(names)})"
    for n, (*head, data) in enumerate(records(total)):
        if n % 1000 == 0:
            lines.append(("\\.\n" if n else "") + f"COPY {target} FROM STDIN;\n")
        if names is None:
            values = [encode(data)]
        else:
            found = {snake(k): v for k, v in data.items()}
            values = [found.get(c) for c in names]
        lines.append("\t".join(map(escaped, head + values)) + "\n")
    return "".join(lines) + "\\.\n"


def copied(server, total, mode):
    names = None if mode == "json" else columns()
    if names is None:
        server.sql(f"CREATE TABLE best ({HEAD}, data jsonb NOT NULL)")
    else:
        server.sql("CREATE TABLE best (LIKE rows INCLUDING ALL)")
    text = script(total, names).encode()
    file = server.dir / "copy.sql"
    file.write_bytes(text)
    began = time.monotonic()
    subprocess.run(["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres",
                    "-f", str(file), "hgtest"], check=True, stdout=subprocess.DEVNULL)
    rate = total / (time.monotonic() - began)
    assert server.sql("SELECT count(*) FROM best") == [(total,)]
    return rate


def bench(total):
    found = []
    for mode in ("columns", "json"):
        with Postgres() as server:
            options = {"HOST": "127.0.0.1", "PORT": server.port, "USER": "hgtest", "PASSWORD": "hgtest", "DATABASE": "hgtest",
                       "MODE": mode}
            mine = delivered("postgres", options, total)
            found.append((mode, mine, "psql COPY, 1,000 rows a commit", copied(server, total, mode)))
    return found
