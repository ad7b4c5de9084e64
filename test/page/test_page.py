"""The page, clicked through against a running gateway whose pushers really fail."""
import contextlib
import json
import os
import re
import signal

import pytest
from gateway import Gateway, command, wait_until
from playwright.sync_api import expect
from test_access import KEYS, bearer, key
from webhook import Webhook

VIEWS = ["", "sets?find=plate-0001", "dead", "live", "plugins", "plugins/http", "settings", "log", "audit", "refusals", "keys"]


def judge(request):
    """A far end that takes no negative volumes, and says so."""
    if not request.body:  # a probe
        return 200
    verdicts = [{"n": i, "verdict": "reject", "reason": "volume must be positive"} if d["data"].get("volume", 1) < 0
                else {"n": i, "verdict": "ok"} for i, d in enumerate(request.documents())]
    return 200, {"Content-Type": "application/json"}, json.dumps({"rows": verdicts}).encode()


def plate(n, bad=()):
    return {"uuid": f"plate-{n:04d}", "tags": {"line": "a"}, "rows": [
        {"index": w, "data": {"wellName": f"A{w}", "serial": 9007199254740993, "absorbance": 0.123 + w / 100, "volume": -1 if w in bad else 50}}
        for w in range(8)]}


@contextlib.contextmanager
def lab(env=None, **more):
    """A gateway with the file pusher, an http pusher that judges, and a file that is no plugin of today."""
    with Webhook(judge) as hook, Gateway({"PLUGIN_HTTP_URL": hook.url, "PLUGIN_HTTP_TOKEN": "very-secret", "PLUGIN_HTTP_RETRY_MIN": "50ms",
                                          "PLUGIN_HTTP_RETRY_MAX": "200ms", **(env or {})}, plugins=["badabi"], **more) as g:
        g.hook = hook
        yield g


def dialog(page, text, yes):
    box = page.get_by_role("dialog")
    expect(box).to_contain_text(text)
    box.get_by_role("button", name=yes, exact=True).click()
    expect(box).to_have_count(0)


def test_overview_tells_of_a_pusher_that_is_down(watch, shot):
    with lab() as g:
        w = watch(g)
        page = w.open()
        (g.own_plugins / "badabi.so").unlink()
        verdict = page.locator(".verdict h1")
        expect(verdict).to_contain_text("Everything is all right", timeout=30000)
        for n in range(3):
            g.take(plate(n))
        expect(page.locator("main")).to_contain_text(re.compile(r"Delivered\s*24"))
        g.hook.answer = 503
        g.take(plate(3))
        expect(verdict).to_contain_text("not all is well")
        expect(page.locator(".verdict li")).to_contain_text("http tries again")
        card = page.locator("section.card", has=page.get_by_role("heading", name="http", exact=True))
        expect(card).to_contain_text("8 rows")
        expect(card.locator(".error")).to_contain_text("503")
        expect(page.locator("svg.chart")).to_have_count(6, timeout=30000)
        shot(page, "overview")
        g.config.write_text("[alerts]\nfailing = 1ms\n")
        assert g.cli("reload").returncode == 0
        expect(page.locator("section.card", has=page.get_by_role("heading", name="Alerts"))).to_contain_text("http has not worked for a while", timeout=30000)
        g.hook.answer = judge
        expect(verdict).to_contain_text("Everything is all right")
        page.get_by_role("button", name="last day").click()
        expect(page.get_by_text("The first point comes")).to_be_visible()


def test_overview_tells_of_a_full_disk(watch):
    with lab({"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_MAX_BYTES": "4MiB"}) as g:
        g.hook.answer = 503
        page = watch(g).open()
        big = {"uuid": "big", "rows": [{"data": {"text": "x" * 60000}}]}
        wait_until(lambda: g.post(big).status == 503, 60)
        expect(page.locator(".verdict h1")).to_contain_text("Something needs you")
        expect(page.locator(".verdict li").first).to_contain_text("No rows are taken")
        expect(page.locator(".verdict")).to_contain_text("of its budget")
        g.hook.answer = judge
        expect(page.locator(".verdict")).not_to_contain_text("No rows are taken", timeout=30000)


