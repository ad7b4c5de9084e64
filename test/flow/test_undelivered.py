"""What a client has undelivered, and the limit on it; how long its rows linger; row sets by client and time."""
import pytest
from gateway import Gateway, ask, row, wait_until
from test_access import bearer, key, tries
from test_clients import OPEN, gateway, post

DOWN = {"PLUGIN_CHAOS_MODE": "notnow"}


def down(env=None, ini=""):
    """A gateway whose pusher chaos is down until `g.gate` is gone."""
    g = Gateway({**OPEN, **DOWN, **(env or {})}, plugins=["chaos"], start=False, ini=ini)
    g.keys = {c: key(g, "ingest", "read", "operate", client=c)[0] for c in "ab"}
    g.gate = g.work / "gate"
    g.gate.touch()
    g.start({"PLUGIN_CHAOS_GATE": str(g.gate)})
    return g


def client(g, name):
    found = {c["name"]: c for c in g.get("/v1/clients").json()["clients"]}
    return found.get(name, {"undelivered_bytes": 0, "undelivered_refused": 0})


def fill(g, name, size=3000):
    """Posts until it is refused; what was taken."""
    taken = []

    def refused():
        answer = tries(g, g.keys[name], row("full", {"text": "x" * size}))
        if answer.status == 202:
            taken.append(answer["id"])
        return answer if answer.status == 429 else None
    answer = wait_until(refused)
    assert answer["type"] == "/problems/undelivered" and 1 <= int(answer.headers["retry-after"]) <= 60
    return taken


# contract: answer.429
@pytest.mark.parametrize("threads", [1, 2])
def test_one_is_full_and_another_posts_on(threads):
    ini = "[clients]\nundelivered_bytes = 64KiB\n[client b]\nundelivered_bytes = 1MiB\n"
    with down({"HEADGATE_HTTP_THREADS": threads, "PLUGIN_CHAOS_CLIENTS": "a"}, ini) as g:
        taken = fill(g, "a")
        assert 20 <= len(taken) <= 23  # of 3 KiB, what the journal adds included
        assert 65536 <= client(g, "a")["undelivered_bytes"] < 65536 + 4000
        for _ in range(30):
            assert tries(g, g.keys["b"], row("x", {"text": "x" * 30000})).status == 202  # file takes them
            assert tries(g, None, row("x", {"text": "x" * 30000})).status == 202
        assert tries(g, g.keys["a"]).status == 429
        wait_until(lambda: client(g, "b")["undelivered_bytes"] == 0)
        metrics = g.metrics()
        assert metrics['headgate_client_undelivered_bytes{client="a"}'] == client(g, "a")["undelivered_bytes"]
        assert metrics['headgate_client_undelivered_limit_bytes{client="b"}'] == 1 << 20
        assert metrics['headgate_client_undelivered_refused_total{client="a"}'] == client(g, "a")["undelivered_refused"]
        status = g.cli("status").stdout
        assert "UNDELIVERED" in status and [line for line in status.splitlines() if line.startswith("a ") and line.count("64KiB") == 2], status
        own = ask(g.admin_address, "GET", "/v1/clients", headers=bearer(g.keys["a"])).json()["clients"]
        assert [c["name"] for c in own] == ["a"]
        g.gate.unlink()
        wait_until(lambda: tries(g, g.keys["a"]).status == 202)
        wait_until(lambda: client(g, "a")["undelivered_bytes"] == 0)
        for batch in taken:
            g.wait_outcome(batch)


@pytest.mark.parametrize("indexed", [True, False])
def test_it_survives_kill_9(indexed):
    """Of the head by what recovery reads, of older segments by their indexes, also where these are lost."""
    ini = "[clients]\nundelivered_bytes = 3MiB\n[client b]\nundelivered_bytes = off\n"
    with down({"HEADGATE_JOURNAL_SEGMENT": "1MiB"}, ini) as g:
        fill(g, "a", size=100000)
        post(g, "b", row("x", {"text": "y" * 200000}))
        before = {c: client(g, c)["undelivered_bytes"] for c in "ab"}
        assert before["a"] >= 3 << 20 and 200000 < before["b"] < 201000
        journal = g.data / "journal"
        if indexed:
            wait_until(lambda: len(list(journal.glob("*.idx"))) >= 2)
        g.kill9()
        for index in journal.glob("*.idx") if not indexed else ():
            index.unlink()
        g.start()
        assert {c: client(g, c)["undelivered_bytes"] for c in "ab"} == before
        assert tries(g, g.keys["a"]).status == 429
        assert tries(g, g.keys["b"]).status == 202
        g.gate.unlink()
        wait_until(lambda: tries(g, g.keys["a"]).status == 202)
        wait_until(lambda: client(g, "a")["undelivered_bytes"] == 0 and client(g, "b")["undelivered_bytes"] == 0)
        g.restart()
        assert client(g, "a")["undelivered_bytes"] == 0


