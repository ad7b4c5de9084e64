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
