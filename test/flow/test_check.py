"""`headgate check`, `plugin describe` and `journal dump`: what they say of what is wrong, without a daemon."""
import json
import os
import shutil

import pytest
from gateway import BUILD, Gateway, command, row, wait_until


@pytest.fixture
def folder(tmp_path):
    """A plugins folder that only we may write to, and what a check of it says."""
    def add(*names):
        for name in names:
            source = BUILD / "fixture" / f"{name}.so"
            shutil.copy(source if source.exists() else BUILD / "plugins" / f"{name}.so", tmp_path)
            os.chmod(tmp_path / f"{name}.so", 0o755)
        return tmp_path

    def check(*more, code, ini="", **env):
        config = tmp_path / "headgate.ini"
        config.write_text(ini)
        done = command("check", "--config", config, "--plugins", tmp_path, "--data", tmp_path / "data", *more, env=env)
        assert done.returncode == code, done
        return done.stdout + done.stderr
    add.check = check
    return add


def test_all_that_is_wrong_at_once(folder):
    folder("file", "chaos", "badabi")
    said = folder.check(code=78, ini="[plugin gone]\nuse = nothere\n[plugin off]\nuse = file\nenabled = no\n",
                        PLUGIN_CHAOS_FILE="/tmp/x", PLUGIN_CHAOS_MODE="nonsense")
    # A build that counts lines may say first that it could not write its counts.
    assert "badabi.so: refused: abi_major" in said or (BUILD.name == "coverage" and "badabi.so: refused: profiling:" in said)
    assert "ignored, as no plugin of that name is there: [plugin gone]" in said
    assert "off: switched off (ENABLED=no)" in said and "nonsense" in said


def test_nothing_that_rows_could_go_to(folder):
    folder("file")
    assert "no pusher is configured" in folder.check(code=78)
    folder.check(code=0, HEADGATE_PLUGINS_NONE="yes")
    folder.check(code=0, PLUGIN_FILE_PATH=str(folder() / "out"))


def test_probes_of_what_does_not_come_up(folder):
    chaos = {"PLUGIN_CHAOS_FILE": str(folder("chaos") / "got")}
    gate = folder() / "gate"
    gate.touch()
    assert "no answer to the probe" in folder.check("--probe", code=78, PLUGIN_CHAOS_GATE=str(gate), **chaos)
    for mode, words in (("startsegv", "crashed"), ("opensegv", "crashed"), ("openbad", ""), ("openodd", "77")):
        assert words in folder.check("--probe", code=78, PLUGIN_CHAOS_MODE=mode, **chaos)
        folder.check(code=0, PLUGIN_CHAOS_MODE=mode, **chaos)  # the settings are good
    gate.unlink()
    folder.check("--probe", code=0, PLUGIN_CHAOS_GATE=str(gate), **chaos)


def test_a_file_that_crashes_when_it_is_loaded(folder):
    folder("file", "loadcrash")
    assert "it crashes when it is loaded" in folder.check(code=78, PLUGIN_FILE_PATH=str(folder() / "out"))


def test_descriptions(folder):
    where = folder("stable", "whole", "manual")

    def told(name, *more, code=0):
        done = command("plugin", "describe", name, "--plugins", where, *more)
        assert done.returncode == code, done
        return done.stdout + done.stderr
    assert "the same rows come again as the same batch" in told("stable")
    assert "starts only with ENABLED=yes" in told("manual") and json.loads(told("manual", "--json"))["manual_start"]
    whole = json.loads(told("whole", "--json"))
    assert whole["whole_sets"] and whole["max_parallel"] == 1 and {o["name"] for o in whole["options"]} >= {"MODE", "FILE"}
    assert "at most 1" in told("whole") and "PLUGIN_WHOLE_MODE" in told("whole")
    assert "headgate plugin list" in told("nobody", code=65)
    empty = where / "empty"
    empty.mkdir()
    assert "no plugin in the plugin folders" in command("plugin", "list", "--plugins", empty).stderr


# contract: journal.dump
def test_a_dump_of_rows_with_tags_and_keys(tmp_path):
    with Gateway() as g:
        g.take({"uuid": 'q"1', "tags": {"site": "x", "robot": "r\n2"}, "row": {"index": 5, "data": {"n": 1.50}}},
               headers={"Idempotency-Key": "k-1"})
        g.take(row("plain"))
        g.wait_rows(2)
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0)
        assert g.term() == 0
        journal = sorted(g.data.rglob("*.seg"))[0].parent
        sets = [json.loads(x) for x in command("journal", "dump", journal).stdout.splitlines()]
        found = command("journal", "dump", journal, "--rows").stdout.splitlines()
    assert [(s["uuid"], s["rows"], s["tags"]) for s in sets] == [('q"1', 1, {"site": "x", "robot": "r\n2"}), ("plain", 1, {})]
    assert '"data":{"n": 1.5}' in found[0] and json.loads(found[0])["index"] == 5  # as it was sent
    assert [json.loads(line)["id"].rsplit("-", 1)[0] for line in found] == [s["id"] for s in sets]


def test_rows_from_a_pipe_need_room_for_a_copy(tmp_path):
    with Gateway() as g:
        done = command("send", "--to", g.address, stdin='{"a":1}\n', env={"TMPDIR": str(tmp_path / "nowhere")})
        assert done.returncode == 74 and "temporary file" in done.stderr
        done = command("send", "--to", g.address, stdin='{"a":1}\n', env={"TMPDIR": str(tmp_path)})
        assert done.returncode == 0 and not list(tmp_path.iterdir())
        for path, words in ((tmp_path, "s a directory"), (tmp_path / "none.ndjson", "No such file")):
            done = command("send", "--to", g.address, path)
            assert done.returncode not in (0, 64, 69) and words.lower() in done.stderr.lower(), done
