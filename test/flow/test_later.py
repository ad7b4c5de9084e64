"""Rows that a pusher settles after push() has returned, through the whole daemon."""
from gateway import Gateway, row, rows, wait_until


def window(mode, **options):
    env = {"PLUGIN_WINDOW_MODE": mode, "PLUGIN_WINDOW_MATCH": "odd", "PLUGIN_WINDOW_RETRY_MIN": "20ms",
           "PLUGIN_WINDOW_RETRY_MAX": "100ms", **{f"PLUGIN_WINDOW_{k}": v for k, v in options.items()}}
    return Gateway(env, plugins=["window"])


def mine(g, batch):
    return g.receipt(batch).json()["pushers"]["window"]


def test_settled_by_a_thread():
    with window("thread", PARALLEL="2") as g:
        good = [g.take(rows(f"u{n}", 5))["id"] for n in range(40)]
        bad = g.take(rows("v", 3, odd=True))["id"]
        for batch in good:
            wait_until(lambda: mine(g, batch)["delivered"] == 5)
        wait_until(lambda: mine(g, bad)["dead"] == 3)
        assert {d["reason"] for d in g.dead()} == {"odd"}


def test_what_is_not_settled_in_time_comes_again():
    with window("some", TIMEOUT="1s", BATCH_WAIT="100ms") as g:
        g.pusher("window")
        batch = g.take({"uuid": "u", "rows": [{"data": {"n": 0}}, {"data": {"n": 1, "odd": True}}]})["id"]
        wait_until(lambda: mine(g, batch)["attempts"] >= 2, 30, lambda: g.receipt(batch).json())
        assert mine(g, batch)["delivered"] <= 1 and not g.dead()
        wait_until(lambda: g.metrics().get('headgate_plugin_restarts_total{pusher="window",reason="deadline"}', 0) > 0, 30,
                   lambda: [k for k in g.metrics() if "restarts" in k])


def test_a_kill_loses_nothing():
    with window("flush") as g:
        taken = [g.take(rows(f"u{n}", 3))["id"] for n in range(20)]
        g.kill9(hosts=True)
        g.start()
        for batch in taken:
            wait_until(lambda: mine(g, batch)["delivered"] == 3)
