"""Redis: beside redis-benchmark with pipelines of 100 XADDs of a row of middle length, without any ids to look up."""
import subprocess
import time

from server_redis import Redis
from sqlbench import delivered
from storebench import STAMP, records


def typical():
    found = sorted(records(5000), key=lambda r: len(r[3]))
    return found[len(found) // 2]


def benchmark(server, total):
    ident, uuid, index, data = typical()
    began = time.monotonic()
    subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", "1", "-P", "100", "-n", str(total), "-q",
                    "XADD", "best", "*", "id", ident, "uuid", uuid, "index", str(index), "received", STAMP, "data", data],
                   check=True, stdout=subprocess.DEVNULL)
    rate = total / (time.monotonic() - began)
    assert server.client().xlen("best") == total
    return rate


def bench(total):
    with Redis() as server:
        server.client().config_set("appendfsync", "everysec")  # as it is unless set
        mine = delivered("redis", {"HOST": "127.0.0.1", "PORT": server.port}, total)
        assert server.client().xlen("rows") >= total
        return [("stream", mine, "redis-benchmark -P 100 XADD", benchmark(server, total))]
