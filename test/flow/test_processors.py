"""Processors through the whole daemon: rows changed, skipped, refused and held on their way to one pusher."""
import json
import os
import shutil

from gateway import BUILD, SLOW, Gateway, command, row, wait_until, whole_lines

QUICK = {"PLUGIN_FILE_RETRY_MIN": "20ms", "PLUGIN_FILE_RETRY_MAX": "100ms"}


def gateway(*plugins, env=None, **file):
    return Gateway({**QUICK, **{f"PLUGIN_FILE_{k}": v for k, v in file.items()}, **(env or {})}, plugins=plugins)


def marked(uuid, *marks):
    return {"uuid": uuid, "rows": [{"index": n, "data": {"mark": mark, "n": n}} for n, mark in enumerate(marks)]}


def mine(g, batch):
    return g.receipt(batch).json()["pushers"]["file"]


def settled(g, batch):
    return wait_until(lambda: mine(g, batch)["state"] == "settled" and mine(g, batch), 30,
                      lambda: f"{g.receipt(batch)} {g.pusher('file')}")


def test_a_chain_in_its_order():
    env = {"PLUGIN_FIRST_USE": "fields", "PLUGIN_FIRST_RENAME": "secret=code", "PLUGIN_SECOND_USE": "fields",
           "PLUGIN_SECOND_HASH": "code", "PLUGIN_SECOND_HASH_KEY": "k", "PLUGIN_SECOND_DROP": "secret,gone"}
    with gateway(env=env, PROCESS="first, second") as g:
        body = b'{"uuid":"u","row":{"index":3,"data":{"big": 9223372036854775807, "secret":"s","pi":3.14000, "gone":1}}}'
        g.take(body)
        got = g.wait_rows(1)[0]
        assert got["index"] == 3 and got["uuid"] == "u"
        line = (g.out / "rows.ndjson").read_text()
        assert '"data":{"big":9223372036854775807,"code":"' in line and '"pi":3.14000}' in line, line
        assert len(got["data"]["code"]) == 64
        assert "fields" not in g.pushers() and "first" not in g.pushers()  # they are no pushers
        g.post(b'{"uuid":"u","row":{"data":{"secret":1, "code":2}}}')
        letter = wait_until(lambda: g.dead() and g.dead()[0])
        assert letter["reason"] == "first: secret cannot be renamed: there is a field code already"


def test_instances_of_one_plugin_share_its_start_and_stop():
    env = {f"PLUGIN_{name}_{option}": value for name in ("ONE", "TWO") for option, value in (("USE", "mangle"), ("TAG", "yes"))}
    g = Gateway(env, plugins=["mangle"], start=False)
    with g:
        told = g.work / "told"
        g.env.update({f"PLUGIN_{name}_TOLD": str(told) for name in ("ONE", "TWO", "MANGLE")})
        g.env.update({"PLUGIN_FILE_PROCESS": "one,fields,mangle,two", "PLUGIN_FILE_PATH": str(g.out / "{seen_by}.ndjson")})
        g.start()
        g.take(row("u", {"a": 1}))
        wait_until(lambda: (g.out / "two.ndjson").exists())
        assert told.read_text() == "start one\n"
        g.stop()
        assert told.read_text() == "start one\nstop all\n"


def test_what_becomes_of_rows():
    with gateway("mangle", PROCESS="mangle") as g:
        batch = g.take(marked("u", "", "skip", "change", "reject", "verdict", "skip"))["id"]
        got = g.wait_rows(3)
        assert [r["data"] for r in got] == [{"mark": "", "n": 0}, {"changed": 12345678901234567.10}, {"mark": "verdict", "n": 4}]
        assert '{"changed": 12345678901234567.10}' in (g.out / "rows.ndjson").read_text()
        what = settled(g, batch)
        assert (what["delivered"], what["skipped"], what["dead"]) == (3, 2, 1)
        letter = g.dead()[0]
        assert letter["reason"] == "mangle: marked so"
        shown = g.cli("dead", "show", letter["id"]).stdout
        assert '"mark"' in shown and '"reject"' in shown  # as it was posted
        metrics = g.metrics()
        assert metrics['headgate_rows_skipped_total{pusher="file",reason="mangle"}'] == 2
        assert metrics['headgate_rows_skipped_total{pusher="file",reason="plugin"}'] == 0
        # Only skipped rows: nothing is pushed, all is settled.
        assert settled(g, g.take(marked("v", "skip", "skip"))["id"])["skipped"] == 2


