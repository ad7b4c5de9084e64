"""What becomes of rows: order, retries, refusals, evidence, dead letters, receipts, limits."""
import ctypes
import json
import threading

import pytest
from gateway import Gateway, row, rows, wait_until, whole_lines


def chaos(mode, match=None, plugin="chaos", **options):
    """A gateway with the chaos pusher in that mode, its rows in out/chaos; RETRY_MAX short."""
    env = {f"PLUGIN_{plugin.upper()}_MODE": mode, f"PLUGIN_{plugin.upper()}_RETRY_MIN": "20ms",
           f"PLUGIN_{plugin.upper()}_RETRY_MAX": "100ms"}
    if match:
        env[f"PLUGIN_{plugin.upper()}_MATCH"] = match
    env.update({f"PLUGIN_{plugin.upper()}_{k}" if not k.startswith(("HEADGATE", "PLUGIN")) else k: v
                for k, v in options.items()})
    g = Gateway(env, plugins=[plugin], start=False)
    g.gate = g.work / "gate"
    g.gate.touch()
    g.env[f"PLUGIN_{plugin.upper()}_GATE"] = str(g.gate)
    return g.start()


def got(g, plugin="chaos"):
    """Rows that the chaos pusher delivered, as (id, attempt, origin, uuid, number, data)."""
    found = []
    for line in whole_lines(g.got_path(plugin)):
        if not line.endswith("}"):
            continue  # of a host that was killed while it wrote
        row_id, attempt, origin, uuid, number, data = line.split(" ", 5)
        found.append((row_id, int(attempt), int(origin), uuid, number, json.loads(data)))
    return found


def wait_got(g, count, plugin="chaos", timeout=20):
    return wait_until(lambda: len(r := got(g, plugin)) >= count and r, timeout,
                      lambda: f"{count} rows at {plugin}: {len(got(g, plugin))}; {g.pusher(plugin)}")


def file_rows(g):
    return g.file_rows(g.out / "rows.ndjson")


def test_every_pusher_gets_every_row():
    with chaos("good") as g:
        for n in range(50):
            g.take(rows(f"u{n}", 4))
        assert len(wait_got(g, 200)) == 200
        wait_until(lambda: len(file_rows(g)) == 200)
        assert [r[0] for r in got(g)] == [r["id"] for r in file_rows(g)]


# contract: pusher.RETRY_MIN pusher.RETRY_MAX pusher.ORDER
def test_order_of_a_uuid_through_retries():
    with chaos("retryonce", "bad", BATCH_ROWS="1") as g:
        for n in range(5):
            g.take({"uuid": "a", "rows": [{"data": {"n": 10 * n}}, {"data": {"n": 10 * n + 1, **({"bad": 1} if n == 1 else {})}}]})
            g.take(row("b", {"n": n}))
        found = wait_got(g, 15)
        assert [r[5]["n"] for r in found if r[3] == "a"] == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]
        assert [r[5]["n"] for r in found if r[3] == "b"] == list(range(5))
        assert [r[1] for r in found if "bad" in r[5]] == [2]
        assert len(found) == 15 and not g.dead()
    with chaos("retryonce", "bad", ORDER="none", BATCH_ROWS="1") as g:
        g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}]})
        assert [r[5]["n"] for r in wait_got(g, 2)] == [1, 0]


def test_one_row_that_always_fails_holds_back_its_uuid_only():
    with chaos("retry", "bad", BATCH_ROWS="1") as g:
        g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}]})
        for n in range(30):
            g.take(row("b", {"n": n}))
        found = wait_got(g, 30)
        assert {r[3] for r in found} == {"b"}
        assert not g.dead()
        assert g.pusher("chaos")["state"] in ("running", "retrying")


