"""The `http` pusher against a far end that misbehaves."""
import hashlib
import hmac
import itertools
import json
import threading
import time

import pytest
from gateway import SLOW, Gateway, row, rows, wait_until
from webhook import Webhook


def gateway(hook, **options):
    env = {"PLUGIN_HTTP_URL": hook.url, "PLUGIN_HTTP_RETRY_MIN": "20ms", "PLUGIN_HTTP_RETRY_MAX": "100ms"}
    env.update({f"PLUGIN_HTTP_{k}": v for k, v in options.items()})
    return Gateway(env)


@pytest.mark.parametrize("body", ["single", "array", "ndjson"])
def test_bodies(body):
    with Webhook() as hook, gateway(hook, BODY=body) as g:
        taken = g.take(rows("u", 200))
        found = hook.wait_documents(200)
        assert [d["data"]["n"] for d in found] == list(range(200)) and {d["uuid"] for d in found} == {"u"}
        assert [d["id"] for d in found] == [r["id"] for r in g.wait_rows(200)]
        assert all(d["id"].startswith(taken["id"]) for d in found)
        for request in hook.taken:
            ids = [d["id"] for d in request.documents()]
            digest = hashlib.sha256("".join(f"{i}\n" for i in ids).encode()).hexdigest()[:16]
            assert request.headers["idempotency-key"] == f"{ids[0]}.{ids[-1]}.{len(ids)}.{digest}"


def test_headers_and_signature():
    with Webhook() as hook, gateway(hook, TOKEN="tok", HMAC_SECRET="key", HEADERS="X-Lab=3") as g:
        g.take(row("u"))
        request, = hook.wait_requests(1)
        assert request.headers["authorization"] == "Bearer tok" and request.headers["x-lab"] == "3"
        digest = hmac.new(b"key", request.body, hashlib.sha256).hexdigest()
        assert any(digest in v for v in request.headers.values()) or "signature" in json.dumps(request.headers).lower()


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 408, 425, 429, 500, 502, 503, 301, 418])
def test_no_row_is_to_blame(status):
    with Webhook(status) as hook, gateway(hook) as g:
        g.take(rows("u", 10))
        hook.wait_requests(4)
        assert g.wait_state("http", "retrying")["error"] and not g.dead()
        hook.answer = 200
        assert [d["data"]["n"] for d in hook.wait_documents(10)] == list(range(10))


@pytest.mark.parametrize("way", ["drop", "hang"])
def test_connections_that_break_or_hang(way):
    with Webhook(way) as hook, gateway(hook, REQUEST_TIMEOUT="300ms") as g:
        g.take(rows("u", 10))
        hook.wait_requests(2)
        assert len(g.wait_rows(10)) == 10 and not g.dead()
        hook.answer = 200
        hook.release()
        assert len({d["id"] for d in hook.wait_documents(10)}) == 10


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_guilty_rows_are_found(status):
    def judge(request):
        return status if any(d["data"].get("bad") for d in request.documents()) else 200
    with Webhook(judge) as hook, gateway(hook) as g:
        g.take({"uuid": "u", "rows": [{"data": {"n": n, **({"bad": True} if n in (3, 17) else {})}} for n in range(40)]})
        wait_until(lambda: len(g.dead()) == 2)
        assert [d["data"]["n"] for d in hook.wait_documents(38)] == [n for n in range(40) if n not in (3, 17)]
        assert all(str(status) in d["reason"] for d in g.dead())


def test_verdicts_in_the_answer():
    def judge(request):
        words = {1: "reject", 2: "duplicate"}
        verdicts = [{"n": i, "verdict": words.get(d["data"]["n"], "ok"), "reason": "said so"}
                    for i, d in enumerate(request.documents())]
        return 200, {"Content-Type": "application/json"}, json.dumps({"rows": verdicts}).encode()
    with Webhook(judge) as hook, gateway(hook) as g:
        taken = g.take(rows("u", 4))
        receipt = wait_until(lambda: (r := g.receipt(taken["id"]).json())["outcome"] == "mixed" and r)
        mine = receipt["pushers"]["http"]
        assert (mine["dead"], mine["duplicate"]) == (1, 1)
        assert "said so" in wait_until(g.dead)[0]["reason"]


def test_retry_after():
    asked = []

    def judge(_):
        asked.append(time.monotonic())
        return 200 if len(asked) > 1 else (503, {"Retry-After": "1"}, b"")
    with Webhook(judge) as hook, gateway(hook, RETRY_MAX="60s") as g:
        g.take(row("u"))
        hook.wait_documents(1)
        assert len(asked) == 2 and asked[1] - asked[0] > 0.5


def test_the_same_batch_after_a_crash():
    with Webhook("hang") as hook, gateway(hook, REQUEST_TIMEOUT="60s") as g:
        g.take(rows("u", 30))
        first, = hook.wait_requests(1)
        g.take(rows("v", 30))
        g.kill9(hosts=True)
        hook.answer = 200
        g.start()
        hook.wait_documents(60)
        again = hook.requests[1]
        assert again.body == first.body and again.headers["idempotency-key"] == first.headers["idempotency-key"]


def test_many_batches_that_come_again_after_crashes_are_the_same():
    """Written down ahead, pushed, and perhaps not settled on disk: whichever of them comes again is what it was."""
    crash, numbers = threading.Event(), itertools.count(1)

    def answer(_):
        if next(numbers) not in (5, 12, 13, 30):
            return 200
        crash.set()
        return "hang"
    with Webhook(answer) as hook, gateway(hook, BATCH_ROWS="20", BODY="ndjson") as g:
        assert g.admin("POST", "/v1/pushers/http/pause").status == 200
        g.wait_state("http", "paused")
        taken = [g.take(rows(f"u{n}", 7))["id"] for n in range(120)]
        assert g.admin("POST", "/v1/pushers/http/resume").status == 200
        for batch_rows in ("33", "20", "50", "14"):  # what was pushed by another number must not be cut by this one
            assert crash.wait(60 * SLOW)
            g.kill9(hosts=True)
            crash.clear()
            g.start({"PLUGIN_HTTP_BATCH_ROWS": batch_rows})
        wait_until(lambda: g.pusher("http").get("lag", {}).get("rows") == 0, 60)
    bodies = {}
    for request in hook.requests:
        assert bodies.setdefault(request.headers["idempotency-key"], request.body) == request.body
    ids = [json.loads(line)["id"] for body in bodies.values() for line in body.splitlines()]
    assert len(ids) == len(set(ids)) == 120 * 7 and {i.rsplit("-", 1)[0] for i in ids} == set(taken)


def test_a_dead_far_end_does_not_touch_the_others():
    with Webhook("hang") as hook, gateway(hook, REQUEST_TIMEOUT="60s") as g:
        for n in range(100):
            g.take(rows(f"u{n}", 10))
        assert len(g.wait_rows(1000)) == 1000
        assert g.pusher("file")["restarts"] == 0 and g.pusher("http")["lag"]["rows"] == 1000
        hook.release()
