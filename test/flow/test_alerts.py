"""Alerts: who is told what, once, and once again when it is over."""
from gateway import row, rows, wait_until
from test_delivery import chaos
from webhook import Webhook

QUICK = {"HEADGATE_ALERTS_FAILING": "200ms", "HEADGATE_ALERTS_CALM": "0"}


def told(hook):
    return [(b["alert"], b.get("pusher"), b["state"]) for b in (r.json() for r in list(hook.taken))]


def alerts(g):
    return g.get("/v1/alerts").json()


def wait_told(hook, *expected):
    wait_until(lambda: told(hook) == list(expected), 30, lambda: told(hook))


# contract: api.alerts alerts.webhook alerts.failing
def test_a_pusher_that_fails_is_told_once_and_again_when_it_is_over():
    with Webhook() as hook, chaos("notnow", HEADGATE_ALERTS_WEBHOOK=hook.url, **QUICK) as g:
        g.take(rows("u", 3))
        wait_told(hook, ("failing", "chaos", "firing"))
        said = hook.taken[0].json()
        assert "retrying" in said["text"] and said["since"] <= said["time"] and said["gateway"]
        now = wait_until(lambda: (a := alerts(g))["alerts"] and a["alerts"][0]["told"] and a)
        assert [(a["alert"], a["pusher"]) for a in now["alerts"]] == [("failing", "chaos")]
        assert now["webhook"] is True and now["untold"] == 0 and now["error"] == ""
        g.gate.unlink()
        wait_told(hook, ("failing", "chaos", "firing"), ("failing", "chaos", "over"))
        wait_until(lambda: alerts(g)["alerts"] == [] and alerts(g)["untold"] == 0)
        g.wait_event("alert.over")


# contract: alerts.dead_letters
def test_dead_letters_and_a_restart_in_between():
    with Webhook() as hook, chaos("reject", "bad", HEADGATE_ALERTS_WEBHOOK=hook.url,
                                  HEADGATE_ALERTS_DEAD_LETTERS="2", HEADGATE_ALERTS_CALM="0") as g:
        g.take(row("a", {"bad": 1}))
        wait_until(lambda: g.pusher("chaos")["dead_letters"] == 1)
        g.take(row("b", {"bad": 1}))
        wait_told(hook, ("dead-letters", "chaos", "firing"))
        wait_until(lambda: alerts(g)["alerts"][0]["told"])
        g.kill9(hosts=True)
        g.start()
        wait_until(lambda: [(a["alert"], a["told"], "2 dead" in a["text"]) for a in alerts(g)["alerts"]]
                   == [("dead-letters", True, True)])
        assert g.cli("dead", "drop", "--all").returncode == 0
        wait_told(hook, ("dead-letters", "chaos", "firing"), ("dead-letters", "chaos", "over"))


def test_what_is_over_while_the_daemon_is_away_is_told_after():
    with Webhook() as hook, chaos("notnow", HEADGATE_ALERTS_WEBHOOK=hook.url, **QUICK) as g:
        g.take(rows("u", 3))
        wait_told(hook, ("failing", "chaos", "firing"))
        wait_until(lambda: alerts(g)["untold"] == 0)
        g.restart({"PLUGIN_CHAOS_MODE": "good"})
        wait_told(hook, ("failing", "chaos", "firing"), ("failing", "chaos", "over"))


# contract: alerts.token_file alerts.webhook_file
def test_a_receiver_that_is_away_is_told_when_it_is_back():
    with Webhook(answer=503) as hook, chaos("notnow", **QUICK) as g:
        secret, address = g.work / "token", g.work / "address"
        secret.write_text("not-to-be-seen\n")
        address.write_text(hook.url + "?hidden=not-to-be-seen\n")
        g.stop(check=False)
        g.start({"HEADGATE_ALERTS_TOKEN_FILE": str(secret), "HEADGATE_ALERTS_WEBHOOK_FILE": str(address)})
        g.take(rows("u", 3))
        wait_until(lambda: len(hook.requests) >= 2)  # it tries again
        assert "503" in wait_until(lambda: alerts(g)["error"]) and alerts(g)["untold"] == 1
        assert g.post(row("v", {})).status == 202  # nobody waits for it
        hook.answer = 200
        wait_told(hook, ("failing", "chaos", "firing"))
        request = hook.taken[0]
        assert request.headers["authorization"] == "Bearer not-to-be-seen"
        for text in (g.get("/v1/config").body, g.get("/v1/alerts").body, g.get("/v1/log").body):
            assert b"not-to-be-seen" not in text