def test_overview_is_told_and_asks_where_it_is_not(watch):
    with lab() as g:
        w = watch(g, allow=[503])
        refuse = [True]
        w.page.route("**/v1/watch*", lambda route: route.fulfill(status=503, body="") if refuse[0] else route.continue_())
        page = w.open()
        expect(page.locator(".verdict h1")).to_be_visible()
        g.take(plate(1))
        expect(page.locator("main")).to_contain_text(re.compile(r"Delivered\s*8"))
        assert g.metrics()["headgate_onlookers"] == 0
        refuse[0] = False

        def onlookers(count):
            wait_until(lambda: page.evaluate("1") and g.metrics()["headgate_onlookers"] == count)
        onlookers(1)
        g.take(plate(2))
        expect(page.locator("main")).to_contain_text(re.compile(r"Delivered\s*16"))
        for state, count in (("hidden", 0), ("visible", 1)):  # nobody is told who does not look
            page.evaluate("s => { Object.defineProperty(document, 'visibilityState', { value: s, configurable: true });"
                          " document.dispatchEvent(new Event('visibilitychange')); }", state)
            onlookers(count)
        w.open("settings")
        onlookers(0)


def test_row_sets(watch, shot):
    with lab() as g:
        taken = g.take(plate(1, bad=[2]))
        g.take(plate(1))
        wait_until(lambda: g.receipt(taken["id"])["outcome"] == "mixed")
        w = watch(g, allow=[404])
        page = w.open("sets")
        page.get_by_label("uuid, or the id").fill("plate-0001")
        page.keyboard.press("Enter")
        expect(page.locator("section.card")).to_have_count(2)
        page.get_by_role("link", name=taken["id"]).click()
        lane = page.locator(".lane", has_text="http")
        expect(lane).to_contain_text("7 delivered, 1 dead letter")
        expect(lane.get_by_role("img")).to_have_attribute("aria-label", "http: 7 delivered, 1 dead letter")
        expect(page.locator(".lane", has_text="file")).to_contain_text("8 delivered")
        expect(page.locator("main")).to_contain_text("tag line")
        expect(page.locator("pre.json")).to_have_count(8)
        expect(page.locator("pre.json").nth(2)).to_contain_text('"volume": -1')
        expect(page.locator("pre.json").first).to_contain_text('"serial": 9007199254740993,')
        shot(page, "row-set")
        page.get_by_role("link", name="Its dead letters").click()
        expect(page.locator(".group")).to_contain_text("volume must be positive")
        w.open("sets?find=nobody")
        expect(page.locator(".error")).to_contain_text("no row set of this uuid")


def test_a_row_set_is_marked_by_hand(watch):
    with lab() as g:
        taken = g.take(plate(1, bad=[2, 3]))
        wait_until(lambda: g.receipt(taken["id"])["outcome"] == "mixed")
        page = watch(g).open(f"sets?find={taken['id']}")
        lane, dialog = page.locator(".lane", has_text="http"), page.get_by_role("dialog")

        lane.get_by_role("button", name="Mark as delivered").click()
        expect(dialog).to_contain_text("2 rows will be taken for delivered")
        dialog.get_by_role("button", name="Leave it").click()
        expect(dialog).to_have_count(0)
        assert g.receipt(taken["id"])["pushers"]["http"]["dead"] == 2
        lane.get_by_role("button", name="Mark as delivered").click()
        dialog.get_by_label("Why").fill("brought there on paper")
        dialog.get_by_role("button", name="Mark 2 rows").click()
        expect(lane).to_contain_text("6 delivered, 2 marked as delivered")
        expect(lane).to_contain_text("2 rows marked as delivered by anybody (brought there on paper)")
        assert g.receipt(taken["id"])["pushers"]["http"]["by_hand"] == 2

        lane.get_by_role("button", name="Give up").click()
        expect(page.locator("#said")).to_contain_text("no row that this would change")
        g.hook.answer = 200
        lane.get_by_role("button", name="Deliver again").click()
        expect(dialog).to_contain_text("8 rows will go to http again")
        dialog.get_by_role("button", name="Send 8 rows").click()
        wait_until(lambda: g.receipt(taken["id"])["pushers"]["http"]["delivered"] == 8
                   and "by_hand" not in g.receipt(taken["id"])["pushers"]["http"])