def test_rows_that_a_processor_wants_again_hold_back_their_uuid():
    with gateway("mangle", PROCESS="mangle") as g:
        one = g.take(marked("u", "retry", "json", "", "change"))["id"]
        two = g.take(marked("v", "", ""))["id"]
        settled(g, one), settled(g, two)
        mine_ = [r for r in g.file_rows() if r["uuid"] == "u"]
        assert [r["index"] for r in mine_] == [0, 1, 2, 3], mine_
        assert mine_[1]["data"] == {"mark": "json", "n": 1}, "data that is none must not be taken, nor lose the row"
        assert not g.dead() and mine(g, one)["attempts"] >= 3


def test_a_processor_that_fails_is_a_retry_and_heals():
    with gateway("mangle", env={"PLUGIN_MANGLE_NOT_NOW": "4"}, PROCESS="mangle") as g:
        batch = g.take(marked("u", "", "skip"))["id"]
        wait_until(lambda: "not awake yet" in g.pusher("file")["error"] or mine(g, batch)["state"] == "settled")
        what = settled(g, batch)
        assert what["delivered"] == 1 and what["skipped"] == 1 and not g.dead()
        assert len(g.file_rows()) == 1


def test_a_far_end_that_is_down_takes_no_row_and_no_skip():
    g = Gateway({"PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_CHAOS_PROCESS": "mangle", "PLUGIN_CHAOS_RETRY_MIN": "20ms",
                 "PLUGIN_CHAOS_RETRY_MAX": "50ms"}, plugins=["chaos", "mangle"], file=False, start=False)
    with g:
        gate = g.work / "gate"
        gate.touch()
        g.env["PLUGIN_CHAOS_GATE"] = str(gate)
        g.start()
        batch = g.take(marked("u", "", "skip", "reject"))["id"]
        wait_until(lambda: g.pusher("chaos")["state"] == "retrying")
        there = g.receipt(batch).json()["pushers"]["chaos"]
        assert there["skipped"] == 0 and there["dead"] == 0 and not g.dead()
        gate.unlink()
        there = wait_until(lambda: (p := g.receipt(batch).json()["pushers"]["chaos"])["state"] == "settled" and p, 30)
        assert (there["delivered"], there["skipped"], there["dead"]) == (1, 1, 1)
        assert g.metrics()['headgate_rows_skipped_total{pusher="chaos",reason="mangle"}'] == 1


def test_a_crash_is_evidence_against_the_row():
    with gateway("mangle", PROCESS="mangle") as g:
        good = g.take(marked("u", "", "change"))["id"]
        bad = g.take(marked("w", "crash"))["id"]
        after = g.take(marked("x", "", ""))["id"]
        assert settled(g, good)["delivered"] == 2 and settled(g, after)["delivered"] == 2
        assert settled(g, bad)["dead"] == 1
        assert "crash" in g.dead()[0]["reason"]


def test_a_processor_that_hangs_passes_the_deadline():
    limits = {"TIMEOUT": f"{SLOW:.0f}s", "RETRY_MIN": f"{SLOW:.0f}s", "RETRY_MAX": "1m"}  # the other's turn comes in between
    with gateway("mangle", PROCESS="mangle", **limits) as g:
        g.take(marked("u", "hang"))
        wait_until(lambda: g.metrics().get('headgate_plugin_restarts_total{pusher="file",reason="deadline"}', 0) > 0, 30)
        batch = g.take(marked("v", ""))["id"]
        assert settled(g, batch)["delivered"] == 1 and not g.dead()