# contract: api.dead api.dead.id dead.list dead.show api.receipt.states
def test_a_whole_set_that_always_fails_is_parked():
    """It pins nothing, later sets of its uuid stand behind it, and it comes as a whole once the pusher is mended."""
    with chaos("retry", "bad", plugin="whole", BATCH_ROWS="1") as g:
        g.take(rows("a", 3, bad=1))
        g.take(row("a", {"n": 9}))
        wait_until(lambda: g.take(row("b")) and g.pusher("whole")["parked"] == 4)
        assert all(r[3] == "b" for r in got(g, "whole"))
        assert wait_until(lambda: g.pusher("whole")["lag"]["bytes"] == 0)
        assert not g.dead()
        g.env["PLUGIN_WHOLE_MODE"] = "good"
        g.restart()
        found = wait_until(lambda: len(r := [r for r in got(g, "whole") if r[3] == "a"]) >= 4 and r)
        assert [(r[4], r[5]["n"]) for r in found] == [("0", 0), ("1", 1), ("2.", 2), ("0.", 9)]  # `.`: the last of a set
        assert len({r[1] for r in found[:3]}) == 1 and found[0][1] > 5
        wait_until(lambda: g.pusher("whole")["parked"] == 0)


def test_a_refused_row_becomes_a_dead_letter():
    with chaos("reject", "bad") as g:
        taken = g.take({"uuid": "a", "rows": [{"data": {"n": 0}}, {"data": {"n": 1, "bad": 1}}, {"data": {"n": 2}}]})
        wait_got(g, 2)
        letter, = wait_until(lambda: g.dead("?pusher=chaos"))
        assert letter["id"].startswith(taken["id"]) and letter["id"].endswith(".chaos") and letter["reason"]
        receipt = wait_until(lambda: (r := g.receipt(taken["id"]).json())["outcome"] == "mixed" and r)
        assert receipt["pushers"]["chaos"]["dead"] == 1 and receipt["pushers"]["chaos"]["delivered"] == 2
        assert receipt["pushers"]["file"]["delivered"] == 3 and receipt["pushers"]["file"]["state"] == "settled"
        listed = g.cli("dead", "list", "--json")
        assert letter["id"] in listed.stdout
        assert letter["id"] in g.cli("dead", "list").stdout or letter["reason"] in g.cli("dead", "list").stdout
        shown = g.cli("dead", "show", letter["id"])
        assert shown.returncode == 0 and '"bad"' in shown.stdout.replace(" ", "")


# contract: api.dead.retry dead.retry
def test_a_dead_letter_is_sent_again_once_mended():
    with chaos("reject", "bad") as g:
        g.take({"uuid": "a", "rows": [{"data": {"n": n, "bad": 1}} for n in range(3)]})
        wait_until(lambda: len(g.dead()) == 3)
        g.restart({"PLUGIN_CHAOS_MODE": "good"})
        one, *_ = g.dead()
        assert g.admin("POST", f"/v1/dead-letters/{one['id']}/retry").status in (200, 202)
        wait_got(g, 1)
        assert g.cli("dead", "retry", "--all").returncode == 0
        found = wait_got(g, 3)
        assert sorted(r[5]["n"] for r in found) == [0, 1, 2] and {r[2] for r in found} == {2}
        wait_until(lambda: not g.dead())


# contract: api.dead.row
def test_a_dead_letter_with_a_new_row():
    with chaos("reject", "bad") as g:
        taken = g.take(row("a", {"n": 1, "bad": 1}))
        letter, = wait_until(lambda: g.dead())
        answer = g.admin("POST", f"/v1/dead-letters/{letter['id']}/retry", {"data": {"n": 2}})
        if answer.status >= 400:
            answer = g.admin("POST", f"/v1/dead-letters/{letter['id']}/retry", {"row": {"data": {"n": 2}}})
        assert answer.status in (200, 202), answer
        (found,) = wait_got(g, 1)
        assert found[5] == {"n": 2} and not found[0].startswith(taken["id"])
        assert len(g.wait_rows(1)) == 1  # a new row for that pusher alone


