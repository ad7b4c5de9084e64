"""What TLS 1.3 costs on connections that are kept, against plain HTTP: rows a second and the daemon's CPU time a row."""
import bodies
from bench import middle
from certs import Authority
from table import Line


def encrypted(b):
    authority = Authority(b.work)
    certificate, key = authority.make("server")
    return b.steady("tls", {"HEADGATE_TLS_CERTIFICATE": str(certificate), "HEADGATE_TLS_KEY": str(key),
                            "HEADGATE_TLS_MINIMUM": "1.3", "HEADGATE_ADMIN_TLS": "no"})


def measure(b):
    plain, tls = b.steady(), encrypted(b)
    for connections, rows in ((16, 100), (64, 1)):
        body = bodies.batch(rows) if rows > 1 else bodies.single()
        found = b.interleave({"plain": lambda: b.load(plain, body, connections, rows),
                              "tls": lambda: b.load(tls, body, connections, rows)})
        pairs = list(zip(found["plain"], found["tls"]))
        what = f"{rows} row{'s' if rows > 1 else ''} x {connections} over TLS 1.3 against plain HTTP"
        yield Line(f"{what}: rows/s", [t.rate / p.rate for p, t in pairs],
                   note=f"{middle(t.rate * rows for _, t in pairs):,.0f} of {middle(p.rate * rows for p, _ in pairs):,.0f} rows/s")
        yield Line(f"{what}: the daemon's CPU a row", [(t.own / t.rows) / (p.own / p.rows) for p, t in pairs],
                   note=f"{middle(t.own / t.rows * 1e6 for _, t in pairs):.2f} and "
                        f"{middle(p.own / p.rows * 1e6 for p, _ in pairs):.2f} us")