def test_a_dead_letter_that_is_tried_again_passes_through_again():
    with gateway("mangle", env={"PLUGIN_FIELDS_CAST": "n=integer"}, PROCESS="fields,mangle") as g:
        batch = g.take({"uuid": "u", "row": {"data": {"n": "x", "mark": "change"}}})["id"]
        assert settled(g, batch)["dead"] == 1
        letter = g.dead()[0]
        assert letter["reason"] == "fields: the field n is no integer"
        g.env["PLUGIN_FIELDS_CAST"] = "n=string"
        g.restart()
        assert g.cli("dead", "retry", letter["id"]).returncode == 0
        assert g.wait_rows(1)[0]["data"] == {"changed": 12345678901234567.10}
        wait_until(lambda: not g.dead())


def test_unknown_and_broken_processors():
    with gateway("mangle", PROCESS="mangel") as g:
        state = g.wait_state("file", "broken")
        assert "there is no processor `mangel`; did you mean `mangle`?" in state["error"], state
        batch = g.take(marked("u", ""))["id"]
        for process, error in (("null", "`null` is no processor"), ("mangle", None)):
            g.config.write_text("")
            g.env["PLUGIN_FILE_PROCESS"] = process
            g.restart()
            if error:
                assert error in g.wait_state("file", "broken")["error"]
        assert settled(g, batch)["delivered"] == 1
    env = {"PLUGIN_MANGLE_BROKEN": "no good"}
    with gateway("mangle", env=env, PROCESS="mangle") as g:
        assert g.wait_state("file", "broken")["error"] == "mangle: no good"


def test_a_reload_restarts_those_that_use_it():
    ini = "[plugin fields]\ndrop = {}\n[plugin file]\nprocess = fields\n[plugin other]\nuse = file\npath = {}\n"
    g = Gateway(start=False, ini="")
    with g:
        other = g.out / "other"
        g.config.write_text(ini.format("a", other))
        g.start()
        before, untouched = g.host("file"), g.host("other")
        g.take({"uuid": "u", "row": {"data": {"a": 1, "b": 2}}})
        g.wait_rows(2)
        g.config.write_text(ini.format("b", other))
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: g.host("file") != before)
        g.take({"uuid": "u", "row": {"data": {"a": 1, "b": 2}}})
        g.wait_rows(4)
        path = g.out / "rows.ndjson"
        assert [r["data"] for r in g.file_rows(path)] == [{"b": 2}, {"a": 1}]
        assert [r["data"] for r in g.file_rows(other)] == [{"a": 1, "b": 2}] * 2
        assert g.host("other") == untouched


def test_a_replaced_file_restarts_those_that_use_it():
    with gateway("mangle", PROCESS="mangle") as g:
        before = g.host("file")
        g.add_plugin("mangle")
        wait_until(lambda: g.host("file") != before, 30)
        assert settled(g, g.take(marked("u", "change"))["id"])["delivered"] == 1
        (g.own_plugins / "mangle.so").unlink()
        assert "there is no processor `mangle`" in g.wait_state("file", "broken", timeout=30)["error"]
        batch = g.take(marked("u", ""))["id"]
        g.add_plugin("mangle")
        assert settled(g, batch)["delivered"] == 1


def test_confinement_lets_a_processor_to_its_own_paths():
    g = Gateway(start=False, plugins=["mangle"])
    with g:
        (g.work / "words").write_text("from a file\n")
        g.env.update({**QUICK, "PLUGIN_FILE_PROCESS": "mangle", "PLUGIN_MANGLE_PATH": str(g.work / "words")})
        g.start()
        g.take(marked("u", "line"))
        assert g.wait_rows(1)[0]["data"] == {"line": "from a file"}