# contract: api.dead.delete dead.drop dead.export dead.filters dead.dry-run
def test_dead_letters_by_command():
    with chaos("reject", "bad") as g:
        for uuid in ("a", "b"):
            g.take({"uuid": uuid, "rows": [{"data": {"n": n, "bad": 1}} for n in range(3)]})
        wait_until(lambda: len(g.dead()) == 6)
        assert len(g.dead("?uuid=a")) == 3 and not g.dead("?pusher=file") and not g.dead("?uuid=c")
        exported = g.cli("dead", "export", "--uuid", "b")
        assert exported.returncode == 0 and len(exported.stdout.splitlines()) == 3
        assert g.cli("dead", "drop", "--uuid", "a", "--dry-run").returncode == 0 and len(g.dead()) == 6
        assert g.cli("dead", "drop").returncode == 64  # nothing is dropped without a filter, an id or --all
        assert g.cli("dead", "drop", "--uuid", "a").returncode == 0
        wait_until(lambda: len(g.dead()) == 3)
        letter = g.dead()[0]
        assert g.admin("DELETE", f"/v1/dead-letters/{letter['id']}").status in (200, 204)
        wait_until(lambda: len(g.dead()) == 2)
        g.restart()
        assert len(g.dead()) == 2


# contract: pusher.REJECT_BREAKER resume api.pause
def test_the_breaker():
    with chaos("reject", REJECT_BREAKER="10", BATCH_ROWS="5") as g:
        g.take(rows("a", 100))
        broken = g.wait_state("chaos", "broken")
        assert broken["dead_letters"] <= 15 and broken["error"]
        g.restart({"PLUGIN_CHAOS_MODE": "good"})
        if g.pusher("chaos")["state"] == "broken":
            assert g.cli("resume", "chaos").returncode == 0
        assert g.cli("dead", "retry", "--pusher", "chaos", "--all").returncode == 0
        assert len({r[0] for r in wait_got(g, 100)}) == 100


@pytest.mark.parametrize("mode", ["segv", "abort", "overflow", "thread"])
def test_only_the_row_that_crashes_is_dead(mode):
    with chaos(mode, "bad") as g:
        for n in range(10):
            g.take({"uuid": f"u{n}", "rows": [{"data": {"n": i, **({"bad": 1} if (n, i) == (4, 1) else {})}} for i in range(3)]})
        # A suspect is held until a neighbour passes, and all of them may have passed before it was one.
        letter, = wait_until(lambda: g.dead() or (g.take(row("neighbour")) and None), 60, lambda: g.pusher("chaos"))
        wait_until(lambda: len({r[0] for r in got(g) if r[3] != "neighbour"}) == 29, 60,
                   lambda: f"{len(got(g))} rows; {g.pusher('chaos')}")
        found = got(g)
        assert letter["uuid"] == "u4" and letter["reason"]
        assert letter["id"].rsplit(".", 1)[0] not in {r[0] for r in found}
        assert len(g.wait_rows(30, where=lambda r: r["uuid"] != "neighbour")) == 30
        assert g.pusher("file")["restarts"] == 0


def test_a_plugin_that_crashes_on_everything_kills_no_row():
    with chaos("segv") as g:
        for n in range(5):
            g.take(row(f"u{n}"))
        broken = g.wait_state("chaos", "broken", timeout=40)
        assert broken["dead_letters"] == 0 and broken["lag"]["rows"] == 5
        assert len(g.wait_rows(5)) == 5
        g.restart({"PLUGIN_CHAOS_MODE": "good"})
        if g.pusher("chaos")["state"] == "broken":
            g.cli("resume", "chaos")
        assert len(wait_got(g, 5)) == 5


# contract: pusher.TIMEOUT
@pytest.mark.parametrize("mode", ["spin", "hang"])
def test_a_push_that_hangs_is_a_retry(mode):
    with chaos(mode, "bad", TIMEOUT="300ms") as g:
        g.take({"uuid": "a", "rows": [{"data": {"n": 0}}, {"data": {"n": 1, "bad": 1}}]})
        for n in range(10):
            g.take(row(f"u{n}", {"n": n}))
        found = wait_got(g, 11, timeout=60)
        assert not any("bad" in r[5] for r in found) and not g.dead()
        assert len(g.wait_rows(12)) == 12


def test_an_outage_makes_no_dead_letters():
    with chaos("notnow") as g:
        g.take(rows("a", 200))
        found = wait_until(lambda: (p := g.pusher("chaos"))["state"] == "retrying" and p["error"] and p)
        assert found["lag"]["rows"] == 200
        wait_until(lambda: g.pusher("chaos")["retries"] > 3)
        assert not g.dead() and not got(g)
        g.gate.unlink()
        assert [r[5]["n"] for r in wait_got(g, 200)] == list(range(200))


