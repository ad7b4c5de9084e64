"""What durability costs: `fsync` against `none`; and what a fresh disk costs, where every segment is a new file."""
import bodies
from table import Line


def measure(b):
    body = bodies.batch(1000)
    none = b.steady("none", {"HEADGATE_JOURNAL_DURABILITY": "none"})
    rate, _, note = b.against(none, b.steady(), body, 16, 1000)
    yield Line("1000 rows x 16: durability `fsync` against `none`", rate, 0.7, note=note)

    def fresh():
        with b.gateway({"HEADGATE_JOURNAL_KEEP_BYTES": "30GiB", "HEADGATE_JOURNAL_MAX_BYTES": "40GiB"}) as g:
            b.load(g, bodies.batch(100), 16, 100, seconds=1)  # the segments made ready before the load
            return b.load(g, bodies.batch(100), 16, 100).rate

    found = b.interleave({"fresh": fresh, "steady": lambda: b.load(b.steady(), bodies.batch(100), 16, 100).rate})
    yield Line("100 rows x 16: every segment new against the steady state",
               [f / s for f, s in zip(found["fresh"], found["steady"])], 0.6)