def test_tags():
    env = {"PLUGIN_MANGLE_TAG": "yes", "PLUGIN_FILE_PROCESS": "mangle"}
    g = Gateway(env, start=False, plugins=["mangle"])
    with g:
        g.env["PLUGIN_FILE_PATH"] = str(g.out / "{seen_by}.ndjson")
        g.start()
        g.take({"uuid": "u", "tags": {"line": "3"}, "row": {"data": {}}})
        g.wait_rows(1)
        assert (g.out / "mangle.ndjson").exists()


def check(tmp_path, *names, **env):
    folder = tmp_path / "plugins"
    folder.mkdir(exist_ok=True)
    for name in names:
        source = BUILD / "fixture" / f"{name}.so"
        shutil.copy(source if source.exists() else BUILD / "plugins" / f"{name}.so", folder)
        os.chmod(folder / f"{name}.so", 0o755)
    (tmp_path / "ini").write_text("")
    return command("check", "--config", tmp_path / "ini", "--plugins", folder, "--data", tmp_path / "data", env=env)


def test_check_says_what_is_wrong(tmp_path):
    file = {"PLUGIN_FILE_PATH": str(tmp_path / "out")}
    good = check(tmp_path, "file", "fields", "mangle", **file, PLUGIN_FILE_PROCESS="fields,mangle")
    assert good.returncode == 0 and "fields: ok (processor fields" in good.stdout, good
    for words, env in (
            ("there is no processor `gone`", {"PLUGIN_FILE_PROCESS": "gone"}),
            ("fields: the field a stands in both KEEP and DROP",
             {"PLUGIN_FILE_PROCESS": "fields", "PLUGIN_FIELDS_KEEP": "a", "PLUGIN_FIELDS_DROP": "a"}),
            ("mangle: no good", {"PLUGIN_FILE_PROCESS": "mangle", "PLUGIN_MANGLE_BROKEN": "no good"}),
            ("BATCH_ROWS is an option of pushers", {"PLUGIN_FIELDS_BATCH_ROWS": "3"}),
            ("has no option KEEPER; did you mean KEEP?", {"PLUGIN_FIELDS_KEEPER": "3"}),
            ("processor fields: ", {"PLUGIN_FILE_PROCESS": "fields", "PLUGIN_FIELDS_CAST": "a"})):
        bad = check(tmp_path, **file, **env)
        assert bad.returncode == 78 and words in bad.stdout, (words, bad)
        assert not (tmp_path / "out").exists()  # the pusher itself is not opened


def test_when():
    env = {"PLUGIN_FILE_WHEN": '.data.kind == "a"', "PLUGIN_OTHER_USE": "file", "PLUGIN_OTHER_WHEN": ".data.n >= 2"}
    g = Gateway({**QUICK, **env}, start=False)
    with g:
        other = g.out / "other"
        g.env["PLUGIN_OTHER_PATH"] = str(other)
        g.start()
        batch = g.take({"uuid": "u", "rows": [{"data": {"kind": "ab"[n % 2], "n": n}} for n in range(4)]})["id"]
        first, second = (wait_until(lambda: (p := g.receipt(batch).json()["pushers"][name])["state"] == "settled" and p)
                         for name in ("file", "other"))
        assert (first["delivered"], first["skipped"]) == (2, 2) and (second["delivered"], second["skipped"]) == (2, 2)
        assert [r["data"]["n"] for r in g.file_rows(g.out / "rows.ndjson")] == [0, 2]
        assert [r["data"]["n"] for r in g.file_rows(other)] == [2, 3]
        metrics = g.metrics()
        assert metrics['headgate_rows_skipped_total{pusher="file",reason="when"}'] == 2
        assert metrics['headgate_rows_skipped_total{pusher="other",reason="when"}'] == 2


