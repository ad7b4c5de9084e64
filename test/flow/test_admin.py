"""The API of operation, beyond what the commands ask of it: what it refuses and why, pages, waits, probes, odd ends."""
import json
import threading
import time

import pytest
from gateway import SLOW, Gateway, ask, row, rows, wait_until
from test_delivery import SMALL, chaos, got, take_large, wait_got


def refused(answer, status, *words):
    assert answer.status == status and answer.headers["content-type"] == "application/problem+json", answer
    assert all(w in answer.json()["detail"] for w in words), answer
    return answer


# --- drain


def test_a_drain_that_waits_for_the_end():
    with chaos("notnow") as g:
        g.take(rows("a", 4))
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 4)
        for wait in ("soon", "2h", "25"):
            refused(g.admin("POST", f"/v1/drain?until=empty&wait={wait}"), 422, "wait")
        assert g.get("/readyz").status == 200  # nothing has begun
        assert g.admin("POST", "/v1/drain?until=empty&wait=50ms").json() == {"draining": True, "left": 4}
        refused(g.get("/readyz"), 503, "draining")
        refused(g.post(row("late")), 503)
        told = []
        waits = threading.Thread(target=lambda: told.append(g.admin("POST", "/v1/drain?until=empty&wait=1m").json()))
        waits.start()
        g.gate.unlink()
        waits.join(60)
        assert told == [{"draining": True, "left": 0}] and len(got(g)) == 4


def test_a_drain_that_waits_does_not_hold_up_the_end():
    with chaos("notnow") as g:
        g.take(rows("a", 4))
        g.wait_rows(4)
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0)
        with g.wire("admin") as w:
            w.send(f"POST /v1/drain?until=empty&wait=1h HTTP/1.1\r\nHost: {g.admin_address}\r\nContent-Length: 0\r\n\r\n")
            wait_until(lambda: g.get("/readyz").status == 503)
            began = time.monotonic()
            assert g.term() == 0 and time.monotonic() - began < 20 * SLOW
            assert w.answer()["left"] == 4


# --- probes of far ends, plugins


def test_probes_of_far_ends():
    with chaos("good") as g:
        def probe(name):
            answer = g.admin("POST", f"/v1/pushers/{name}/probe")
            assert answer.status == 200, answer
            return answer.json()
        g.wait_state("chaos", "running")
        g.wait_state("file", "running")
        assert probe("chaos") == {"reachable": False, "text": "no answer to the probe"}
        g.gate.unlink()
        assert probe("chaos")["reachable"] and probe("file")["reachable"]
        assert probe("http") == {"reachable": False, "text": "not configured"}
        refused(g.admin("POST", "/v1/pushers/nobody/probe"), 404, "/v1/pushers")


def test_a_probe_that_hangs():
    with chaos("hang", TIMEOUT=f"{1 * SLOW:.0f}s") as g:
        before = g.host("chaos")
        g.wait_state("chaos", "running")
        told = []
        asks = [threading.Thread(target=lambda: told.append(g.admin("POST", "/v1/pushers/chaos/probe").json()))
                for _ in range(2)]
        for a in asks:
            a.start()
        for a in asks:
            a.join(30 * SLOW)
        assert sorted(t["text"] for t in told) == ["a probe is under way", "the plugin's host ended meanwhile"]
        assert not any(t["reachable"] for t in told)
        assert wait_until(lambda: g.pusher("chaos").get("pid") not in (0, before))  # a worker that hangs is of no use
        # (On a busy machine the next host may be late to open, too.)
        assert g.metrics()['headgate_plugin_restarts_total{pusher="chaos",reason="deadline"}'] >= 1


def test_plugins_as_the_daemon_sees_them():
    with Gateway(plugins=["badabi", "chaos"]) as g:
        found = {p["file"].rsplit("/", 1)[1]: p for p in g.get("/v1/plugins").json()["plugins"]}
        assert found["chaos.so"]["name"] == "chaos" and found["chaos.so"]["refused"] == ""
        assert found["badabi.so"]["name"] == "" and found["badabi.so"]["refused"]
        refused(g.admin("POST", "/v1/pushers/http/pause"), 409, "does not run")
        refused(g.admin("DELETE", "/v1/pushers/http"), 404, "never registered")


