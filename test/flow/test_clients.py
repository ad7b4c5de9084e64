"""Clients: which row sets a pusher takes (CLIENTS), what one client may post, and what it may see of others."""
import time

import pytest
from gateway import Gateway, ask, row, rows, wait_until
from test_access import bearer, key, tries
from test_delivery import got, wait_got

OPEN = {"HEADGATE_HTTP_AUTH": "keys,none", "HEADGATE_ADMIN_AUTH": "keys,none", "PLUGIN_CHAOS_RETRY_MIN": "20ms",
        "PLUGIN_CHAOS_RETRY_MAX": "100ms"}


def gateway(env=None, plugin="chaos", ini=""):
    """Of two clients, a and b, with one key each; who brings none may do everything."""
    env = {k.replace("CHAOS", plugin.upper()): v for k, v in {**OPEN, **(env or {})}.items()}
    g = Gateway(env, plugins=[plugin], start=False, ini=ini)
    g.keys = {c: key(g, "ingest", "read", "operate", client=c)[0] for c in "ab"}
    return g.start()


def post(g, client, document):
    answer = g.post(document, headers=bearer(g.keys.get(client)))
    assert answer.status == 202, answer
    return answer["id"]


def counts(g, batch, pusher):
    found = g.receipt(batch)["pushers"][pusher]
    return {k: found[k] for k in ("state", "delivered", "skipped", "dead")}


SKIPPED = 'headgate_rows_skipped_total{{pusher="{}",reason="{}"}}'


# contract: pusher.CLIENTS
@pytest.mark.parametrize("plugin", ["chaos", "stable", "whole"])
def test_a_pusher_takes_the_rows_of_its_clients(plugin):
    with gateway({"PLUGIN_CHAOS_CLIENTS": "a, c", "PLUGIN_CHAOS_PARALLEL": 2, "PLUGIN_CHAOS_BATCH_ROWS": 7}, plugin) as g:
        ids = [(c, post(g, c, rows(f"u{n % 5}", 3, client=c))) for n in range(60) for c in ("a", "b", "nobody")]
        wait_until(lambda: g.pusher(plugin)["lag"]["rows"] == 0 and g.pusher("file")["lag"]["rows"] == 0)
        found = got(g, plugin)
        assert len(found) == 180 and {r[5]["client"] for r in found} == {"a"}
        for uuid in ("u0", "u1", "u2", "u3", "u4"):  # order holds
            mine = [r[0] for r in found if r[3] == uuid]
            assert mine == sorted(mine)
        assert len(g.file_rows()) == 540  # the other pusher takes everybody's
        for client, batch in ids:
            g.wait_outcome(batch)
            assert counts(g, batch, plugin) == {"state": "settled", "dead": 0, "delivered": 3 * (client == "a"),
                                                "skipped": 3 * (client != "a")}
        metrics = g.metrics()
        assert metrics[SKIPPED.format(plugin, "client")] == 360 and metrics[SKIPPED.format(plugin, "plugin")] == 0
        assert g.pusher(plugin)["delivered"] == 180 and g.pusher(plugin)["other_clients"] == 360
        g.kill9()
        g.start()
        for client, batch in ids[:6]:
            assert counts(g, batch, plugin)["skipped"] == 3 * (client != "a")
        assert {r[0] for r in got(g, plugin)} == {r[0] for r in found}  # the last batch may come again, others' rows never


def test_what_is_passed_by_is_no_proof_that_the_far_end_is_there():
    with gateway({"PLUGIN_CHAOS_CLIENTS": "a", "PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_CHAOS_BATCH_ROWS": 50}) as g:
        gate = g.work / "gate"
        gate.touch()
        g.restart({"PLUGIN_CHAOS_GATE": str(gate)})
        first = post(g, "b", row("x"))
        g.wait_outcome(first)  # passed by alone; behind rows that wait for the far end, it would wait with them
        mine = [post(g, c, row("x", {"n": n})) for n in range(10) for c in "ab"][::2]
        g.wait_state("chaos", "retrying")
        assert counts(g, mine[0], "chaos")["delivered"] == 0 and not got(g)
        gate.unlink()
        assert [r[5]["n"] for r in wait_got(g, 10)] == list(range(10))
        for batch in mine:
            g.wait_outcome(batch)


def test_another_choice_after_a_reload():
    with gateway(ini="[plugin chaos]\nclients = a\n") as g:
        old = post(g, "b", row("x", {"n": 1}))
        g.wait_outcome(old)
        g.config.write_text("[plugin chaos]\nclients = b\n")
        assert g.admin("POST", "/v1/reload").status == 200
        post(g, "a", row("x", {"n": 2}))
        post(g, "b", row("x", {"n": 3}))
        assert [r[5]["n"] for r in wait_got(g, 1)] == [3]
        assert counts(g, old, "chaos")["skipped"] == 1  # what was passed by stays so
        g.admin("POST", "/v1/replays", {"pusher": "chaos", "batch": old})  # until it is sent again
        assert sorted(r[5]["n"] for r in wait_got(g, 2)) == [1, 3]
        g.config.write_text("[plugin chaos]\nclients = lab b\n")
        answer = g.admin("POST", "/v1/reload")
        assert "no name of a client" in str(answer.body)


