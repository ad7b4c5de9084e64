"""What watches a gateway from outside: alert rules and the dashboard under etc/ name only what is there, and
`status --watch` fits a terminal."""
import json
import re
import subprocess

import pytest
from gateway import ROOT, SLOW, Gateway, Wire, command, row, rows, wait_until
from test_access import KEYS, key
from test_delivery import chaos
from test_tap import Tap
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


def onlooker(g, span="hour", **more):
    return Tap(g, f"?span={span}", path="/v1/watch", **more)


def test_open_pages_are_told_together():
    with Gateway() as g, onlooker(g, "day") as one, onlooker(g, "day") as other, onlooker(g, "minute") as third:
        assert b"text/event-stream" in one.head and b"no-store" in one.head
        first = one.wait("pushers")[0]
        assert first.keys() == g.get("/v1/pushers").json().keys()
        assert one.wait("alerts")[0].keys() == g.get("/v1/alerts").json().keys()
        assert one.wait("history", span="day")[0].keys() == g.get("/v1/history?span=day").json().keys()
        g.take(row("x"))
        for reader in (one, other, third):
            reader.wait("pushers", rows_received=1)

        def told(reader):
            return {p["uptime"] for p in reader.of("pushers")}
        wait_until(lambda: len(told(one) & told(other)) >= 2)  # made once
        third.wait("history", 3, span="minute")
        assert len(one.of("pushers")) > len(one.of("history")) == 1  # it has no newer point for five minutes
        assert g.metrics()["headgate_onlookers"] == 3
        third.close()
        wait_until(lambda: g.metrics()["headgate_onlookers"] == 2)
        assert g.get("/v1/watch?span=week").status == 422
        assert g.admin("HEAD", "/v1/watch").headers["content-type"] == "text/event-stream"


def test_nobody_waits_for_an_onlooker_that_does_not_read():
    with Gateway() as g, onlooker(g, reads=False) as slow, onlooker(g) as fast:
        fast.wait("pushers", 4)
        seen = fast.of("pushers")[-1]["uptime"]
        slow.thread.start()  # begins to read now
        wait_until(lambda: any(p["uptime"] > seen for p in slow.of("pushers")))


def test_who_may_look_on():
    with Gateway(KEYS, start=False) as g:
        tokens = {r: key(g, r)[0] for r in ("ingest", "read")}
        tokens["bound"] = key(g, "read", client="lab-a")[0]
        token, mine = key(g, "read")
        g.start()
        for refused, status in ((None, b" 401 "), (tokens["ingest"], b" 403 "), (tokens["bound"], b" 403 ")):
            with onlooker(g, token=refused) as reader:
                assert status in reader.head.split(b"\r\n")[0]
        with onlooker(g, token=tokens["read"]) as stays, onlooker(g, token=token) as goes:
            goes.wait("pushers")
            command("key", "revoke", mine, "--data", g.data, env=g.environment())
            wait_until(lambda: goes.ended, 20)
            assert not stays.ended


def test_no_more_onlookers_than_so_many():
    with Gateway() as g:
        request = "GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n"

        def opened():
            wire = Wire(g.admin_address)
            wire.send(request)
            while b"\r\n" not in wire.data:
                assert wire.more()
            return wire
        wires = [opened() for _ in range(256)]
        try:
            assert all(b" 200 " in w.data.split(b"\r\n")[0] for w in wires)
            assert g.metrics()["headgate_onlookers"] == 256
            with opened() as more:
                assert b" 503 " in more.data.split(b"\r\n")[0]
            wires.pop().sock.close()

            def again():
                wires.append(opened())
                return b" 200 " in wires[-1].data.split(b"\r\n")[0]
            wait_until(again)
            assert g.term() == 0  # they do not keep it
        finally:
            for w in wires:
                w.sock.close()