# --- dead letters


@pytest.fixture(scope="module")
def letters():
    with chaos("reject", "bad") as g:
        g.take({"uuid": "a", "tags": {"site": "x"}, "rows": [{"data": {"n": n, "bad": 1}} for n in range(7)]})
        g.take({"uuid": "b", "row": {"data": {"bad": 1}}})
        wait_until(lambda: len(g.dead()) == 8)
        yield g


def test_pages_of_dead_letters(letters):
    seen, after = [], ""
    for _ in range(3):
        page = letters.get(f"/v1/dead-letters?limit=3{after}").json()
        assert page["total"] == 8 and len(page["dead"]) <= 3
        seen += [d["id"] for d in page["dead"]]
        after = f"&after={page['next']}"
    assert len(set(seen)) == 8 and page["next"] is None


MORE_THAN_ONE_REQUEST_READS = 4500


def test_very_many_dead_letters():
    """A filter on the reason reads the rows themselves, and a request only so many: the next goes on behind them."""
    total = MORE_THAN_ONE_REQUEST_READS
    with Gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad", "PLUGIN_CHAOS_REJECT_BREAKER": "1000000"},
                 plugins=["chaos"]) as g:
        for part in range(3):
            g.take({"uuid": f"u{part}", "rows": [{"data": {"bad": n}} for n in range(total // 3)]})
        wait_until(lambda: g.pusher("chaos")["dead_letters"] == total, 120)
        assert g.get("/v1/dead-letters?reason=not%20this").json()["next"]  # nothing found yet, but not at the end
        seen, after, pages = [], "", 0
        while after is not None:
            page = g.get(f"/v1/dead-letters?limit=1000&pusher=chaos{after}").json()
            assert page["total"] == total
            seen += [d["id"] for d in page["dead"]]
            after, pages = page["next"] and f"&after={page['next']}", pages + 1
        assert len(seen) == len(set(seen)) == total and pages == 5
        assert len(g.dead("?uuid=u1&limit=1000")) == 1000
        said = g.admin("POST", "/v1/dead-letters/retry?reason=elsewhere&dry-run=yes").json()
        assert said["matched"] == 0 and said["next"]
        # Those that are refused again at once are not met again.
        for verb, word in (("retry", "sent again"), ("drop", "given up")):
            wait_until(lambda: g.pusher("chaos")["dead_letters"] == total, 120)  # none is retrying
            done = g.cli("dead", verb, "--reason", "e")
            assert f"{total} dead letters matched, {total} {word}" in done.stdout, done
        wait_until(lambda: g.pusher("chaos")["dead_letters"] == 0)


def test_filters_of_dead_letters(letters):
    def count(query):
        return len(letters.dead("?" + query))
    assert [count(q) for q in ("uuid=a", "pusher=chaos", "pusher=file", "reason=not%20this", "reason=else", "since=1h")] == \
        [7, 8, 0, 8, 0, 8]
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600))
    past = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 3600))
    assert count(f"since={soon}Z") == 0 and count(f"since={past}.25Z") == 8
    assert count(f"since={past}%2B01:00") == 8 and count(f"since={past}-02:00") == 0  # an hour ago, elsewhere
    for since in ("yesterday", f"{past}%2B1:2", f"{past}%2B01", f"{past}Zz", "2026-13-01"):
        refused(letters.get(f"/v1/dead-letters?since={since}"), 400, "since")
    for after in ("7", "chaos", "chaos:1", ":x:y"):
        refused(letters.get(f"/v1/dead-letters?after={after}"), 400, "after")
    assert letters.dead("?after=nobody:1:1000") == []
    for name in ("pusher", "reason", "uuid", "since"):  # too long to be one: never taken for no filter
        refused(letters.admin("POST", f"/v1/dead-letters/drop?all=yes&{name}=" + "1" * 2000), 400, "filter")
    refused(letters.admin("POST", "/v1/dead-letters/retry"), 422, "all=yes")
    refused(letters.admin("POST", "/v1/dead-letters/drop?since=never"), 400, "since")
    for word in ("dry-run=maybe", "dry-run=", "dry-run", "all=all"):  # neither yes nor no: nothing is done
        refused(letters.admin("POST", f"/v1/dead-letters/drop?uuid=b&{word}"), 400, "yes or no")
    for word in ("limit=many", "limit=-1", "limit=1x", "parked=both"):
        refused(letters.get(f"/v1/dead-letters?{word}"), 400, "limit a number")
    refused(letters.admin("DELETE", "/v1/pushers/chaos?dead-letter=never"), 400, "yes or no")
    assert letters.admin("POST", "/v1/dead-letters/drop?uuid=b&dry-run=yes").json() == {"matched": 1, "dropped": 0, "next": None}
    assert len(letters.dead()) == 8


