"""The `riffyn` pusher between a control tower and a Riffyn that are away, slow to know and killed in between."""
import json
from urllib.parse import unquote

from gateway import Gateway, wait_until
from webhook import Webhook

SPEC = {"experimentId": "e", "activityId": "a", "runId": "r"}


class Tower(Webhook):
    """Knows `triggers`: {uuid: metadata}."""

    def __init__(self):
        self.triggers = {}
        super().__init__(self.tell)

    def tell(self, request):
        uuid = unquote(request.path.removeprefix("/in/triggers/"))
        if uuid not in self.triggers:
            return 404, {}, b"no such trigger"
        return 200, {"Content-Type": "application/json"}, json.dumps({"metadata": self.triggers[uuid]}).encode()


def gateway(tower, far):
    return Gateway({"PLUGIN_RIFFYN_CONTROL_TOWER_URL": tower.url, "PLUGIN_RIFFYN_API_KEY": "k",
                    "PLUGIN_RIFFYN_URL": far.url + "/{experimentId}/{activityId}/{runId}", "PLUGIN_RIFFYN_RETRY_MIN": "20ms",
                    "PLUGIN_RIFFYN_RETRY_MAX": "100ms"}, file=False)


def plate(uuid, wells):
    return {"uuid": uuid, "rows": [{"index": n, "data": {"od": n, "name": f"w{n}"}} for n in reversed(range(wells))]}


def test_a_plate_is_one_document():
    with Tower() as tower, Webhook() as far, gateway(tower, far) as g:
        tower.triggers = {"plate/1": {"source": "riffyn", "spec": SPEC}, "other": {"source": "lims"},
                          "wells": {"source": "riffyn", "spec": [{**SPEC, "runId": f"r{n % 2}"} for n in range(96)]}}
        for uuid in tower.triggers:
            g.take(plate(uuid, 96))
        late = g.take(plate("late", 2))
        wait_until(lambda: len(far.taken) == 3, what=lambda: g.pusher("riffyn"))
        assert {r.path.removeprefix("/in/"): r.json() for r in far.taken} == {
            "e/a/r": {"name": [f"w{n}" for n in range(96)], "od": list(range(96))},
            **{f"e/a/r{odd}": {"name": [f"w{n}" for n in range(odd, 96, 2)], "od": list(range(odd, 96, 2))} for odd in (0, 1)}}
        wait_until(lambda: g.pusher("riffyn")["skipped"] == 96, what=lambda: g.pusher("riffyn"))
        assert not g.dead()
        wait_until(lambda: "404" in json.dumps(g.receipt(late["id"]).json()["pushers"]["riffyn"]))
        tower.triggers["late"] = {"source": "riffyn", "spec": SPEC}
        wait_until(lambda: len(far.taken) == 4, what=lambda: g.pusher("riffyn"))


def test_outages_and_a_kill_lose_nothing():
    with Tower() as tower, Webhook("hang") as far, gateway(tower, far) as g:
        tower.triggers = {"u": {"source": "riffyn", "spec": SPEC}}
        g.take(plate("u", 8))
        first, = far.wait_requests(1)
        g.kill9(hosts=True)
        tower.answer = 503
        g.start()
        wait_until(lambda: "control tower" in json.dumps(g.pusher("riffyn")), what=lambda: g.pusher("riffyn"))
        tower.answer, far.answer = tower.tell, 401
        far.wait_requests(3)
        far.answer = 200
        wait_until(lambda: far.taken, what=lambda: g.pusher("riffyn"))
        assert {r.body for r in far.requests} == {first.body}
        assert {r.headers["idempotency-key"] for r in far.requests} == {first.headers["idempotency-key"]}
        wait_until(lambda: g.pusher("riffyn")["lag"]["rows"] == 0)
        assert not g.dead()