# contract: alerts.lag alerts.budget
def test_lag_and_budget_and_a_reload():
    with Webhook() as hook, chaos("notnow", HEADGATE_JOURNAL_SEGMENT="64KiB", HEADGATE_JOURNAL_MAX_BYTES="256KiB",
                                  HEADGATE_ALERTS_FAILING="0", HEADGATE_ALERTS_BUDGET="50", HEADGATE_ALERTS_CALM="0") as g:
        for n in range(100):
            if g.post(row(f"u{n}", {"text": "x" * 5000})).status != 202:
                break
        wait_until(lambda: [a["alert"] for a in alerts(g)["alerts"]] == ["budget"])
        assert hook.requests == [] and alerts(g)["webhook"] is False
        g.config.write_text(f"[alerts]\nwebhook = {hook.url}\nlag = 1ms\n")
        assert g.cli("reload").returncode == 0
        wait_until(lambda: {t[0] for t in told(hook)} == {"budget", "lag"})
        wait_until(lambda: ("lag", "chaos", "firing") in told(hook))
        g.config.write_text(f"[alerts]\nwebhook = {hook.url}\nlag = 1h\n")
        assert g.cli("reload").returncode == 0
        wait_until(lambda: ("lag", "chaos", "over") in told(hook))
        assert ("budget", None, "over") not in told(hook)


def dead_text(g):
    return next((a["text"].split()[0] for a in alerts(g)["alerts"] if a["alert"] == "dead-letters"), None)


def drop(g, count):
    for letter in g.dead()[:count]:
        assert g.admin("DELETE", f"/v1/dead-letters/{letter['id']}").status // 100 == 2


def test_what_goes_to_and_fro_about_its_limit_is_told_once():
    with Webhook() as hook, chaos("reject", "bad", HEADGATE_ALERTS_WEBHOOK=hook.url, HEADGATE_ALERTS_DEAD_LETTERS="10",
                                  HEADGATE_ALERTS_CALM="0") as g:
        g.take({"uuid": "u", "rows": [{"data": {"bad": n}} for n in range(10)]})
        wait_told(hook, ("dead-letters", "chaos", "firing"))
        for n in range(2):
            drop(g, 1)
            wait_until(lambda: dead_text(g) == "9")  # it has been looked at, and goes on
            g.take(row(f"again{n}", {"bad": 1}))
            wait_until(lambda: dead_text(g) == "10")
        drop(g, 2)
        wait_told(hook, ("dead-letters", "chaos", "firing"), ("dead-letters", "chaos", "over"))


# contract: alerts.calm
def test_what_comes_back_at_once_has_not_been_over():
    with Webhook() as hook, chaos("reject", "bad", HEADGATE_ALERTS_WEBHOOK=hook.url, HEADGATE_JOURNAL_SEGMENT="64KiB",
                                  HEADGATE_JOURNAL_MAX_BYTES="256KiB", HEADGATE_ALERTS_CALM="1h") as g:
        g.take(row("a", {"bad": 1}))
        begun = wait_until(lambda: alerts(g)["alerts"])
        drop(g, 1)
        g.config.write_text("[alerts]\nbudget = 1\n")  # a reason of another kind: that it is seen says that there was a look
        assert g.cli("reload").returncode == 0
        wait_told(hook, ("dead-letters", "chaos", "firing"), ("budget", None, "firing"))
        g.take(row("b", {"bad": 1}))
        wait_until(lambda: g.pusher("chaos")["dead_letters"] == 1)
        assert [a["since"] for a in alerts(g)["alerts"] if a["alert"] == "dead-letters"] == [begun[0]["since"]]
        drop(g, 1)
        del g.env["HEADGATE_ALERTS_CALM"]
        g.restart({"HEADGATE_ALERTS_CALM": "0"})  # nor does a restart forget it
        wait_told(hook, ("dead-letters", "chaos", "firing"), ("budget", None, "firing"), ("dead-letters", "chaos", "over"))