def test_one_dead_letter(letters):
    one = letters.dead("?uuid=a")[0]
    shown = letters.get(f"/v1/dead-letters/{one['id']}").json()
    assert shown["data"]["bad"] == 1 and shown["tags"] == {"site": "x"} and shown["uuid"] == "a"
    for path in (f"/v1/dead-letters/{one['id'].replace('.chaos', '.file')}", "/v1/dead-letters/nonsense",
                 f"/v1/dead-letters/{one['id'].replace('.chaos', '')}"):
        refused(letters.get(path), 404, "<row id>.<pusher>")
        refused(letters.admin("DELETE", path), 404)
        refused(letters.admin("POST", path + "/retry"), 404)


@pytest.mark.parametrize("body,words", [
    ({"data": {"n": 1, "n ": 2}, "index": -1}, "not valid"), ({"data": [1]}, "not valid"), ({"index": 1}, "not valid"),
    ([], "not valid"), (b"{\"data\": {\"n\": 1}", "not valid"), (b"{\"data\": {\"n\": 1, \"n\": 2}}", "not valid")])
def test_a_mended_row_must_be_a_row(letters, body, words):
    one = letters.dead("?uuid=a")[0]
    refused(letters.admin("POST", f"/v1/dead-letters/{one['id']}/retry", body), 422, words)
    assert len(letters.dead()) == 8


# --- replays


def test_replays_that_cannot_be(letters):
    def asked(**body):
        return letters.admin("POST", "/v1/replays", body)
    refused(letters.admin("POST", "/v1/replays", b"nonsense"), 422, "pusher")
    refused(asked(uuid="a"), 422, "pusher")
    refused(asked(pusher="nobody", uuid="a"), 404, "no such pusher")
    refused(asked(pusher="http", uuid="a"), 404, "never run")
    refused(asked(pusher="chaos"), 422, "from")
    for rate in (0, "fast", 1.5, 10**10):
        refused(asked(pusher="chaos", uuid="a", rate=rate), 422, "rate")
    for times in ({"from": "soon"}, {"from": "1h", "to": "2026-01-31T12:00"}):
        refused(asked(pusher="chaos", **times), 422, "times")
    for batch in ("nonsense", "0" * 26 + "-" + "0" * 13):
        refused(asked(pusher="chaos", batch=batch), 404, "not here")
    for method, path in (("GET", "/v1/replays/chaos.99"), ("DELETE", "/v1/replays/chaos"), ("GET", "/v1/replays/nobody.1")):
        refused(letters.admin(method, path), 404, "/v1/replays")
    assert letters.get("/v1/replays").json() == {"replays": []}


def test_so_many_replays_at_a_time():
    with chaos("good") as g:
        g.take(rows("a", 300))  # five minutes at one a second: none ends by itself
        wait_got(g, 300)
        begun = [g.admin("POST", "/v1/replays", {"pusher": "chaos", "uuid": "a", "rate": 1}).json() for _ in range(8)]
        assert len({r["id"] for r in begun}) == 8
        one_more = g.admin("POST", "/v1/replays", {"pusher": "chaos", "uuid": "a"})
        assert one_more.status >= 400 and "end one first" in one_more.json()["detail"]
        assert g.admin("DELETE", f"/v1/replays/{begun[0]['id']}").json()["state"] == "stopped"
        assert g.get(f"/v1/replays/{begun[1]['id']}").json()["state"] == "running"
        assert g.admin("POST", "/v1/replays", {"pusher": "chaos", "uuid": "a"}).status == 202
        assert begun[0]["id"] not in {r["id"] for r in g.get("/v1/replays").json()["replays"]}  # it made room