# contract: pusher.RETRY_FOR
def test_rows_expire_where_it_is_written():
    with chaos("retry", RETRY_FOR="300ms") as g:
        g.take(rows("a", 3))
        letters = wait_until(lambda: len(d := g.dead()) == 3 and d)
        assert {"expired" in x["reason"] for x in letters} == {True}


# contract: pusher.BATCH_ROWS pusher.BATCH_BYTES pusher.BATCH_WAIT
def test_batches():
    with chaos("good", BATCH_ROWS="7") as g:
        g.take(rows("a", 100))
        assert [r[5]["n"] for r in wait_got(g, 100)] == list(range(100))
    with chaos("good", BATCH_BYTES="1KiB") as g:
        g.take(rows("a", 50, pad="x" * 500))
        g.take(row("b", {"pad": "y" * 5000}))  # a single row may be larger
        assert len(wait_got(g, 51)) == 51
    with chaos("good", BATCH_WAIT="10m") as g:
        g.take(row("a"))
        wait_got(g, 1)  # an idle pusher pushes at once


def test_a_batch_larger_than_what_can_wait():
    """5,000 rows go in one push; when all of them must come again, those that find no room to wait are parked."""
    with chaos("good", BATCH_ROWS="5000") as g:
        g.take(rows("a", 5000))
        assert [r[5]["n"] for r in wait_got(g, 5000)] == list(range(5000))
        pushes = wait_until(lambda: g.metrics()['headgate_push_seconds_count{pusher="chaos"}'])
        assert pushes == 1
    with chaos("retryonce", BATCH_ROWS="5000") as g:
        g.take(rows("a", 2500))
        g.take(rows("b", 2500))
        found = wait_got(g, 5000, timeout=60)
        for u in "ab":
            assert [r[5]["n"] for r in found if r[3] == u] == list(range(2500))
        wait_until(lambda: (p := g.pusher("chaos"))["lag"]["rows"] == p["parked"] == p["waiting"] == 0)
        assert len(got(g)) == 5000 and not g.dead()


# contract: pusher.PARALLEL
def test_parallel_workers_keep_the_order_of_a_uuid():
    with chaos("good", PARALLEL="4", BATCH_ROWS="3") as g:
        for n in range(20):
            for u in range(5):
                g.take(row(f"u{u}", {"n": n}))
        found = wait_got(g, 100)
        assert len({r[0] for r in found}) == 100
        for u in range(5):
            assert [r[5]["n"] for r in found if r[3] == f"u{u}"] == list(range(20))


def test_skipped_and_duplicate_rows():
    with chaos("skip", "odd") as g:
        taken = g.take({"uuid": "a", "rows": [{"data": {"n": n, "odd": 1}} for n in range(4)]})
        receipt = wait_until(lambda: (r := g.receipt(taken["id"]).json())["outcome"] != "pending" and r)
        mine = receipt["pushers"]["chaos"]
        assert mine["skipped"] == 2 and mine["duplicate"] == 2 and mine["dead"] == 0


# contract: pusher.MEMORY_MAX
def test_a_host_that_grows_is_restarted():
    with chaos("leak", MEMORY_MAX="48MiB", BATCH_ROWS="1") as g:
        g.clean = False  # a sanitizer rightly tells of the leak
        for n in range(150):
            g.take(row(f"u{n}"))
        wait_until(lambda: g.pusher("chaos")["restarts"] > 0, 30)
        assert len({r[0] for r in wait_got(g, 150, timeout=40)}) == 150
        assert not g.dead()


def landlock():
    """Does this kernel have it? (landlock_create_ruleset asked for its version)"""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


# contract: pusher.CONFINE
def test_a_confined_host():
    with chaos("escape", "bad") as g:
        g.gate.write_text("secret")
        g.env["PLUGIN_CHAOS_GATE"] = "/etc/passwd"
        g.restart()
        if not g.wait_state("chaos", "running")["confined"]:
            assert not landlock(), "the kernel could, and it is not confined"
            return
        g.take(row("a", {"bad": 1}))
        told = "\n".join(wait_until(lambda: whole_lines(g.got_path())))
        assert "root:" not in told and "denied" in told.lower(), told


