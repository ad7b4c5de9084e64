"""Steering one row set at one pusher."""
import json

from gateway import rows, row, wait_until
from test_delivery import chaos, got, wait_got

FAR = {"RETRY_MIN": "1h", "RETRY_MAX": "2h"}


def expedite(g, batch, pusher="chaos"):
    return g.admin("POST", f"/v1/batches/{batch}/pushers/{pusher}/expedite?why=they%20call")


# contract: batch.expedite
def test_a_row_that_waits_an_hour_is_tried_now():
    with chaos("retryonce", "bad", BATCH_ROWS="1", **FAR) as g:
        first = g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}]})["id"]
        other = g.take(row("b", {"n": 2, "bad": 1}))["id"]
        wait_until(lambda: g.pusher("chaos")["waiting"] >= 3)
        assert got(g) == []
        answer = expedite(g, first)
        assert answer.status == 202 and answer["expedited"] == 1 and answer["waiting"] == 2, answer
        assert [r[5]["n"] for r in wait_got(g, 2)] == [0, 1]
        g.wait_outcome(first)
        assert g.receipt(first)["pushers"]["chaos"]["attempts"] == 2
        assert g.receipt(other)["pushers"]["chaos"]["state"] == "retrying" and len(got(g)) == 2
        assert expedite(g, first).status == 409  # settled
        done = g.cli("expedite", other, "--pusher", "chaos", "--why", "this one too")
        assert done.returncode == 0 and "tries it now" in done.stdout
        g.wait_outcome(other)
        audit = json.loads(g.cli("audit", "--json", "--limit", "1").stdout)["audit"][0]
        assert audit["action"] == "batch.expedite" and audit["why"] == "this one too" and other in audit["path"]


def test_a_far_end_that_is_waited_for_is_asked_at_once():
    with chaos("notnow", **FAR) as g:
        batch = g.take(rows("u", 3))["id"]
        g.wait_state("chaos", "retrying")
        g.gate.unlink()
        assert expedite(g, batch).status == 202
        assert len(wait_got(g, 3)) == 3
        g.wait_outcome(batch)


def test_what_cannot_be():
    with chaos("notnow", **FAR) as g:
        batch = g.take(rows("u", 3))["id"]
        g.wait_state("chaos", "retrying")
        assert expedite(g, batch, "nobody").status == 404 and expedite(g, "nonsense").status == 404
        g.wait_outcome(batch, "pending")
        assert g.cli("pause", "chaos").returncode == 0
        assert expedite(g, batch).status == 409
        assert g.cli("expedite", batch).returncode == 64
        assert g.get(f"/v1/batches/{batch}/pushers/chaos/expedite").status == 405


def mark(g, batch, what, more="", pusher="chaos"):
    answer = g.admin("POST", f"/v1/batches/{batch}/pushers/{pusher}/{what}?why=they%20call{more}")
    assert answer.status == 200, answer
    return answer.json()


def at(g, batch, pusher="chaos"):
    return g.receipt(batch)["pushers"][pusher]


# contract: batch.mark
def test_a_row_set_that_was_delivered_by_hand_is_not_delivered():
    with chaos("notnow") as g:
        first, middle, last = (g.take(rows(f"u{n}", 3))["id"] for n in range(3))
        g.wait_state("chaos", "retrying")
        asked = mark(g, middle, "mark-delivered", "&dry-run=yes")
        assert asked["marked"] == 3 and asked["rows"] == 3 and asked["dry_run"] is True
        assert "by_hand" not in at(g, middle) and at(g, middle)["state"] != "settled"
        assert mark(g, middle, "mark-delivered")["marked"] == 3
        assert mark(g, middle, "mark-delivered")["marked"] == 0
        g.kill9(hosts=True)
        g.start()
        wait_until(lambda: at(g, middle)["state"] == "settled")
        where = at(g, middle)
        assert where["delivered"] == 3 and where["by_hand"] == 3 and where["dead"] == 0
        said = where["steered"]
        assert [(s["action"], s["rows"], s["who"], s["why"]) for s in said] == [("mark-delivered", 3, "anybody", "they call")]
        assert "steered" not in g.get(f"/v1/batches/{middle}", "rows").json()["pushers"]["chaos"]
        g.gate.unlink()
        for batch in (first, middle, last):
            g.wait_outcome(batch)
        assert sorted({r[3] for r in got(g)}) == ["u0", "u2"]
        wait_until(lambda: g.pusher("chaos")["by_hand"] == 3)
        assert 'reason="by-hand"' in g.get("/metrics").body.decode()
        assert at(g, middle)["by_hand"] == 3 and at(g, last)["delivered"] == 3