def test_rows_that_are_given_up_are_not_given_up_for_others():
    with gateway({"PLUGIN_CHAOS_CLIENTS": "a", "PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_CHAOS_BATCH_ROWS": 1}) as g:
        (g.work / "gate").touch()
        g.restart({"PLUGIN_CHAOS_GATE": str(g.work / "gate")})
        ids = {c: [post(g, c, rows("x", 2)) for _ in range(5)] for c in "ab"}
        g.wait_state("chaos", "retrying")
        g.config.write_text("[plugin chaos]\nenabled = no\n")
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: g.admin("DELETE", "/v1/pushers/chaos?dead-letter=yes").status == 200)
        wait_until(lambda: len(g.dead("?pusher=chaos")) == 10, what=lambda: str(g.pushers()))
        assert {d["id"].rsplit("-", 1)[0] for d in g.dead("?pusher=chaos")} == set(ids["a"])


# contract: key.client
def test_a_client_sees_its_own_dead_letters_only():
    with gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad"}) as g:
        for c in "aab":
            post(g, c, row(f"of-{c}", {"bad": c}))
        wait_until(lambda: len(g.dead()) == 3)

        def asks(client, method, path):
            return ask(g.admin_address, method, path, headers=bearer(g.keys[client]))
        seen = {c: asks(c, "GET", "/v1/dead-letters").json() for c in "ab"}
        assert [{d["uuid"] for d in seen[c]["dead"]} for c in "ab"] == [{"of-a"}, {"of-b"}]
        assert seen["a"]["total"] is None  # the index does not know whose they are
        page = asks("a", "GET", "/v1/dead-letters?limit=1").json()
        assert len(page["dead"]) == 1
        page = asks("a", "GET", f"/v1/dead-letters?limit=1&after={page['next']}").json()
        assert len(page["dead"]) == 1 and {d["id"] for d in page["dead"]} < {d["id"] for d in seen["a"]["dead"]}
        theirs = f"/v1/dead-letters/{seen['b']['dead'][0]['id']}"
        assert asks("b", "GET", theirs).status == 200
        for method, path in (("GET", theirs), ("DELETE", theirs), ("POST", theirs + "/retry")):
            assert asks("a", method, path).status == 404
        assert asks("a", "POST", "/v1/dead-letters/drop?all=yes").json() == {"matched": 2, "dropped": 2, "next": None}
        assert {d["uuid"] for d in g.dead()} == {"of-b"}
        assert asks("a", "GET", "/v1/pushers").status == 403


# contract: answer.429
@pytest.mark.parametrize("threads", [1, 2])
def test_one_client_uses_up_its_own_and_nobody_elses(threads):
    ini = "[clients]\nrows_per_second = 1000\n[client b]\nrows_per_second = off\n[client c]\nbytes_per_second = 10KiB\n"
    with gateway({"HEADGATE_HTTP_THREADS": threads}, ini=ini) as g:
        assert tries(g, g.keys["a"], rows("x", 30000)).status == 202  # taken, and paid off for the next 29 s
        began = time.monotonic()
        for n in range(20):
            answer = tries(g, g.keys["a"])
            assert answer.status == 429 and answer["type"] == "/problems/quota"
            assert 28 - (time.monotonic() - began) <= int(answer.headers["retry-after"]) <= 30
            assert tries(g, g.keys["b"], rows("x", 2000)).status == 202
            assert tries(g, None, rows("x", 2000)).status == 202  # bound to none
        assert g.metrics()['headgate_rows_received_total'] == 30000 + 20 * 4000
        c = key(g, "ingest", client="c")[0]
        wait_until(lambda: tries(g, c, row("x", {"text": "x" * 200000})).status == 202)
        answer = tries(g, c)
        assert answer.status == 429 and 10 <= int(answer.headers["retry-after"]) <= 21
        g.config.write_text("[clients]\nrows_per_second = off\n")
        assert g.admin("POST", "/v1/reload").status == 200
        for client in (g.keys["a"], c):
            assert tries(g, client).status == 202
        shown = {s["key"]: s["value"] for s in g.get("/v1/config").json()["settings"]}
        assert shown["clients.rows_per_second"] == "off"


def test_settings_of_clients_that_are_wrong():
    ini = "[client a b]\nrows_per_second = 1\n[client a]\nrow_per_second = 1\nbytes_per_second = 7\n"
    g = Gateway(ini=ini, start=False)
    with g:
        done = g.cli("check", "--config", str(g.config), admin=False)
        assert done.returncode == 78
        for words in ("[client a b] is not [client <name>]", "did you mean rows_per_second?", "client a: bytes_per_second"):
            assert words in done.stderr + done.stdout, done