def test_when_then_the_processors():
    env = {"PLUGIN_JQ_FILTER": '.data | .twice = .n * 2 | del(.kind)', "PLUGIN_FIELDS_DROP": "n"}
    with gateway(env=env, WHEN='.data.kind == "a"', PROCESS="jq,fields") as g:
        body = '{"uuid":"u","rows":[{"data":{"kind":"a","n":21,"big":9223372036854775807}},{"data":{"kind":"b"}}]}'
        batch = g.take(body.encode())["id"]
        assert settled(g, batch)["skipped"] == 1
        assert '"data":{"big":9223372036854775807,"twice":42}' in (g.out / "rows.ndjson").read_text()


def test_a_when_that_fails_on_a_row_and_a_reload():
    ini = "[plugin file]\nwhen = {}\n"
    g = Gateway(QUICK, start=False)
    with g:
        g.config.write_text(ini.format(".data.list | length > 1 and (.[0] | tonumber) > 0"))
        g.start()
        batch = g.take({"uuid": "u", "rows": [{"data": {"list": ["x", 1]}}, {"data": {"list": [1, 2]}}]})["id"]
        what = settled(g, batch)
        assert (what["delivered"], what["dead"]) == (1, 1)
        letter = g.dead()[0]
        assert letter["reason"].startswith("when: SELECT: ") and "x" in letter["reason"], letter
        g.config.write_text(ini.format(".data.list | length == 3"))
        before = g.host("file")
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: g.host("file") != before)
        batch = g.take({"uuid": "u", "rows": [{"data": {"list": [1, 2]}}, {"data": {"list": [1, 2, 3]}}]})["id"]
        assert settled(g, batch)["delivered"] == 1
        # The dead letter goes through the WHEN of now, which is not for it.
        assert g.cli("dead", "retry", letter["id"]).returncode == 0
        wait_until(lambda: not g.dead())
        assert len(g.file_rows()) == 2


def test_a_when_that_is_none(tmp_path):
    with gateway(WHEN=".data.(") as g:
        assert "SELECT is no jq program: syntax error" in g.wait_state("file", "broken")["error"]
        batch = g.take(row("u"))["id"]
        g.env["PLUGIN_FILE_WHEN"] = "true"
        g.restart()
        assert settled(g, batch)["delivered"] == 1
    env = {"PLUGIN_FILE_PATH": str(tmp_path / "out"), "PLUGIN_FILE_WHEN": ".data.("}
    bad = check(tmp_path, "file", **env)
    assert bad.returncode == 78 and "WHEN needs the processor `jq`, which is not in the plugin folders" in bad.stdout, bad
    bad = check(tmp_path, "jq", **env)
    assert bad.returncode == 78 and "plugin file: when: SELECT is no jq program: syntax error" in bad.stdout, bad
    assert check(tmp_path, **{**env, "PLUGIN_FILE_WHEN": ".data.a"}).returncode == 0


def test_they_stand_in_the_settings_in_force():
    """Also those that no pusher names; with where each option comes from, and no secret."""
    with Gateway({"PLUGIN_MASK_HASH": "name", "PLUGIN_MASK_HASH_KEY": "a long secret", "PLUGIN_MASK_USE": "fields",
                  "PLUGIN_FILE_PROCESS": "mask"}, ini="[plugin jq]\nfilter = .\n") as g:
        found = {p["name"]: p for p in g.get("/v1/config").json()["plugins"]}
        assert [found[n]["kind"] for n in ("file", "mask", "jq")] == ["pusher", "processor", "processor"]
        options = {o["name"]: o for o in found["mask"]["options"]}
        assert found["mask"]["plugin"] == "fields" and set(options) == {"HASH", "HASH_KEY"}
        assert options["HASH"] == {"name": "HASH", "value": "name", "origin": "environment PLUGIN_MASK_HASH", "secret": False}
        assert options["HASH_KEY"]["value"] == "(hidden)" and options["HASH_KEY"]["secret"]
        assert found["jq"]["options"][0]["origin"].endswith("headgate.ini:2")
        plugins = g.get("/v1/plugins").json()
        assert {p["name"]: p for p in plugins["processors"]} == {n: p for n, p in found.items() if p["kind"] == "processor"}
        assert {f["name"]: f["kind"] for f in plugins["plugins"]}.items() >= {"fields": "processor", "exec": "puller", "null": "pusher"}.items()
        shown = g.cli("config").stdout
        assert "[plugin mask]  (processor)" in shown and "a long secret" not in shown + str(g.get("/v1/config").body)
        g.config.write_text("[plugin jq]\nfilter = .a\n")
        assert g.admin("POST", "/v1/reload").status == 200
        again = {p["name"]: p for p in g.get("/v1/config").json()["plugins"]}
        assert again["jq"]["options"][0]["value"] == ".a"