def test_dead_letters(watch, shot):
    with lab() as g:
        for n in range(3):
            g.take(plate(n, bad=[0, 5]))
        wait_until(lambda: len(g.dead()) == 6)
        w = watch(g)
        page = w.open("dead")
        expect(page.locator(".group h2")).to_have_text("6 rows · http")
        first = page.locator(".group details").first
        first.locator("summary").first.click()
        expect(first.locator("mark")).to_have_text('"volume":')
        shot(page, "dead-letters")

        # mended: it is delivered
        first.get_by_text("Change it").click()
        box = first.get_by_label("data")
        text = box.input_value()
        assert '"serial": 9007199254740993,' in text
        box.fill("{")
        first.get_by_role("button", name="Send again …").click()
        expect(first.get_by_role("alert")).to_contain_text("This is not JSON")
        box.fill(text.replace('"volume": -1', '"volume": 12345678901234567'))
        first.get_by_role("button", name="Send again …").click()
        dialog(page, "with your changes", "Send 1 row")
        expect(page.locator(".group h2")).to_have_text("5 rows · http")
        wait_until(lambda: any(d["data"]["volume"] == 12345678901234567 and d["data"]["serial"] == 9007199254740993
                               for r in g.hook.taken for d in r.documents()))

        # as it is: it comes back, and says how often
        first.locator("summary").first.click()
        first.get_by_role("button", name="Send again …").click()
        dialog(page, "1 row goes to http again", "Send 1 row")
        wait_until(lambda: any(d["returned"] for d in g.dead()))
        page.reload()
        expect(page.locator(".badge", has_text="came back 1 time")).to_have_count(1)

        # no is no: by button, and by Escape
        page.get_by_role("button", name="Drop all …").click()
        dialog(page, "5 dead letters", "Leave it")
        page.get_by_role("button", name="Drop all …").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        assert len(g.dead()) == 5

        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == 5 and all(json.loads(line)["data"]["volume"] == -1 for line in lines)

        # one is dropped; the rest, by filter, sent again in one go once the far end has changed its mind
        page.locator(".group details summary").first.click()
        page.locator(".letter").get_by_role("button", name="Drop …").click()
        dialog(page, "1 dead letter of http is given up", "Drop 1 row")
        expect(page.locator(".group h2")).to_have_text("4 rows · http")
        g.hook.answer = 200
        page.get_by_label("Reason has").fill("positive")
        page.get_by_label("Pusher").select_option("http")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator(".group h2")).to_have_text("4 rows · http")
        page.get_by_role("button", name="Send again: volume must be positive").click()
        dialog(page, "4 dead letters of http whose reason has “volume must be positive” in it will be sent again", "Send 4 rows")
        wait_until(lambda: not g.dead())
        w.open("dead")
        expect(page.get_by_text("No dead letters.")).to_be_visible()


def test_live(watch, shot):
    with lab() as g:
        w = watch(g)
        page = w.open("live")
        expect(page.get_by_text("Watching.")).to_be_visible()
        g.take(plate(1, bad=[1]))
        log = page.get_by_role("log")
        expect(log).to_contain_text("plate-0001 8 rows")
        expect(log).to_contain_text("http: plate-0001 7 delivered, 1 dead")
        expect(log).to_contain_text("file: plate-0001 8 delivered")
        shot(page, "live")
        page.get_by_role("button", name="Hold").click()
        g.take(plate(2))
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Pusher").fill("file")
        page.get_by_label("uuid").fill("plate-0004")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_text("Watching.")).to_be_visible()
        wait_until(lambda: g.metrics()["headgate_taps"] == 1)
        g.take(plate(3))
        g.take(plate(4))
        expect(log).to_contain_text("file: plate-0004 8 delivered")
        expect(log).not_to_contain_text("plate-0003")
        expect(log).not_to_contain_text("http:")
        w.open("")
        wait_until(lambda: g.metrics()["headgate_taps"] == 0)


