"""OpenSearch: beside a bare loop of curl that posts bodies which were made before, 768 documents each. The loop runs before and after
the pusher: a server in Java is slow until it has compiled what it does, and whoever came first would pay for that."""
import json
import subprocess
import time

from server_opensearch import OpenSearch
from sqlbench import delivered
from storebench import line, records

MAPPING = {"properties": {"id": {"type": "keyword"}, "uuid": {"type": "keyword"}, "index": {"type": "long"},
                          "received": {"type": "date_nanos"}, "data": {"type": "object", "enabled": False}}}


def looped(server, total):
    assert server.ask("DELETE", "/best?ignore_unavailable=true")[0] == 200
    assert server.ask("PUT", "/best", {"mappings": MAPPING})[0] == 200
    found, config = list(records(total)), []
    for n in range(0, total, 768):
        body = "".join(f'{{"create":{{"_index":"best","_id":"{r[0]}"}}}}\n{line(r)}\n' for r in found[n:n + 768])
        path = server.dir / f"body-{n}"
        path.write_text(body)
        config.append(f'next\nurl = "http://127.0.0.1:{server.port}/_bulk?filter_path=items.*.error"\n'
                      f'data-binary = "@{path}"\nheader = "Content-Type: application/x-ndjson"\noutput = "/dev/null"\n')
    (server.dir / "curl").write_text("".join(config))
    began = time.monotonic()
    subprocess.run(["curl", "-sS", "-K", server.dir / "curl"], check=True)
    rate = total / (time.monotonic() - began)
    assert server.ask("POST", "/best/_refresh")[0] == 200
    assert server.ask("GET", "/best/_count")[1]["count"] == total
    return rate


def bench(total):
    with OpenSearch() as server:
        path = server.dir / "mapping.json"
        path.write_text(json.dumps(MAPPING))
        path.chmod(0o644)
        looped(server, total)
        mine = delivered("elasticsearch", {"URL": f"http://127.0.0.1:{server.port}", "MAPPING": path}, total)
        return [("_bulk", mine, "curl, 768 documents a request", looped(server, total))]
