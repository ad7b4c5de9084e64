"""Bodies that come packed, against the library's own decompressor: bytes that come out a second of CPU time."""
import gzip
import subprocess

import bodies
from table import Line


def measure(b):
    g, body = b.steady(), bodies.batch(1000)
    packed = {"gzip": gzip.compress(body, 6),
              "zstd": subprocess.run(["zstd", "-q", "-3", "-c"], input=body, capture_output=True, check=True).stdout}
    for coding, text in packed.items():
        path = b.body_file(text)

        def ours():
            load = b.load(g, text, 16, 1000, CODING=coding)
            return load.requests * len(body) / load.own / 1e6

        found = b.interleave({"ours": ours, "bare": lambda: float(b.tool("decode_loop", coding, path, b.seconds))})
        yield Line(f"{coding} bodies: MB/s of CPU time against the bare decompressor",
                   [o / x for o, x in zip(found["ours"], found["bare"])], 0.6,
                   note=f"{max(found['ours']):.0f} of {max(found['bare']):.0f} MB/s; {len(body) / len(text):.1f} times smaller")