# --- whole row sets, and batches that come again as they were


def steered(plugin, mode="good", match=None, down=False, ini=None, **options):
    """A gateway with the chaos pusher `plugin`; its far end is down while g.gate exists."""
    options = {"MODE": mode, "RETRY_MIN": "20ms", "RETRY_MAX": "100ms", **({"MATCH": match} if match else {}), **options}
    g = Gateway({f"PLUGIN_{plugin.upper()}_{k}": v for k, v in options.items()}, plugins=[plugin, "mangle"], start=False)
    g.gate = g.work / "gate"
    if down:
        g.gate.touch()
    if ini:
        g.config.write_text(ini)
    g.env[f"PLUGIN_{plugin.upper()}_GATE"] = str(g.gate)
    return g.start()


def got(g, plugin):
    """[(uuid, number, attempt, data)] in the order in which they were delivered."""
    found = []
    for line in whole_lines(g.got_path(plugin)):
        if not line.endswith("}"):
            continue  # of a host that was killed while it wrote
        _, attempt, _, uuid, number, data = line.split(" ", 5)
        found.append((uuid, int(number.rstrip(".")), int(attempt), json.loads(data)))
    return found


def of(g, plugin, batch):
    return wait_until(lambda: (p := g.receipt(batch).json()["pushers"][plugin])["state"] == "settled" and p, 30,
                      lambda: f"{g.receipt(batch)} {g.pusher(plugin)}")


def test_what_is_left_of_a_whole_set_is_one_set(tmp_path):
    """WHEN and a processor leave some rows: one document, whatever BATCH_ROWS is. The refused row comes alone when it is mended,
    and takes no other's place."""
    out = tmp_path / "sets"
    env = {"PLUGIN_ARCHIVE_PATH": f"{out}/", "PLUGIN_ARCHIVE_BATCH_ROWS": "2", "PLUGIN_ARCHIVE_WHEN": ".data.n != 2",
           "PLUGIN_ARCHIVE_PROCESS": "mangle", "PLUGIN_ARCHIVE_RETRY_MIN": "20ms"}
    with Gateway(env, plugins=["mangle"]) as g:
        batch = g.take(marked("u", "", "skip", "", "reject", "change", ""))["id"]
        what = of(g, "archive", batch)
        assert (what["delivered"], what["skipped"], what["dead"]) == (3, 2, 1), what
        [name] = [p.name for p in out.glob("*.json")]
        assert name.startswith(f"{batch}-0-5-"), name
        written = json.loads((out / name).read_text())
        assert [r.get("index") for r in written["rows"]] == [0, 4, 5], written
        assert written["rows"][1]["data"] == {"changed": 12345678901234567.10}
        none = g.take(marked("v", "skip", "skip"))["id"]
        assert of(g, "archive", none)["skipped"] == 2
        assert len(list(out.glob("*.json"))) == 1, "of a set of which nothing is left there is no document"
        letter = g.dead()[0]
        assert letter["reason"] == "mangle: marked so"
        fixed = json.dumps({"data": {"mark": "", "n": 3}})
        again = g.admin("POST", f"/v1/dead-letters/{letter['id']}/retry", fixed.encode())
        assert again.status in (200, 202), again
        wait_until(lambda: not g.dead() and len(list(out.glob("*.json"))) == 2, 30, lambda: (g.dead(), list(out.iterdir())))
        assert json.loads((out / name).read_text()) == written