# contract: batch.purge
def test_what_is_purged_is_gone_and_said():
    with chaos("retry", "bad", BATCH_ROWS="1", **FAR) as g:
        wanted = g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}]})["id"]
        other = g.take(row("b", {"n": 2, "bad": 1}))["id"]
        wait_until(lambda: g.pusher("chaos")["waiting"] >= 3)
        done = g.cli("purge", wanted, "--pusher", "chaos", "--dry-run", "--json")
        assert json.loads(done.stdout)["marked"] == 2, done
        done = g.cli("purge", wanted, "--pusher", "chaos", "--why", "not wanted")
        assert done.returncode == 0 and "2 of 2 rows given up for good" in done.stdout, done
        g.kill9(hosts=True)
        g.start()
        g.wait_outcome(wanted, "mixed")
        where = at(g, wanted)
        assert where["skipped"] == 2 and where["given_up"] == 2 and where["steered"][0]["why"] == "not wanted"
        assert at(g, other)["state"] == "retrying" and got(g) == []
        audit = json.loads(g.cli("audit", "--json").stdout)["audit"]
        assert "not wanted" in [a.get("why") for a in audit if a["action"] == "batch.purge" and a["status"] == 200]


def test_dead_letters_are_marked_too():
    with chaos("reject", "bad") as g:
        batch = g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}]})["id"]
        other = g.take(row("b", {"n": 2, "bad": 1}))["id"]
        for b, outcome in ((batch, "mixed"), (other, "mixed")):
            g.wait_outcome(b, outcome)
        answer = mark(g, batch, "mark-delivered")
        assert (answer["marked"], answer["dead"], answer["settled"]) == (1, 1, 2)
        g.wait_outcome(batch)
        assert at(g, batch)["by_hand"] == 1 and at(g, batch)["delivered"] == 2
        assert mark(g, other, "purge")["marked"] == 1
        wait_until(lambda: g.pusher("chaos")["dead_letters"] == 0)
        assert at(g, other)["given_up"] == 1 and g.receipt(other)["outcome"] == "mixed"


def test_what_was_delivered_is_sent_again():
    with chaos("reject", "bad") as g:
        batch = g.take({"uuid": "a", "rows": [{"data": {"n": 0, "bad": 1}}, {"data": {"n": 1}}, {"data": {"n": 2}}]})["id"]
        purged = g.take(row("b", {"n": 3, "bad": 1}))["id"]
        g.wait_outcome(batch, "mixed")
        g.wait_outcome(purged, "mixed")
        mark(g, purged, "purge")
        assert g.cli("pause", "chaos").returncode == 0
        assert mark(g, batch, "mark-pending", "&dry-run=yes")["marked"] == 3
        done = g.cli("mark", "pending", batch, "--pusher", "chaos", "--why", "lost there")
        assert done.returncode == 0 and "3 of 3 rows marked as pending" in done.stdout, done
        assert mark(g, purged, "mark-pending")["marked"] == 1
        assert mark(g, batch, "mark-pending")["marked"] == 0
        g.kill9(hosts=True)
        g.start({"PLUGIN_CHAOS_MODE": "good"})
        assert g.receipt(batch)["outcome"] == "pending" and at(g, batch)["state"] == "paused"
        assert g.cli("resume", "chaos").returncode == 0
        g.wait_outcome(batch)
        g.wait_outcome(purged)
        assert sorted(r[5]["n"] for r in got(g)) == [0, 1, 1, 2, 2, 3]
        ids = {r[0] for r in got(g)}
        assert len(ids) == 4  # the same ids
        assert g.pusher("chaos")["dead_letters"] == 0 and at(g, batch)["dead"] == 0
        # and back: nothing of the other pusher was touched
        assert at(g, batch, "file")["delivered"] == 3 and "steered" not in at(g, batch, "file")


def test_what_cannot_be_marked():
    with chaos("notnow", **FAR) as g:
        batch = g.take(rows("u", 3))["id"]
        for what in ("mark-delivered", "mark-pending", "purge"):
            for path in (f"{batch}/pushers/nobody", "nonsense/pushers/chaos"):
                assert g.admin("POST", f"/v1/batches/{path}/{what}").status == 404
            assert g.get(f"/v1/batches/{batch}/pushers/chaos/{what}").status == 405
        assert g.cli("purge", batch).returncode == 64
        assert mark(g, batch, "mark-pending")["marked"] == 0  # nothing is settled