def test_plugins_are_steered(watch, shot):
    with lab() as g:
        w = watch(g)
        page = w.open("plugins")
        expect(page.get_by_role("region", name="Refused files")).to_contain_text("badabi.so")
        page.get_by_role("link", name="http", exact=True).click()
        options = page.get_by_role("region", name="Options of http")
        expect(options).to_contain_text("Sent as Authorization: Bearer.")
        expect(options.locator("tr", has_text="Sent as Authorization: Bearer.")).to_contain_text("(hidden)")
        expect(options).to_contain_text("environment PLUGIN_HTTP_URL")
        expect(options).to_contain_text("First delay before trying again.")
        assert "very-secret" not in page.content()
        shot(page, "plugin")
        page.get_by_role("button", name="Pause …").click()
        dialog(page, "takes no more rows", "Pause")
        g.wait_state("http", "paused")
        g.take(plate(1))
        expect(page.locator("h1 + .badge")).to_have_text("paused")
        page.get_by_role("button", name="Resume …").click()
        dialog(page, "wait for it", "Resume")
        wait_until(lambda: g.pusher("http")["delivered"] == 8)
        page.get_by_role("button", name="Probe").click()
        expect(page.get_by_role("status")).to_contain_text("Its far end answers")
        host = g.host("http")
        os.kill(host, signal.SIGSEGV)
        wait_until(lambda: g.pusher("http")["restarts"] == 1)
        expect(page.locator("main")).to_contain_text("1: 1", timeout=20000)


def test_send_again_now(watch):
    with lab({"PLUGIN_HTTP_RETRY_MIN": "1h", "PLUGIN_HTTP_RETRY_MAX": "2h"}) as g:
        g.hook.answer = 503
        g.take(plate(1))
        g.wait_state("http", "retrying")
        page = watch(g).open("plugins/http")
        g.hook.answer = judge
        page.get_by_role("button", name="Send again now …").click()
        dialog(page, "8 rows are behind", "Try now")
        wait_until(lambda: g.pusher("http")["delivered"] == 8)


def test_a_pusher_is_let_go(watch):
    with Gateway({"PLUGIN_CHAOS_MODE": "notnow"}, plugins=["chaos"], start=False) as g:
        (g.work / "gate").touch()
        g.start({"PLUGIN_CHAOS_GATE": str(g.work / "gate")})
        g.take(plate(1))
        g.wait_state("chaos", "retrying")
        w = watch(g, allow=[409])
        page = w.open("plugins/chaos")
        page.get_by_role("button", name="Forget, keep its rows …").click()
        dialog(page, "8 rows that it has not taken become dead letters", "Keep 8 rows as dead letters")
        expect(page.get_by_role("status")).to_contain_text("still configured")
        assert g.pusher("chaos")["lag"]["rows"] == 8
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        w.open("plugins")
        expect(page.get_by_role("region", name="Pushers and pullers")).to_contain_text("orphaned")
        w.open("plugins/chaos")
        page.get_by_role("button", name="Forget, keep its rows …").click()
        dialog(page, "8 rows that it has not taken become dead letters", "Keep 8 rows as dead letters")
        wait_until(lambda: len(g.dead()) == 8)