# contract: pusher.FROM
def test_where_a_new_pusher_begins():
    with Gateway() as g:
        g.take(rows("before", 5))
        g.wait_rows(5)
        assert g.term() == 0
        for name in ("late", "early"):
            g.env[f"PLUGIN_{name.upper()}_USE"] = "file"
            g.env[f"PLUGIN_{name.upper()}_PATH"] = str(g.out / name)
        g.env["PLUGIN_EARLY_FROM"] = "start"
        g.start()
        g.take(rows("after", 2))
        wait_until(lambda: (g.out / "early").exists() and len(g.file_rows(g.out / "early")) == 7)
        wait_until(lambda: (g.out / "late").exists() and len(g.file_rows(g.out / "late")) == 2)


def fill(g, pad, most=400):
    """Posts until it is refused; the refusal."""
    for n in range(most):
        answer = g.post(row(f"fill{n}", {"pad": "x" * pad}))
        if answer.status != 202:
            return answer
    return None


# contract: pusher.WHEN_FULL.block journal.max_bytes answer.503 journal.segment
def test_the_budget_blocks_and_recovers():
    env = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_MAX_BYTES": "4MiB", "HEADGATE_HTTP_MAX_BODY": "256KiB",
           "HEADGATE_JOURNAL_KEEP_BYTES": "0"}
    with chaos("notnow", **env) as g:
        refusal = fill(g, 50000)
        assert refusal is not None and refusal.status == 503 and int(refusal.headers["retry-after"]) > 0
        assert g.get("/readyz").status == 503
        g.gate.unlink()
        wait_until(lambda: g.get("/readyz").status == 200 and g.post(row("again")).status == 202, 30)
        assert not g.dead()


# contract: pusher.WHEN_FULL.skip pusher.WHEN_FULL.dead pusher.MAX_LAG
@pytest.mark.parametrize("what", ["skip", "dead-letter"])
def test_a_pusher_that_is_let_fall_behind(what):
    with chaos("notnow", WHEN_FULL=what, MAX_LAG="200KiB", HEADGATE_HTTP_MAX_BODY="256KiB") as g:
        for n in range(20):
            g.take(row(f"u{n}", {"n": n, "pad": "x" * 30000}))
        wait_until(lambda: len(file_rows(g)) == 20)
        p = wait_until(lambda: (p := g.pusher("chaos")) and p["lag"]["bytes"] <= 300 * 1024 and p["lag"]["rows"] < 20 and p)
        left = p["lag"]["rows"]
        if what == "dead-letter":
            wait_until(lambda: len(g.dead()) == 20 - g.pusher("chaos")["lag"]["rows"])
        g.gate.unlink()
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        assert 0 < len(got(g)) <= max(left, 1) + 1
        p = g.pusher("chaos")
        assert len(got(g)) + p["given_up"] + len(g.dead()) == 20  # none is lost on the way
        whole(g)


def whole(g):
    """Nobody took a piece of the journal for damaged."""
    assert not [e for e in g.events if e.get("event") == "journal.damaged"]


def test_damage_costs_its_group_and_is_told():
    """A byte of the journal changes while its rows wait: their host meets it, all others arrive, the daemon tells once."""
    with chaos("good") as g:
        g.admin("POST", "/v1/pushers/chaos/pause")
        for n in range(5):
            g.take(row(f"u{n}", {"text": f"needle-{n}"}))
        g.wait_rows(5)
        segment = next(f for f in sorted((g.data / "journal").glob("*.seg")) if b"needle-2" in f.read_bytes())
        with open(segment, "r+b") as f:
            f.seek(segment.read_bytes().index(b"needle-2"))
            f.write(b"N")
        g.gate.unlink()
        g.admin("POST", "/v1/pushers/chaos/resume")
        wait_until(lambda: sorted(r[3] for r in got(g)) == ["u0", "u1", "u3", "u4"], what=lambda: got(g))
        told = g.wait_event("journal.damaged")
        assert int(told["from"]) < int(told["to"])
        assert g.metrics()["headgate_journal_damages"] == 1 and g.pusher("chaos")["state"] == "running"
        assert g.get("/readyz").status == 200 and not g.dead()
        g.take(row("u5"))
        wait_until(lambda: len(got(g)) == 5)