def test_replays_by_time():
    with chaos("good", **SMALL) as g:
        take_large(g, 25)
        wait_got(g, 25)
        now = time.time()
        middle = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
        take_large(g, 25, "later")
        wait_got(g, 50)

        def dry(**body):
            return g.admin("POST", "/v1/replays", {"pusher": "chaos", "dry_run": True, **body}).json()
        assert dry(**{"from": "1h"})["rows"] == 50 and dry(**{"from": "2h", "to": "1h"})["rows"] == 0
        early, late = dry(**{"from": "1h", "to": middle})["rows"], dry(**{"from": middle})["rows"]
        assert 25 <= early < 50 and 25 <= late < 50  # whole segments
        told = json.loads(g.cli("replay", "--pusher", "chaos", "--from", "1h", "--to", middle, "--json").stdout)
        assert told["state"] == "done" and told["sent"] == early and told["gone"] == 0
        assert dry(batch=g.take(row("last"))["id"])["rows"] == 1


def test_rows_of_a_replay_that_are_refused_or_were_there():
    with chaos("good", "bad") as g:
        g.take({"uuid": "a", "rows": [{"data": {"n": n, **({"bad": 1} if n in (2, 3) else {})}} for n in range(6)]})
        wait_got(g, 6)
        g.restart({"PLUGIN_CHAOS_MODE": "reject"})
        g.wait_state("chaos", "running")
        told = json.loads(g.cli("replay", "--pusher", "chaos", "--uuid", "a", "--json").stdout)
        assert told["sent"] == 4 and len(wait_until(lambda: len(d := g.dead()) == 2 and d)) == 2
        g.cli("replay", "--pusher", "chaos", "--uuid", "a")
        assert len(g.dead()) == 2  # they are there already
        g.restart({"PLUGIN_CHAOS_MODE": "skip"})
        g.wait_state("chaos", "running")
        told = json.loads(g.cli("replay", "--pusher", "chaos", "--uuid", "a", "--json").stdout)
        assert (told["state"], told["sent"], told["duplicate"]) == ("done", 4, 1)
        assert g.cli("dead", "drop", "--all").returncode == 0
        g.restart({"PLUGIN_CHAOS_MODE": "retry"})
        g.wait_state("chaos", "running")
        told = json.loads(g.cli("replay", "--pusher", "chaos", "--uuid", "a", "--json").stdout)
        assert told["state"] == "done" and told["sent"] == 4
        wait_until(lambda: g.pusher("chaos")["parked"] == 2)  # a replay ends; these are tried on their own


# --- receipts


def test_pages_of_receipts():
    with Gateway() as g:
        taken = [g.take(row("u"))["id"] for _ in range(120)]
        seen, after = [], ""
        while after is not None:
            page = g.get(f"/v1/receipts/u{'?after=' + after if after else ''}").json()
            seen += [b["id"] for b in page["batches"]]
            after = page["next"]
        assert seen == taken[::-1]
        refused(g.get("/v1/receipts/nobody"), 404, "uuid")
        refused(g.get(f"/v1/receipts/{'n' * 600}"), 404, "uuid")
        refused(g.get("/v1/receipts/u?after=here"), 422, "after")
        for word in ("limit=ten", "after=1.5", "after=-1"):
            refused(g.get(f"/v1/batches/{taken[0]}/rows?{word}"), 400, "limit is a number")
        refused(g.admin("POST", f"/v1/batches/{taken[0]}/pushers/file/purge?dry-run=perhaps"), 400, "yes or no")
        assert g.get("/v1/audit?limit=all").status == 400 and g.get("/v1/log?after=then").status == 422
        assert g.get("/v1/rowsets?limit=0").status == 422
        refused(g.get("/problems/none"), 404)
        assert ask(g.admin_address, "GET", "/problems/budget").body.startswith(b"No room\n")
