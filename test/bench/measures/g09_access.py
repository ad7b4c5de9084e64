"""What it costs a plugin to ask for a row, for one field by key, for the next field in order: 10 keys a row. Taken by the
plugin itself, in its host (test/fixture/plugins/access.c)."""
import bodies
from bench import BUILD
from table import Line

ASKED = {"a row, its data and number": ("row_ns", "rows", 20), "one field by key": ("field_ns", "fields", 150),
         "the next field": ("next_ns", "nexts", None)}


def counts(g):
    return {name: g.metrics().get(f'headgate_plugin_count_total{{pusher="access",name="{name}"}}', 0)
            for ns, calls, _ in ASKED.values() for name in (ns, calls)}


def measure(b):
    with b.gateway({"PLUGIN_NULL_ENABLED": None}, plugins=[BUILD / "fixture/access.so"]) as g:
        found = {title: [] for title in ASKED}
        for _ in range(b.rounds):
            before = counts(g)
            b.load(g, bodies.batch(100), 4, 100, seconds=1)
            g.wait_delivered()
            after = counts(g)
            for title, (ns, calls, _) in ASKED.items():
                found[title].append((after[ns] - before[ns]) / (after[calls] - before[calls]))
        for title, (_, _, most) in ASKED.items():
            yield Line(f"a plugin asks for {title}: ns", found[title], most=most)