# contract: pusher.MAX_LAG
@pytest.mark.parametrize("pad", [100, 700, 5000])
def test_where_a_limit_falls_no_row_is_lost(pad):
    """The limit is somewhere among the bytes, in the middle of a row set or of what was synced together."""
    with chaos("notnow", WHEN_FULL="dead-letter", MAX_LAG="10KiB") as g:
        threads = [threading.Thread(target=lambda k=k: [g.take(rows(f"u{k}", 5, pad="x" * pad)) for _ in range(20)])
                   for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        wait_until(lambda: g.pusher("chaos")["lag"]["bytes"] <= 10240 + 5 * pad + 2048)
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] + g.get("/v1/dead-letters?limit=1").json()["total"] == 400)
        g.gate.unlink()
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        assert len({r[0] for r in got(g)}) + g.get("/v1/dead-letters?limit=1").json()["total"] == 400
        whole(g)


# contract: pusher.RETRY_FOR
def test_a_set_that_expires_in_its_middle():
    with chaos("notnow", RETRY_FOR="500ms", BATCH_ROWS="3") as g:
        g.take(rows("a", 10))
        g.take(rows("b", 2))
        letters = wait_until(lambda: len(d := g.dead()) == 12 and d)
        assert all(d["reason"].startswith("expired") for d in letters)
        assert g.pusher("chaos")["lag"]["rows"] == 0
        whole(g)


# contract: pause api.pause
def test_pause_and_resume():
    with chaos("good") as g:
        assert g.cli("pause", "chaos").returncode == 0
        g.wait_state("chaos", "paused")
        g.take(rows("a", 10))
        wait_until(lambda: len(file_rows(g)) == 10)
        assert not got(g) and g.pusher("chaos")["lag"]["rows"] == 10
        g.restart()
        assert g.pusher("chaos")["state"] == "paused"
        assert g.admin("POST", "/v1/pushers/chaos/resume").status == 200
        assert len(wait_got(g, 10)) == 10
        assert g.admin("POST", "/v1/pushers/nobody/pause").status == 404


# contract: plugin.forget api.forget plugins.orphaned
def test_forget():
    with chaos("notnow") as g:
        g.take(rows("a", 10))
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 10)
        assert g.admin("DELETE", "/v1/pushers/chaos").status == 409  # it is there and configured
        (g.own_plugins / "chaos.so").unlink()
        orphan = g.wait_state("chaos", "orphaned")
        assert orphan["lag"]["rows"] == 10
        done = g.cli("plugin", "forget", "chaos")
        assert done.returncode == 0 and "10" in done.stdout
        wait_until(lambda: "chaos" not in g.pushers())
        assert g.cli("plugin", "forget", "chaos").returncode != 0


# contract: plugin.forget.dead-letter
def test_forget_keeps_rows_as_dead_letters():
    with chaos("notnow") as g:
        g.take(rows("a", 10))
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        wait_until(lambda: g.cli("plugin", "forget", "chaos", "--dead-letter").returncode == 0)
        wait_until(lambda: len(g.dead()) == 10)


def let_go(g, dead):
    """The chaos pusher's plugin goes, then the pusher is forgotten and its rows kept."""
    g.take(rows("before", dead))
    (g.own_plugins / "chaos.so").unlink()
    g.wait_state("chaos", "orphaned")
    wait_until(lambda: g.cli("plugin", "forget", "chaos", "--dead-letter").returncode == 0)
    wait_until(lambda: len(g.dead()) == dead)