def test_a_row_that_a_processor_wants_again_keeps_its_whole_set_back():
    with steered("whole", PROCESS="mangle", BATCH_ROWS=2) as g:
        batch = g.take(marked("u", "", "", "retry", "skip", ""))["id"]
        other = g.take(marked("v", "", ""))["id"]
        assert (of(g, "whole", batch)["delivered"], of(g, "whole", other)["delivered"]) == (4, 2)
        mine_ = [r for r in got(g, "whole") if r[0] == "u"]
        assert [(n, attempt >= 3) for _, n, attempt, _ in mine_] == [(0, True), (1, True), (2, True), (4, True)], mine_


def test_a_row_that_a_whole_set_pusher_wants_again_brings_back_what_when_left():
    with steered("whole", "retryonce", "bad", WHEN=".data.n != 1", BATCH_ROWS=2) as g:
        rows_ = [{"data": {"n": n, **({"bad": 1} if n == 3 else {})}} for n in range(4)]
        batch = g.take({"uuid": "u", "rows": rows_})["id"]
        what = of(g, "whole", batch)
        assert (what["delivered"], what["skipped"]) == (3, 1), what
        assert [r[1] for r in got(g, "whole") if r[2] == 2] == [0, 2, 3], got(g, "whole")


def test_a_batch_that_waits_is_what_the_program_of_now_makes_of_it():
    """The far end is down; the processor's program and WHEN change by a reload. The batch comes again with the same rows as the
    new ones leave them: each once, none as the old program made it."""
    ini = "[plugin stable]\nwhen = {}\nprocess = jq\n[plugin jq]\nfilter = {}\n"
    with steered("stable", "notnow", down=True, ini=ini.format(".data.n != 1", '.data | .by = "old"')) as g:
        batch = g.take({"uuid": "u", "rows": [{"data": {"n": n}} for n in range(6)]})["id"]
        wait_until(lambda: "503" in g.pusher("stable")["error"], 30, lambda: g.pusher("stable"))
        g.config.write_text(ini.format(".data.n > 1", '.data | .by = "new"'))
        before = g.host("stable")
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: g.host("stable") not in (None, before), 30, lambda: g.pusher("stable"))
        g.gate.unlink()
        what = of(g, "stable", batch)
        assert (what["delivered"], what["skipped"]) == (4, 2), what
        assert [(n, data) for _, n, _, data in got(g, "stable")] == [(n, {"n": n, "by": "new"}) for n in range(2, 6)]


def test_a_stable_batch_with_a_processor_comes_again_after_a_kill():
    """Killed while the far end is down: the same rows, in their order, as the processor made them before, each once."""
    with steered("stable", "notnow", down=True, PROCESS="mangle", WHEN=".data.n != 0", BATCH_ROWS=50) as g:
        batches = [g.take(marked(f"u{k}", *["change" if n % 2 else "" for n in range(20)]))["id"] for k in range(5)]
        wait_until(lambda: "503" in g.pusher("stable")["error"], 30, lambda: g.pusher("stable"))
        for both in (False, True):
            g.kill9(hosts=both)
            g.start()
            wait_until(lambda: "503" in g.pusher("stable")["error"], 30, lambda: g.pusher("stable"))
        g.gate.unlink()
        assert [of(g, "stable", b)["delivered"] for b in batches] == [19] * 5
        found = got(g, "stable")
        assert len({r[:2] for r in found}) == len(found) == 95
        for k in range(5):
            assert [(n, data) for uuid, n, _, data in found if uuid == f"u{k}"] == [
                (n, {"changed": 12345678901234567.10} if n % 2 else {"mark": "", "n": n}) for n in range(1, 20)]