def test_settings_log_refusals(watch):
    with lab() as g:
        g.post({"uuid": "odd", "row": {"data": {"Key": 1}}})
        w = watch(g)
        page = w.open("refusals")
        expect(page.get_by_role("region", name="Refusals")).to_contain_text("/row/data/Key")
        w.open("settings")
        page.get_by_label("Name has").fill("journal.seg")
        settings = page.get_by_role("region", name="Settings")
        expect(settings.locator("tbody tr")).to_have_count(1)
        expect(settings).to_contain_text("environment HEADGATE_JOURNAL_SEGMENT")
        g.config.write_text("[log]\nlevel = debug\n")
        page.get_by_role("button", name="Read again …").click()
        page.get_by_label("Why, for the audit log").fill("to see more & less")
        dialog(page, "No row is lost", "Read them")
        expect(page.get_by_role("status")).to_contain_text("Generation 2: changed log.level")
        w.open("audit")
        expect(page.get_by_role("region", name="Audit")).to_contain_text("to see more & less")
        w.open("log")
        log = page.get_by_role("log")
        expect(log).to_contain_text("request.refused")
        page.get_by_label("Show").select_option("error")
        expect(log).not_to_contain_text("request.refused")
        g.post(b"{")
        page.get_by_label("Show").select_option("debug")
        expect(log).to_contain_text("request.refused")


def test_signing_in(watch, shot):
    with lab(KEYS, start=False) as g:
        admin, _ = key(g, "admin", name="ann")
        reader, reader_id = key(g, "read", name="bob")
        g.start()
        w = watch(g, allow=[401])
        page = w.open("keys")
        page.get_by_label("Key").fill("hg_" + "0" * 12 + "_" + "0" * 52)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not valid here")
        w.axe("sign in")
        page.get_by_label("Key").fill(f" {admin}\n")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("region", name="Keys")).to_contain_text("ann")
        expect(page.get_by_role("region", name="Keys")).to_contain_text("bob")
        cookie, = w.context.cookies()
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and not cookie["secure"]
        assert page.evaluate("document.cookie") == "" and admin not in page.content()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        page.reload()
        expect(page.get_by_role("region", name="Keys")).to_contain_text("ann")
        w.open("plugins/http")
        page.get_by_role("button", name="Pause …").click()
        dialog(page, "takes no more rows", "Pause")
        expect(page.locator("h1 + .badge")).to_have_text("paused")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert not w.context.cookies()

        # who may only look has nothing to press, and is out as soon as the key is taken back
        page.get_by_label("Key").fill(reader)
        page.get_by_role("button", name="Sign in").click()
        w.open("plugins/http")
        expect(page.get_by_role("region", name="Options of http")).to_be_visible()
        expect(page.get_by_role("button", name="Resume …")).to_have_count(0)
        w.open("")
        assert command("key", "revoke", reader_id, "--data", g.data, env=g.environment()).returncode == 0
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_is_bound_to_a_client_sees_its_own(watch):
    with lab(KEYS, start=False) as g:
        mine, other = key(g, "ingest", "read", "operate", client="lab-a")[0], key(g, "ingest", "read", client="lab-b")[0]
        g.start()
        for token in (mine, other):
            assert g.post(plate(1, bad=[1]), headers={"Authorization": f"Bearer {token}"}).status == 202
            wait_until(lambda t=token: g.get("/v1/dead-letters", headers=bearer(t)).json()["dead"])
        w = watch(g)
        page = w.open()
        page.get_by_label("Key").fill(mine)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Row sets", "Dead letters", "Live"])
        w.open("sets?find=plate-0001")
        expect(page.locator("section.card")).to_have_count(1)
        w.open("dead")
        expect(page.locator(".group h2")).to_have_text("1 row · http")
        w.open("live")
        expect(page.get_by_text("Watching.")).to_be_visible()
        assert g.post(plate(2), headers={"Authorization": f"Bearer {other}"}).status == 202
        assert g.post(plate(3), headers={"Authorization": f"Bearer {mine}"}).status == 202
        expect(page.get_by_role("log")).to_contain_text("plate-0003")
        expect(page.get_by_role("log")).not_to_contain_text("plate-0002")


