"""MariaDB: beside LOAD DATA LOCAL of 1,000 rows a commit, by its own client, into a table like the pusher's."""
import subprocess
import time

from bench_postgres import escaped
from server_mariadb import MariaDB
from sqlbench import columns, delivered, records
from sqlsuite import snake
from trial import encode


def write_parts(server, total, names):
    """Files of 1,000 rows; the statements that load them."""
    rows, statements = [], []
    target = "data" if names is None else ", ".join(f"`{c}`" for c in names)

    def write():
        file = server.dir / f"part-{len(statements)}"
        file.write_text("".join(rows), "utf-8")
        statements.append(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE best CHARACTER SET utf8mb4 "
                          f"(_id, _uuid, _index, _received, {target});\n")
        rows.clear()
    for *head, data in records(total):
        if names is None:
            values = [encode(data)]
        else:
            found = {snake(k): v for k, v in data.items()}
            values = [found.get(c) for c in names]
        rows.append("\t".join(map(escaped, head + values)) + "\n")
        if len(rows) == 1000:
            write()
    if rows:
        write()
    return "".join(statements)


def loaded(server, total, mode):
    server.sql("CREATE TABLE best LIKE `rows`")
    statements = write_parts(server, total, None if mode == "json" else columns())
    began = time.monotonic()
    subprocess.run(["mariadb", "--no-defaults", "--local-infile=1", "-S", str(server.socket), "-uroot", "hgtest"],
                   input=statements.encode(), check=True)
    rate = total / (time.monotonic() - began)
    assert server.sql("SELECT count(*) FROM best") == ((total,),)
    return rate


def bench(total):
    found = []
    for mode in ("columns", "json"):
        with MariaDB() as server:
            options = {"HOST": "127.0.0.1", "PORT": server.port, "USER": "hgtest", "PASSWORD": "hgtest", "DATABASE": "hgtest",
                       "MODE": mode}
            mine = delivered("mysql", options, total)
            found.append((mode, mine, "LOAD DATA LOCAL, 1,000 a commit", loaded(server, total, mode)))
    return found
