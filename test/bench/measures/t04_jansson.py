"""The daemon against itself with jansson as its judge (test/bench/variant/jansson.c), and the row scanner alone."""
import re

import bodies
from bench import BUILD
from table import Line


def measure(b):
    slow = b.steady("jansson", program=BUILD / "bench/jansson/headgate")
    rate, cpu, note = b.against(slow, b.steady(), bodies.batch(100), 16, 100)
    yield Line("100 rows x 16: rows/s against validating with jansson", rate, 7, note=note, form="{:.1f}")
    yield Line("100 rows x 16: the same by CPU time", cpu, 7, form="{:.1f}")
    found = {}
    for _ in range(3):
        for name, scan, ratio in re.findall(r"^(.*?)\s+\d+ bytes.*?scan\s+([\d.]+) MB/s.*ratio\s+([\d.]+)",
                                            b.tool("scan_bench", 0.5 if b.quick else 2), re.M):
            found.setdefault(name, []).append((float(ratio), float(scan)))
    for name, values in found.items():
        yield Line(f"row scanner alone, {name}: against jansson", [ratio for ratio, _ in values], 18, form="{:.1f}",
                   note=f"{max(scan for _, scan in values):.0f} MB/s")