def test_no_text_becomes_markup(watch):
    evil = "<img src=x onerror=alert(1)>"
    with lab() as g:
        g.hook.answer = lambda r: (200, {"Content-Type": "application/json"}, json.dumps(
            {"rows": [{"n": 0, "verdict": "reject", "reason": evil}]}).encode())
        w = watch(g)
        page = w.open("live")
        expect(page.get_by_text("Watching.")).to_be_visible()
        g.take({"uuid": evil, "tags": {"t": evil}, "row": {"data": {"k": evil}}})
        expect(page.get_by_role("log")).to_contain_text(evil)
        wait_until(g.dead)
        w.open("dead")
        page.locator(".group details summary").first.click()
        expect(page.locator(".letter .error").first).to_contain_text(evil)
        page.get_by_role("link", name=evil).click()
        expect(page.locator("h2 a")).to_have_count(1)
        expect(page.locator("main")).to_contain_text("tag t")
        assert page.locator("main img").count() == 0


def test_keyboard(watch):
    with lab() as g:
        w = watch(g)
        page = w.open()
        expect(page.locator(".verdict h1")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        page.keyboard.press("Enter")
        expect(page.locator("main:focus")).to_have_count(1)
        w.open()
        link = page.get_by_role("link", name="Plugins", exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.locator("main h1")).to_have_text("Plugins")
        page.get_by_role("link", name="http", exact=True).focus()
        page.keyboard.press("Enter")
        pause = page.get_by_role("button", name="Pause …")
        pause.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Pause")
        page.keyboard.press("Enter")
        g.wait_state("http", "paused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_everybody_can_use_it(watch, scheme, width, shot):
    with lab() as g:
        g.take(plate(1, bad=[2]))
        g.post(b"{")
        wait_until(lambda: len(g.dead()) == 1)
        w = watch(g, color_scheme=scheme)
        w.page.set_viewport_size({"width": width, "height": 900})
        for view in VIEWS:
            page = w.open(view)
            expect(page.locator("main h1").first).to_be_visible()
            if view == "dead":
                page.locator(".group details summary").first.click()
                expect(page.locator(".letter")).to_be_visible()
            if view == "plugins/http":
                expect(page.get_by_role("region", name="Options of http")).to_be_visible()
            if view == "":
                expect(page.locator(".figure").first).to_be_visible()
                if (width, scheme) == (360, "dark"):
                    shot(page, "narrow-dark")
            w.axe(f"{view} {scheme} {width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than {width}"


def test_small_and_guarded(watch):
    with lab() as g:
        w = watch(g)
        sizes = []
        w.page.on("response", lambda r: sizes.append((r.url, r.request.sizes()["responseBodySize"])) if "/v1/" not in r.url else None)
        w.open()
        expect(w.page.locator(".verdict h1")).to_be_visible()
        assert sum(size for _, size in sizes) < 40000, sizes  # a second over 3G
        head = g.get("/").headers
        policy = head["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert head["x-content-type-options"] == "nosniff" and head["referrer-policy"] == "no-referrer"
        for path in ("/page.js", "/page.css", "/icon.svg"):
            assert g.get(path).status == 200
            again = g.get(path, headers={"If-None-Match": g.get(path).headers["etag"]})
            assert again.status == 304 and not again.body
        for path in ("/", "/page.js"):
            assert g.get(path, "rows").status == 404


def test_many_pages_of_dead_letters(watch):
    with lab({"PLUGIN_HTTP_REJECT_BREAKER": "5000"}) as g:
        for n in range(6):
            g.take({"uuid": f"u{n}", "rows": [{"data": {"volume": -1 - n}} for _ in range(200)]})
        wait_until(lambda: g.pusher("http")["dead_letters"] == 1200, 60)
        page = watch(g).open("dead")
        expect(page.get_by_text("1,200 dead letters; the first 1,000 are grouped here")).to_be_visible()
        page.get_by_role("button", name="Drop: volume must be positive").click()
        dialog(page, "1,200 dead letters of http", "Drop 1,200 rows")
        wait_until(lambda: g.pusher("http")["dead_letters"] == 0)
        expect(page.get_by_text("No dead letters.")).to_be_visible()