def test_what_comes_after_a_pusher_was_forgotten_is_not_its_own():
    with chaos("notnow", MAX_LAG="1MiB") as g:
        let_go(g, 10)
        for start in (g.ready, g.restart):
            start()
            taken = [g.post(rows("after", 3, pad="x" * 300000), headers={"Prefer": "wait=20"}) for _ in range(3)]
            assert [r.status for r in taken] == [200] * 3 and set(taken[0]["pushers"]) == {"file"}
            assert g.pusher("chaos")["lag"] == {"rows": 0, "bytes": 0, "seconds": 0}
            told = g.metrics()
            assert [told[f'headgate_lag_{unit}{{pusher="chaos"}}'] for unit in ("rows", "bytes", "seconds")] == [0, 0, 0]
            assert g.get("/readyz").status == 200
        assert g.cli("drain", "--wait", "10s").returncode == 0
        assert len(g.dead()) == 10


def test_parked_rows_of_a_forgotten_pusher_are_kept():
    with chaos("retry", "bad") as g:
        g.take(rows("a", 3, bad=1))
        wait_until(lambda: g.take(row("good")) and g.pusher("chaos")["parked"] == 3)
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        wait_until(lambda: g.cli("plugin", "forget", "chaos", "--dead-letter").returncode == 0)
        why = "given up: its pusher was forgotten"
        wait_until(lambda: [d["reason"] for d in g.dead() if d["uuid"] == "a"] == [why] * 3)
        assert g.pusher("chaos")["parked"] == 0
        assert g.cli("drain", "--wait", "10s").returncode == 0


def test_a_pusher_that_comes_back_after_it_was_forgotten_is_new():
    with chaos("notnow") as g:
        let_go(g, 10)
        g.take(rows("between", 5))
        g.gate.unlink()
        g.add_plugin("chaos")
        g.wait_state("chaos", "running")
        g.take(rows("after", 5))
        assert [r[3] for r in wait_got(g, 5)] == ["after"] * 5
        g.restart()
        assert g.cli("dead", "retry", "--pusher", "chaos", "--all").returncode == 0
        assert sorted(r[3] for r in wait_got(g, 15)) == ["after"] * 5 + ["before"] * 10


# contract: replay.batch replay.uuid replay.range replay.says replay.dry-run api.replays
def test_replay():
    with chaos("good") as g:
        taken = g.take(rows("a", 5))
        g.take(rows("b", 5))
        wait_got(g, 10)
        dry = g.cli("replay", "--pusher", "chaos", "--batch", taken["id"], "--dry-run")
        assert dry.returncode == 0 and len(got(g)) == 10
        for choice, count in ((["--batch", taken["id"]], 5), (["--uuid", "b"], 5), (["--from", "1h", "--to", "now"], 10)):
            before = len(got(g))
            done = g.cli("replay", "--pusher", "chaos", *choice)
            assert done.returncode == 0, done.stderr
            again = wait_got(g, before + count)[before:]
            assert len(again) == count and {r[2] for r in again} == {3}
            assert str(count) in done.stdout
        listed = g.get("/v1/replays").json()
        assert listed["replays"]


def take_large(g, count, of="fill"):
    """Row sets of 100 KB, each of a uuid of its own."""
    for n in range(count):
        g.take(row(f"{of}-{n}", {"pad": "x" * 100000}))


def the_replay(g):
    return g.get("/v1/replays").json()["replays"][-1]


SMALL = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_HTTP_MAX_BODY": "256KiB"}


def test_positions_between_segments_are_not_rows_that_are_gone():
    with chaos("good", **SMALL) as g:
        take_large(g, 20)
        g.kill9()  # the tail goes to a fresh segment
        g.start()
        take_large(g, 20, "more")
        wait_got(g, 40)
        done = json.loads(g.cli("replay", "--pusher", "chaos", "--from", "1h", "--to", "now", "--json").stdout)
        assert (done["state"], done["sent"], done["duplicate"], done["gone"]) == ("done", 40, 0, 0)
        assert len(got(g)) >= 80
        dry = json.loads(g.cli("replay", "--pusher", "chaos", "--uuid", "more-3", "--dry-run", "--json").stdout)
        assert (dry["rows"], dry["gone"]) == (1, 0)