def test_a_reload_changes_the_limit_and_a_pusher_that_goes_frees_it():
    with down(ini="[client a]\nundelivered_bytes = 16KiB\n") as g:
        fill(g, "a")
        g.config.write_text("[client a]\nundelivered_bytes = 1MiB\n")
        assert g.admin("POST", "/v1/reload").json()["changed"] == ["client"]
        assert tries(g, g.keys["a"]).status == 202
        g.config.write_text("[client a]\nundelivered_bytes = 16KiB\n[plugin chaos]\nenabled = no\n")
        assert g.admin("POST", "/v1/reload").status == 200
        assert tries(g, g.keys["a"]).status == 429
        wait_until(lambda: g.admin("DELETE", "/v1/pushers/chaos").status == 200)
        assert tries(g, g.keys["a"]).status == 202


def test_rows_of_a_puller_are_a_clients_and_wait_for_it():
    command = "seq 1 4000 | sed 's/.*/{\"n\":&,\"text\":\"" + "x" * 100 + "\"}/'"
    env = {"PLUGIN_EXEC_COMMAND": command, "PLUGIN_EXEC_EVERY": "1h", "PLUGIN_EXEC_CLIENT": "lab", "PLUGIN_CHAOS_CLIENTS": "lab"}
    with down(env, "[client lab]\nundelivered_bytes = 32KiB\n") as g:
        wait_until(lambda: "undelivered" in g.get("/v1/pullers/exec").json()["error"], what=lambda: g.get("/v1/pullers").body)
        assert client(g, "lab")["undelivered_bytes"] >= 32768
        assert g.get("/v1/pullers/exec").json()["client"] == "lab"
        assert tries(g, g.keys["a"]).status == 202
        g.gate.unlink()
        found = wait_until(lambda: (seen := g.file_rows()) and len(seen) == 4001 and seen)
        assert sorted(r["data"]["n"] for r in found if "n" in r["data"]) == list(range(1, 4001))
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        assert g.pusher("chaos")["delivered"] == 4000 and g.pusher("chaos")["other_clients"] == 1
        sets = g.get("/v1/rowsets?client=lab").json()["batches"]
        assert sets and {s["client"] for s in sets} == {"lab"}


def listed(g, query="", headers=None):
    """All pages."""
    found, after = [], ""
    while True:
        page = ask(g.admin_address, "GET", f"/v1/rowsets?{query}{after}", headers=headers)
        assert page.status == 200, page
        found += page.json()["batches"]
        if page.json()["next"] is None:
            return found
        after = f"&after={page.json()['next']}"


def test_row_sets_by_client_and_time():
    with gateway({"HEADGATE_JOURNAL_SEGMENT": "1MiB"}) as g:
        ids = [(c, post(g, c, row(f"u{n}", {"text": "x" * 30000 * (n % 3)}))) for n in range(50) for c in ("a", "b", "nobody")]
        newest = {c: [i for k, i in ids if k == c][::-1] for c in "ab"}
        everything = [i for _, i in ids][::-1]

        def check():
            assert [s["id"] for s in listed(g)] == everything
            for c in "ab":
                found = listed(g, f"client={c}")
                assert [s["id"] for s in found] == newest[c] and {s["client"] for s in found} == {c}
                assert [s["id"] for s in listed(g, "limit=7", bearer(g.keys[c]))] == newest[c]  # bound to it
            assert listed(g, "client=b", bearer(g.keys["a"])) == []
            assert listed(g, "client=zz") == []
            middle = listed(g)[70]["received"]
            late, early = listed(g, f"from={middle}"), listed(g, f"to={middle}")
            assert [s["id"] for s in late + early] == everything and min(s["received"] for s in late) == middle
            assert [s["id"] for s in listed(g, f"client=a&from={middle}")] == [s["id"] for s in late if s.get("client") == "a"]
        check()
        wait_until(lambda: len(list((g.data / "journal").glob("*.idx"))) >= 4)
        check()
        g.kill9()
        g.start()
        check()
        done = g.cli("rowsets", "--client", "a", "--limit", "3")
        assert done.returncode == 0 and [line for line in done.stdout.splitlines() if line in newest["a"]] == newest["a"][:3]
        assert "--after" in done.stdout
        assert g.cli("rowsets", "--client", "zz").returncode == 65
        for wrong in ("from=yesterday", "limit=0", "limit=x", "after=x", "client=a%20b"):
            assert ask(g.admin_address, "GET", f"/v1/rowsets?{wrong}").status == 422


def test_linger_of_a_client():
    """Segments with rows of a client that keeps longer stay; others go when journal.keep says."""
    env = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_KEEP": "1s"}
    with gateway(env, ini="[client a]\nkeep = 1h\n") as g:
        big = {"text": "x" * 400000}
        mine = [post(g, "a", row("x", big)) for _ in range(9)]
        theirs = [post(g, "b", row("x", big)) for _ in range(9)]
        for _ in range(4):
            last = post(g, "b", row("x", big))
        g.wait_outcome(last)
        assert {c["name"]: c["keep_seconds"] for c in g.get("/v1/clients").json()["clients"]} == {"a": 3600, "b": 1}
        assert all(g.get(f"/v1/batches/{i}").status == 200 for i in mine)
        g.config.write_text("[client a]\nkeep = 1s\n")
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: g.get(f"/v1/batches/{mine[0]}").status == 410 and g.get(f"/v1/batches/{theirs[0]}").status == 410)
