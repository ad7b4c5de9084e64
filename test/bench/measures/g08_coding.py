"""Bodies that come packed, against the library's own decompressor: bytes that come out a second of CPU time. gzip against
zlib, which everyone has, and against libdeflate, which unpacks such bodies here."""
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

        def cost(sent, **more):
            """CPU seconds for a byte of the body as it comes out."""
            load = b.load(g, sent, 16, 1000, **more)
            return load.own / load.requests / len(body)

        def alone(library):
            return 1e-6 / float(b.tool("decode_loop", library, path, b.seconds))

        found = b.interleave({"packed": lambda: cost(text, CODING=coding), "plain": lambda: cost(body),
                              "bare": lambda: alone(coding)} |
                             ({"quick": lambda: alone("libdeflate")} if coding == "gzip" else {}))
        packed, plain, bare = found["packed"], found["plain"], found["bare"]
        yield Line(f"{coding} bodies, whole intake: MB/s of CPU time against the bare decompressor",
                   [x / p for p, x in zip(packed, bare)], 0.6,
                   note=f"{1e-6 / min(packed):.0f} of {1e-6 / min(bare):.0f} MB/s; {len(body) / len(text):.1f} times smaller")
        yield Line(f"{coding} bodies: what they cost more than plain ones, of the bare decompressor",
                   [(p - q) / x for p, q, x in zip(packed, plain, bare)])
        if "quick" in found:
            yield Line("gzip bodies, whole intake: MB/s of CPU time against bare libdeflate",
                       [x / p for p, x in zip(packed, found["quick"])], 0.6, note=f"{1e-6 / min(found['quick']):.0f} MB/s")