def test_a_replay_that_retention_overtakes():
    with chaos("good", HEADGATE_JOURNAL_KEEP_BYTES="1MiB", **SMALL) as g:
        take_large(g, 20)
        wait_got(g, 20)
        begun = g.admin("POST", "/v1/replays", {"pusher": "chaos", "from": "1h", "rate": 1}).json()
        assert begun["state"] == "running"
        wait_until(lambda: the_replay(g)["sent"] > 0)
        take_large(g, 60, "later")
        last = wait_until(lambda: (r := the_replay(g))["state"] != "running" and r, 40, lambda: the_replay(g))
        assert last["state"] == "overtaken" and last["gone"] > 0 and last["sent"] + last["gone"] <= 20
        replayed = {r[3] for r in got(g) if r[2] == 3}
        assert len(replayed) == last["sent"] and all(u.startswith("fill-") for u in replayed)


def test_a_replay_says_how_it_ended():
    with chaos("good", "bad") as g:
        g.take(rows("a", 300, bad=1))  # five minutes at one a second: it does not end by itself
        wait_got(g, 300)
        begun = g.admin("POST", "/v1/replays", {"pusher": "chaos", "uuid": "a", "rate": 1}).json()
        assert g.cli("replay", "stop", begun["id"]).returncode == 0
        assert the_replay(g)["state"] == "stopped"
        g.restart({"PLUGIN_CHAOS_MODE": "abort"})
        g.wait_state("chaos", "running")
        done = g.cli("replay", "--pusher", "chaos", "--uuid", "a")
        assert done.returncode == 75 and ": failed: 0 rows sent" in done.stdout, done
        g.take(row("b"))
        wait_until(lambda: any(r[3] == "b" for r in got(g)))  # it goes on
        assert not g.dead()


# contract: replay.new-ids replay.rate
def test_replay_as_new_rows():
    with chaos("good") as g:
        taken = g.take(rows("a", 5))
        wait_got(g, 5)
        assert g.cli("replay", "--pusher", "chaos", "--batch", taken["id"], "--new-ids", "--rate", "50").returncode == 0
        again = wait_got(g, 10)[5:]
        assert not {r[0] for r in again} & {r[0] for r in got(g)[:5]}
        assert [r[5] for r in again] == [r[5] for r in got(g)[:5]]


# contract: api.receipts api.batch receipt
def test_receipts():
    with chaos("notnow") as g:
        first, second = g.take(rows("a", 2)), g.take(rows("a", 3))
        page = g.get("/v1/receipts/a", "rows").json()
        assert page["uuid"] == "a" and [b["id"] for b in page["batches"]] == [second["id"], first["id"]]
        pending = g.get(f"/v1/batches/{first['id']}", "rows").json()
        assert pending["outcome"] == "pending" and pending["rows"] == 2
        g.gate.unlink()
        g.wait_outcome(first["id"]), g.wait_outcome(second["id"])
        assert g.cli("receipt", first["id"]).returncode == 0
        shown = g.cli("receipt", "a", "--json")
        assert first["id"] in shown.stdout and second["id"] in shown.stdout
        assert g.get("/v1/batches/nonsense").status == 404
        assert g.cli("receipt", "nobody-knows-this").returncode != 0


# contract: journal.keep journal.keep_bytes
def test_receipts_go_with_their_segment():
    env = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_KEEP": "0", "HEADGATE_HTTP_MAX_BODY": "256KiB"}
    with Gateway(env) as g:
        first = g.take(row("first"))
        for n in range(60):
            g.take(row(f"u{n}", {"pad": "x" * 100000}))
        wait_until(lambda: g.receipt(first["id"]).status == 410, 30)
    env["HEADGATE_JOURNAL_KEEP"], env["HEADGATE_JOURNAL_KEEP_BYTES"] = "24h", "2MiB"
    with Gateway(env) as g:
        first = g.take(row("first"))
        for n in range(80):
            g.take(row(f"u{n}", {"pad": "x" * 100000}))
        wait_until(lambda: g.receipt(first["id"]).status == 410, 30)


def test_whole_sets_and_stable_batches():
    for plugin in ("whole", "stable"):
        with chaos("good", plugin=plugin) as g:
            for n in range(10):
                g.take(rows(f"u{n}", 20))
            assert len({r[0] for r in wait_got(g, 200, plugin)}) == 200
            g.kill9(hosts=True)
            g.start()
            g.take(row("after"))
            wait_until(lambda: g.pusher(plugin)["lag"]["rows"] == 0)
