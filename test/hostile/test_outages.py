"""Far ends that are away, or say so in every way there is: no row becomes a dead letter, and all are delivered when it is
over. Beside it a pusher that is down while very many rows pass."""
import os
import time

import pytest
from counts import count
from gateway import BUILD, Gateway, row, rows, wait_until
from webhook import Webhook

REPEATS = count("OUTAGES", 1, 7)  # of each kind
PASSING = count("PASSING_ROWS", 100000, 10000000)

OUTAGES = {
    "black hole": "hang",
    "every answer dropped": "drop",
    "wrong password": 401,
    "no right": 403,
    "lock held": 423,
    "too many": (429, {"Retry-After": "1"}, b""),
    "down": 503,
    "ill": 500,
    "413 for more than one row": lambda request: 413 if len(request.documents()) > 1 else 200,
}


@pytest.mark.parametrize("answer", OUTAGES.values(), ids=[k.replace(" ", "-") for k in OUTAGES])
def test_an_outage_kills_no_row(answer):
    for _ in range(REPEATS):
        with Webhook(answer) as hook, Gateway({"PLUGIN_HTTP_URL": hook.url, "PLUGIN_HTTP_TIMEOUT": "500ms",
                                               "PLUGIN_HTTP_RETRY_MIN": "20ms", "PLUGIN_HTTP_RETRY_MAX": "100ms"}) as g:
            wanted = set()
            for n in range(10):
                batch = g.take(rows(f"u{n}", 5))["id"]
                wanted |= {(batch, k) for k in range(5)}
            g.wait_rows(50)
            hook.wait_requests(4)
            if not callable(answer):
                wait_until(lambda: g.pusher("http")["lag"]["rows"] == 50 and g.pusher("http")["error"])
                g.wait_state("http", "retrying")
            assert not g.dead()
            hook.answer = answer if callable(answer) else 200
            hook.release()

            def arrived():
                return {(d["id"][:-6], int(d["id"][-5:], 32)) for d in hook.documents()}
            wait_until(lambda: arrived() == wanted, 30, lambda: f"{len(arrived())} of 50; {g.pusher('http')}")
            wait_until(lambda: g.pusher("http")["lag"]["rows"] == 0)
            assert not g.dead() and g.pusher("http")["delivered"] == 50


def test_nobody_listens():
    for _ in range(REPEATS):
        with Webhook() as hook:
            port = hook.port
        with Gateway({"PLUGIN_HTTP_URL": f"http://127.0.0.1:{port}/in", "PLUGIN_HTTP_RETRY_MIN": "20ms",
                      "PLUGIN_HTTP_RETRY_MAX": "100ms"}) as g:
            g.take(rows("a", 20))
            g.wait_state("http", "retrying")
            with Webhook(port=port) as hook:
                hook.wait_documents(20)
                wait_until(lambda: g.pusher("http")["lag"]["rows"] == 0)
            assert not g.dead()


def memory_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon"))


def test_one_is_down_while_the_others_go_on(capsys):
    """One pusher down while many rows pass, another with one row that always fails: memory stays flat, others are not
    held up, the backlog drains fast, the one row is parked and its segments are released."""
    env = {"HEADGATE_JOURNAL_SEGMENT": "16MiB", "HEADGATE_JOURNAL_MAX_BYTES": "8GiB", "HEADGATE_JOURNAL_KEEP_BYTES": "32MiB",
           "PLUGIN_SECOND_USE": "chaos", "PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_SECOND_MODE": "retry", "PLUGIN_SECOND_MATCH": "bad",
           "PLUGIN_SECOND_RETRY_MIN": "20ms", "PLUGIN_SECOND_RETRY_MAX": "100ms", "PLUGIN_CHAOS_FILE": "/dev/null",
           "PLUGIN_SECOND_FILE": "/dev/null", "PLUGIN_FILE_SYNC": "no"}
    with Gateway(env, plugins=["chaos"], start=False) as g:
        gate = g.work / "gate"
        gate.touch()
        g.env["PLUGIN_CHAOS_GATE"] = str(gate)
        g.start()
        g.take(row("bad", {"bad": 1}))
        began, sent, highest = time.monotonic(), 1, 0
        body = b"".join(b'{"uuid":"u%d","rows":[%s]}\n' % (u, b",".join(
            b'{"index":%d,"data":{"row":%d,"pad":"abcdefghijklmnopqrstuvwxyz"}}' % (i, i) for i in range(50)))
            for u in range(50))
        while sent < PASSING:
            answer = g.post(body, content_type="application/x-ndjson")
            assert answer.status == 202, answer
            sent += 2500
            highest = max(highest, memory_of(g.process.pid))
        took = time.monotonic() - began
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0, 60)
        # (A row is parked when others pass.)
        wait_until(lambda: g.take(row("more")) and g.pusher("second")["parked"] == 1, 60, lambda: g.pusher("second"))
        wait_until(lambda: g.pusher("second")["lag"]["bytes"] == 0, 15, lambda: g.pusher("second"))
        assert g.pusher("chaos")["lag"]["rows"] >= PASSING and not g.dead()
        began = time.monotonic()
        os.unlink(gate)
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0, 60 + PASSING / 20000, lambda: g.pusher("chaos"))
        drained = time.monotonic() - began
        wait_until(lambda: len(list(g.data.rglob("*.seg"))) <= 8, 15, lambda: list(g.data.rglob("*.seg")))
        with capsys.disabled():
            print(f"\n{sent} rows in {took:.1f} s ({sent / took:.0f}/s) past a pusher that is down, drained in "
                  f"{drained:.1f} s ({sent / drained:.0f}/s); {highest >> 20} MiB at most")
        assert highest < 64 << 20
        assert sent / drained > 10000  # a guard; the figure is what is printed
