"""versitygw: beside a bare loop of curl that puts objects which were made before, 768 rows each, signed by curl."""
import subprocess
import time

from server_versitygw import VersityGW
from sqlbench import delivered
from storebench import line, records


def looped(server, total):
    found, config = list(records(total)), []
    for n in range(0, total, 768):
        path = server.dir / f"body-{n}"
        path.write_text("".join(line(r) + "\n" for r in found[n:n + 768]))
        config.append(f'next\nurl = "http://127.0.0.1:{server.port}/rows/best/{n}.ndjson"\nupload-file = "{path}"\n'
                      f'user = "{server.access}:{server.secret}"\naws-sigv4 = "aws:amz:us-east-1:s3"\n'
                      f'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"\noutput = "/dev/null"\n')
    (server.dir / "curl").write_text("".join(config))
    began = time.monotonic()
    subprocess.run(["curl", "-sS", "-K", server.dir / "curl"], check=True)
    rate = total / (time.monotonic() - began)
    assert len(server.names(prefix="best/")) == -(-total // 768)
    return rate


def bench(total):
    with VersityGW() as server:
        options = {"URL": f"http://127.0.0.1:{server.port}", "BUCKET": "rows", "ACCESS_KEY": server.access,
                   "SECRET_KEY": server.secret}
        return [("objects", delivered("s3", options, total), "curl, 768 rows an object", looped(server, total))]
