"""Intake, durable, against FastAPI + pydantic + uvicorn (uvloop) that check the same and keep nothing."""
import bodies
from table import Line

CASES = [("100 rows x 16", bodies.batch(100), 16, 100, 6), ("1 row x 64", bodies.single(), 64, 1, 9)]


def measure(b):
    for title, body, connections, rows, least in CASES:
        rate, cpu, note = b.against(b.fastapi(), b.steady(), body, connections, rows)
        yield Line(f"{title}: rows/s against FastAPI", rate, least, note=note, form="{:.1f}")
        yield Line(f"{title}: the same by CPU time", cpu, least, form="{:.1f}")
