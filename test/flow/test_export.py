"""Rows out of the journal again (headgate export), and a dead letter that is changed before it is sent again."""
import json

from gateway import Gateway, ask, rows, wait_until
from test_access import bearer
from test_clients import gateway, post
from test_delivery import wait_got


def lines(g, *options, code=0):
    done = g.cli("export", *options)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# contract: export api.export
def test_every_row_comes_out_as_it_went_in():
    with Gateway({"HEADGATE_JOURNAL_SEGMENT": "64KiB"}) as g:  # several segments
        for n in range(120):
            g.take({"uuid": f"u{n % 3}", "tags": {"site": "a"}, "rows": [{"index": n, "data": {"n": n, "text": "x" * 700}}] * 2})
        g.take(b'{"uuid":"exact",\n "row":{"data":{"big":12345678901234567,\n\t"small":1.50e0}}}')
        found = lines(g, "--all")
        assert len(found) == 241 and [r["data"].get("n") for r in found[:240]] == [n for n in range(120) for _ in "12"]
        wait_until(lambda: len(g.file_rows()) == 241)
        assert [r["id"] for r in found] == [r["id"] for r in g.file_rows()]
        assert found[0]["tags"] == {"site": "a"} and found[0]["received"] == g.file_rows()[0]["received"]
        assert '{"big":12345678901234567,  "small":1.50e0}' in g.cli("export", "--uuid", "exact").stdout.replace("\t", " ")
        assert len(lines(g, "--uuid", "u1")) == 80 and lines(g, "--uuid", "nobody") == []
        middle = found[100]["received"]
        early, late = lines(g, "--to", middle), lines(g, "--from", middle)
        assert {r["id"] for r in early + late} == {r["id"] for r in found} and len(early) + len(late) == 241
        assert all(r["received"] < middle for r in early) and early and late
        assert g.cli("export").returncode == 64
        assert g.get("/v1/export?from=soon").status == 400 and g.get("/v1/export?after=99999999999").status == 400


def test_a_page_is_bounded():
    with Gateway() as g:
        for n in range(14):
            g.take(rows("u", 100, text="x" * 10000))  # 14 MB
        page = g.get("/v1/export")
        assert page.headers["content-type"] == "application/x-ndjson" and 4 << 20 <= len(page.body) < 6 << 20
        assert json.loads(page.body.splitlines()[-1])["next"]
        assert len(lines(g, "--all")) == 1400 and len(lines(g, "--uuid", "u")) == 1400


def test_a_client_gets_its_own():
    with gateway() as g:
        for c in ("a", "b", "nobody", "a"):
            post(g, c, rows("u", 1, client=c))

        def seen(query, client=None):
            body = ask(g.admin_address, "GET", f"/v1/export{query}", headers=bearer(g.keys.get(client))).body
            return [json.loads(line).get("data", {}).get("client") for line in body.splitlines()[:-1]]
        assert seen("") == ["a", "b", "nobody", "a"] and seen("", "a") == ["a", "a"] and seen("?uuid=u", "b") == ["b"]


# contract: dead.edit
def test_a_dead_letter_is_edited_and_sent_again(tmp_path):
    with gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad"}) as g:
        g.take(b'{"uuid":"u","row":{"data":{"bad":12345678901234567}}}')
        letter = wait_until(lambda: g.dead())[0]["id"]

        def edits(script, *options):
            editor = tmp_path / "editor"
            editor.write_text("#!/bin/sh\n" + script)
            editor.chmod(0o755)
            return g.cli("dead", "retry", letter, "--edit", *options, env={"EDITOR": str(editor), "TMPDIR": str(tmp_path)})
        done = edits("true")
        assert done.returncode == 0 and "not changed, not sent" in done.stdout
        assert edits("exit 1").returncode == 70 and list(tmp_path.glob("*.json")) == []
        done = edits('echo "{\\"bad\\": oops" >"$1"')
        assert done.returncode == 65 and len(kept := list(tmp_path.glob("headgate-*.json"))) == 1
        assert str(kept[0]) in done.stderr and kept[0].read_text() == '{"bad": oops\n' and kept[0].stat().st_mode & 0o77 == 0
        kept[0].unlink()
        assert edits("true", "--dry-run").returncode == 64
        done = edits('sed -i s/bad/good/ "$1"', "--why", "a typing error")
        assert done.returncode == 0 and "sent again as edited" in done.stdout and list(tmp_path.glob("*.json")) == []
        assert wait_got(g, 1)[0][5] == {"good": 12345678901234567}
        wait_until(lambda: not g.dead())
        assert json.loads(g.cli("audit", "--json", "--limit", "1").stdout)["audit"][0]["why"] == "a typing error"
