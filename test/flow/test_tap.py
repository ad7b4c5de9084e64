"""What people watch: the tap, the history, the log."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import pytest
from gateway import SLOW, Gateway, command, row, rows, wait_until
from test_access import KEYS, bearer, key


class Tap:
    """One reader of a stream of events; `events` grows while it reads."""

    def __init__(self, g, query="", token=None, reads=True, path="/v1/tap"):
        host, port = g.admin_address.rsplit(":", 1)
        self.sock = socket.socket()
        if not reads:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect((host, int(port)))
        extra = "".join(f"{k}: {v}\r\n" for k, v in bearer(token).items())
        self.sock.sendall(f"GET {path}{query} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode())
        self.head, self.events, self.ended = b"", [], False
        first = self.sock.recv(65536)
        self.head, _, rest = first.partition(b"\r\n\r\n")
        self.thread = threading.Thread(target=self.read, args=(rest,), daemon=True)
        if reads:
            self.thread.start()
        else:
            self.rest = rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def read(self, text=b""):
        while True:
            while b"\n\n" in text:
                block, text = text.split(b"\n\n", 1)
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
                if b"event" in fields:
                    self.events.append((fields[b"event"].decode(), json.loads(fields[b"data"])))
            try:
                more = self.sock.recv(65536)
            except OSError:
                more = b""
            if not more:
                self.ended = True
                return
            text += more

    def of(self, event, **fields):
        return [data for name, data in list(self.events) if name == event and all(data.get(k) == v for k, v in fields.items())]

    def wait(self, event, count=1, **fields):
        return wait_until(lambda: len(self.of(event, **fields)) >= count and self.of(event, **fields), 20,
                          lambda: f"{count} {event} {fields}: {self.events[-5:]}")


def test_what_passes_before_and_after_a_verdict():
    with Gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad"}, plugins=["chaos"]) as g, Tap(g) as tap:
        assert b"text/event-stream" in tap.head and b"no-store" in tap.head
        sent = g.take({"uuid": "u", "tags": {"line": "a"}, "rows": [{"index": 3, "data": {"n": 1.10}}, {"data": {"bad": 1}}]})
        taken = tap.wait("taken")[0]
        assert taken["id"] == sent["id"] and taken["uuid"] == "u" and taken["rows"] == 2 and taken["tags"] == {"line": "a"}
        assert taken["data"] == [{"index": 3, "data": {"n": 1.1}}, {"data": {"bad": 1}}] and taken["more"] == 0
        file = tap.wait("verdict", pusher="file")[-1]["receipt"]
        assert file["id"] == sent["id"] and file["pushers"]["file"]["delivered"] == 2
        chaos = tap.wait("verdict", pusher="chaos")[-1]["receipt"]["pushers"]["chaos"]
        assert chaos["delivered"] == 1 and chaos["dead"] == 1


def test_a_verdict_is_told_while_another_pusher_is_down():
    gate = {"PLUGIN_CHAOS_MODE": "notnow"}
    with Gateway(gate, plugins=["chaos"], start=False) as g:
        (g.work / "gate").touch()
        g.start({"PLUGIN_CHAOS_GATE": str(g.work / "gate")})
        with Tap(g) as tap:
            g.take(row("u"))
            assert tap.wait("verdict", pusher="file")[-1]["receipt"]["pushers"]["file"]["state"] == "settled"
            assert tap.wait("verdict", pusher="chaos")[0]["receipt"]["pushers"]["chaos"]["state"] == "retrying"
            (g.work / "gate").unlink()
            wait_until(lambda: any(v["receipt"]["pushers"]["chaos"]["state"] == "settled"
                                   for v in tap.of("verdict", pusher="chaos")))


def test_filters():
    with Gateway(plugins=["chaos"]) as g, Tap(g, "?uuid=one") as one, Tap(g, "?pusher=chaos") as chaos, Tap(g) as all_:
        for uuid in ("one", "two", "one"):
            g.take(row(uuid))
        one.wait("taken", 2)
        one.wait("verdict", 4)
        chaos.wait("verdict", 3)
        all_.wait("taken", 3)
        all_.wait("verdict", 6)
        assert {t["uuid"] for t in one.of("taken")} == {"one"}
        assert {v["receipt"]["uuid"] for v in one.of("verdict")} == {"one"}
        assert {v["pusher"] for v in chaos.of("verdict")} == {"chaos"} and len(chaos.of("taken")) == 3
        assert g.get("/v1/tap?uuid=%zz").status == 400


def test_who_may_watch():
    with Gateway(KEYS, start=False) as g:
        tokens = {r: key(g, r)[0] for r in ("ingest", "read")}
        tokens["bound"], bound = key(g, "ingest", "read", client="lab-a")
        g.start()
        for token, status in ((None, b" 401 "), (tokens["ingest"], b" 403 "), ("hg_no", b" 401 ")):
            with Tap(g, token=token) as tap:
                assert status in tap.head.split(b"\r\n")[0]
        with Tap(g, token=tokens["read"]) as all_, Tap(g, "?client=other", token=tokens["bound"]) as own:
            g.post(row("not theirs"), headers=bearer(tokens["ingest"]))
            g.post(row("theirs"), headers=bearer(tokens["bound"]))
            all_.wait("taken", 2)
            own.wait("taken")
            own.wait("verdict")
            assert {t["uuid"] for t in own.of("taken")} == {"theirs"} and own.of("taken")[0]["client"] == "lab-a"
            command("key", "revoke", bound, "--data", g.data, env=g.environment())
            wait_until(lambda: own.ended, 20)
            assert not all_.ended


def test_a_slow_reader_is_told_what_it_lost_and_nobody_waits():
    with Gateway() as g, Tap(g, reads=False) as slow, Tap(g) as fast:
        document = {"uuid": "u", "rows": [{"data": {"text": "x" * 3000}}] * 5}

        def lost():
            for _ in range(20):
                g.take(document)
            return g.metrics()["headgate_tap_events_lost_total"]
        wait_until(lost, 60)
        slow.thread.start()  # begins to read now
        wait_until(lambda: any(m["events"] > 0 for m in slow.of("missed")))
        g.take(row("after"))
        slow.wait("taken", uuid="after")
        assert all(e["events"] == 0 for e in fast.of("missed"))


def test_a_flood_is_sampled():
    with Gateway() as g, Tap(g) as tap:
        wait_until(lambda: g.post_ndjson([row("u", {"n": n}) for n in range(2000)]).status == 202
                   and tap.of("missed") and tap.of("taken"), 60)
        assert tap.of("missed")[0]["rows"] > 0
        wait_until(lambda: g.take(row("last")) and tap.of("taken", uuid="last"))  # what comes slowly is all shown again


def test_no_more_than_so_many():
    with Gateway() as g:
        taps = [Tap(g) for _ in range(128)]
        with Tap(g) as more:
            assert b" 503 " in more.head.split(b"\r\n")[0]
        taps.pop().close()
        wait_until(lambda: b" 200 " in opened(g).split(b"\r\n")[0])
        g.take(row("u"))
        for tap in taps:
            tap.wait("taken")
        assert g.term() == 0  # readers do not keep it
        for tap in taps:
            wait_until(lambda t=tap: t.ended)
            tap.close()


def opened(g):
    with Tap(g) as tap:
        return tap.head


def test_the_command():
    with Gateway() as g:
        environment = {**g.environment(), "HEADGATE_ADMIN_LISTEN": g.admin_address}
        for flags in ([], ["--json"]):
            uuid = "u-json" if flags else "u-text"
            p = subprocess.Popen([g.program, "tap", "--uuid", uuid, *flags], env=environment, stdout=subprocess.PIPE, text=True)
            try:
                wait_until(lambda: g.metrics()["headgate_taps"] == 1)
                g.take(row("other"))
                g.take(row(uuid, {"keyOne": "Grüße\u0085"}))
                lines = [p.stdout.readline() for _ in range(2 if flags else 3)]
            finally:
                os.kill(p.pid, signal.SIGTERM)
                p.wait(10 * SLOW)
            if flags:
                events = [json.loads(line) for line in lines]
                assert [e["event"] for e in events] == ["taken", "verdict"] and events[0]["data"]["uuid"] == uuid
            else:
                assert " taken " in lines[0] and "u-text" in lines[0] and "Grüße?" in lines[1] and " verdict " in lines[2]
            wait_until(lambda: g.metrics()["headgate_taps"] == 0)
        done = command("tap", "--admin", "127.0.0.1:1", env=g.environment())
        assert done.returncode == 69


@pytest.mark.parametrize("out, flags", [("/dev/full", ["--json"]), ("/dev/full", []), (None, [])])
def test_the_command_ends_by_itself(out, flags):
    """When what it prints cannot be written, and when the gateway ends."""
    with Gateway() as g, open(out or g.work / "seen", "w+") as seen:
        environment = {**g.environment(), "HEADGATE_ADMIN_LISTEN": g.admin_address}
        p = subprocess.Popen([g.program, "tap", *flags], env=environment, stdout=seen, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: g.metrics()["headgate_taps"] == 1)
            g.take(rows("u", 2000))
            if out is None:
                wait_until(lambda: "2000 delivered\n" in (g.work / "seen").read_text())
                g.term()
            said = p.communicate(timeout=30 * SLOW)[1]
        finally:
            p.kill()
            p.wait()
        assert p.returncode == (74 if out else 0), said
        if out is None:
            text = (g.work / "seen").read_text()
            assert " taken " in text and "and 1995 more" in text, text


def test_history():
    with Gateway(plugins=["chaos"]) as g:
        def seen():
            g.take(rows("u", 10))
            found = g.get("/v1/history?span=minute").json()
            return sum(found["rows"]) > 0 and sum(found["pushers"]["chaos"]["delivered"]) > 0 and found
        found = wait_until(seen, 30)
        assert found["step"] == 1 and found["points"] == 60 and max(found["bytes"]) > 100
        assert any(p and 0 < p < 5 for p in found["p99"]) and all(len(found[k]) == len(found["rows"]) for k in ("p50", "bytes"))
        now = g.get("/v1/pushers").json()
        assert now["now"]["rows_per_second"] > 0 and now["now"]["durable_p99"] >= now["now"]["durable_p50"] > 0
        assert wait_until(lambda: g.pusher("chaos")["rate"] > 0)
        for span in ("hour", "day"):
            assert g.get(f"/v1/history?span={span}").json()["span"] == span
        assert g.get("/v1/history?span=week").status == 422


def test_log():
    with Gateway() as g:
        found = g.get("/v1/log").json()
        assert "ready" in [line["event"] for line in found["lines"]]
        g.post(b"{")

        def since():
            return [line["event"] for line in g.get(f"/v1/log?after={found['next']}").json()["lines"]]
        wait_until(lambda: "request.refused" in since())
        assert "ready" not in since()  # only what came after; a pusher may have begun to run meanwhile
        assert all(line["level"] in ("error", "warn") for line in g.get("/v1/log?level=warn").json()["lines"])
        assert g.get("/v1/log?level=loud").status == 422
