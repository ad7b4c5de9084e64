"""What watches a gateway from outside: alert rules and the dashboard under etc/ name only what is there, and
`status --watch` fits a terminal."""
import json
import re
import subprocess

from gateway import ROOT, SLOW, Gateway, row, rows, wait_until
from test_delivery import chaos
from tools import debian

RULES, BOARD = ROOT / "etc/prometheus/headgate.rules.yml", ROOT / "etc/grafana/headgate.json"
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def there():
    """Every series' name that the metrics' own table makes."""
    table = re.findall(r'^METRIC\((\w+), "(\w+)"', (ROOT / "core/api/metrics.def").read_text(), re.M)
    assert len(table) > 20
    return {f"headgate_{name}{s}" for name, kind in table for s in SUFFIXES[kind]}


def expressions():
    yield from re.findall(r"^\s+expr: (.*)$", RULES.read_text(), re.M)
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in json.loads(BOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


# contract: etc.alerts
def test_every_metric_that_is_named_is_there():
    named = {m for e in expressions() for m in re.findall(r"\bheadgate_[a-z_]+", e)}
    assert len(named) > 15 and named <= there(), named - there()


def test_every_label_that_is_chosen_by_is_there():
    with Gateway() as g:
        g.take(rows("u", 2))
        wait_until(lambda: g.pusher("file")["delivered"] == 2)
        text = g.get("/metrics").body.decode()
        labels, values = {}, {}
        for name, inside in re.findall(r"^(headgate_\w+)\{(.*?)\} ", text, re.M):
            for label, value in re.findall(r'(\w+)="(.*?)"', inside):
                labels.setdefault(name, {"instance"}).add(label)
                values.setdefault((name, label), set()).add(value)
        for e in expressions():
            for name, inside in re.findall(r"(headgate_\w+)\{(.*?)\}", e):
                for label, how, value in re.findall(r'(\w+)(=~|=)"(.*?)"', inside):
                    assert label == "instance" or label in labels[name], (name, label)
                    if label == "state":
                        assert set(value.split("|")) <= values[name, label], value


def test_the_rules_can_be_read():
    done = subprocess.run([debian("prometheus", "usr/bin/promtool"), "check", "rules", RULES], capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode == 0 and re.search(r"\b1\d rules found", done.stdout), done


# contract: status.watch
def test_watching_fits_a_terminal():
    with chaos("notnow") as g:
        g.take(rows("u" * 100, 3, text="x" * 200))
        g.wait_state("chaos", "retrying")
        watch = subprocess.Popen([g.program, "status", "--watch", "--admin", g.admin_address], stdout=subprocess.PIPE,
                                 env=g.environment(), text=True)
        try:
            lines, seen = [], 0
            while seen < 3:  # three looks
                lines.append(watch.stdout.readline().rstrip("\n"))
                assert lines[-1] != "" or watch.poll() is None
                seen += lines[-1].startswith("headgate ")
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()
        assert any(line.startswith("chaos") and "retrying" in line for line in lines) and any("ROWS/S" in x for x in lines)
        assert max(map(len, lines)) <= 80


def test_open_pages_share_an_answer():
    """Who says how old it may be gets what was made for another; who does not gets what is so now."""
    old = {"Cache-Control": "max-age=5"}
    with Gateway() as g:
        first = g.get("/v1/pushers", headers=old).json()
        again = g.get("/v1/pushers", headers=old).json()
        assert again["uptime"] == first["uptime"] or again["uptime"] >= first["uptime"] + 5
        g.take(row("x"))
        g.wait_rows(1)
        assert g.get("/v1/pushers").json()["rows_received"] == 1
        assert wait_until(lambda: g.get("/v1/pushers", headers=old).json()["rows_received"] == 1)  # not for ever
        spans = [g.get(f"/v1/history?span={s}", headers=old).json()["step"] for s in ("minute", "hour", "minute", "day")]
        assert spans[0] == spans[2] and len(set(spans)) == 3
        for other in ("max-age=0", "max-age=x", "no-cache", ""):
            assert g.get("/v1/pushers", headers={"Cache-Control": other}).json()["uptime"] > again["uptime"]
