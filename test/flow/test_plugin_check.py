"""`headgate plugin check`: a good pusher passes every item, each seeded bug is found, nothing of the surroundings is read."""
import json

import pytest
from gateway import BUILD, ROOT, command

# The seeded bugs of test/fixture/plugins/bug.c, and an item that must find each.
BUGS = {
    "openodd": "open", "opensegv": "open", "opensilent": "open-down", "openbroken": "open-down", "openhang": "open-down",
    "divides": "options", "copies": "options", "closecrash": "open", "closehang": "open", "badcrash": "bad",
    "badbatch": "bad", "badok": "bad", "noreason": "bad", "odd": "verdicts", "forgets": "verdicts", "wild": "verdicts",
    "lies": "good", "exits": "good", "never": "good", "scribbles": "good", "doubles": "repeat", "locks": "kill",
    "large": "hostile", "poison": "hostile", "typed": "hostile", "format": "hostile", "downreject": "down",
    "downok": "down", "downhang": "down", "downretry": "down", "downsilent": "down", "noback": "down", "deaf": "stop",
    "shared": "parallel", "fixed": "instances", "reopencrash": "reopen", "probelies": "probe", "probesilent": "probe",
    "spins": "idle", "flushcrash": "idle", "leaks": "memory", "handles": "memory", "threads": "memory",
    "undeclared": "confined", "reads": "valgrind", "loses": "valgrind", "logs": "secrets", "tells": "secrets",
    "order": "order",
}
FILES = {"badabi": "load", "nosymbol": "load", "unresolved": "load", "loadcrash": "load", "bugoffset": "load",
         "bugplain": "secrets", "bugexports": "symbols"}
SLOW = {"idle", "memory", "valgrind"}
QUICK = ["load", "symbols", "options", "open", "good", "bad", "repeat", "kill", "hostile", "open-down", "down", "stop",
         "parallel", "instances", "reopen", "probe", "confined", "secrets", "order", "verdicts"]
PROCESSORS = ["fields", "jq"]
FAR = {"open-down", "down", "reopen", "probe"}
INI = """
[options]
path = out.rows
gate = gate
password = hunter2-hunter2
side = ../beside
bug = {bug}
[second]
path = second.rows
[rows]
good = {{"name": "Ada", "age": 36}}
bad = {{"name": 7}}
[far]
up = rm -f gate
down = touch gate
count = cut -d' ' -f1 out.rows | sort -u | wc -l
[check]
timeout = 1s
"""


def check(folder, bug="none", plugin="bug", *flags, env=None):
    (folder / "check.ini").write_text(INI.format(bug=bug))
    (folder / "out.rows").touch()
    done = command("plugin", "check", str(BUILD / f"fixture/{plugin}.so"), "--ini", str(folder / "check.ini"), "--json",
                   *flags, env=env, timeout=300)
    assert done.returncode in (0, 65), done
    return {i["item"]: i for i in json.loads(done.stdout)["items"]}


def confines(items):
    return items["confined"]["state"] != "not exercised"


# contract: plugin.check
def test_a_good_pusher_passes_everything(tmp_path):
    items = check(tmp_path)
    allowed = {"passed"}
    if BUILD.name in ("asan", "tsan"):  # valgrind cannot run them; what is freed stays a while in a quarantine
        allowed.add("not exercised")
        items["memory"]["state"] = items["valgrind"]["state"] = "not exercised"
    assert {k: v for k, v in items.items() if v["state"] not in allowed} == {}
    assert len(items) == 23


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(bug, tmp_path):
    item = BUGS[bug]
    if item == "valgrind" and BUILD.name in ("asan", "tsan"):
        pytest.skip("not here: valgrind cannot run a sanitizer's host")
    if item in ("confined", "valgrind") and check(tmp_path, "none", "bug", "--only", item)[item]["state"] != "passed":
        return  # this kernel cannot, or this host is a sanitizer's
    only = [item] if item in SLOW else QUICK
    found = check(tmp_path, bug, "bug", *(word for i in only for word in ("--only", i)))
    assert found[item]["state"] == "failed", found
    assert found[item]["text"] and found[item]["mend"]


@pytest.mark.parametrize("plugin", FILES)
def test_a_file_with_a_bug_is_found(plugin, tmp_path):
    item = FILES[plugin]
    found = check(tmp_path, "none", plugin, "--only", "load", "--only", item)
    assert found[item]["state"] == "failed" and found[item]["text"]


def test_what_is_not_known_is_not_exercised(tmp_path):
    done = command("plugin", "check", str(BUILD / "fixture/bug.so"), "--set", f"PATH={tmp_path}/rows", "--only", "good",
                   "--only", "down", "--only", "open")
    assert done.returncode == 0 and "1 passed, 0 failed, 2 not exercised" in done.stdout, done
    assert "conforms" not in done.stdout


# contract: plugin.check.live
def test_the_surroundings_are_read_only_live(tmp_path):
    env = {"PLUGIN_BUG_BUG": "opensegv"}
    assert check(tmp_path, "none", "bug", "--only", "open", env=env)["open"]["state"] == "passed"
    assert check(tmp_path, "none", "bug", "--only", "open", "--live", env=env)["open"]["state"] == "failed"


def test_faults_of_the_ini_are_told(tmp_path):
    (tmp_path / "check.ini").write_text("[options]\npaht = x\n")
    done = command("plugin", "check", str(BUILD / "fixture/bug.so"), "--ini", str(tmp_path / "check.ini"))
    assert done.returncode == 78 and "PATH" in done.stderr
    (tmp_path / "check.ini").write_text("[far]\nside = x\n")
    assert "line 2" in command("plugin", "check", str(BUILD / "fixture/bug.so"), "--ini", str(tmp_path / "check.ini")).stderr
    assert command("plugin", "check", str(BUILD / "fixture/bug.so"), "--only", "nothing").returncode == 64
    assert command("plugin", "check", str(tmp_path / "none.so")).returncode == 74


@pytest.mark.parametrize("name", PROCESSORS)
def test_bundled_processors(name):
    """By their own check.ini; they have no far end, so nothing is asked about one."""
    only = [word for item in QUICK for word in ("--only", item) if item not in FAR]
    done = command("plugin", "check", str(BUILD / f"plugins/{name}.so"), "--ini", str(ROOT / f"plugins/{name}/check.ini"),
                   "--json", *only, timeout=300)
    items = {item["item"]: item for item in json.loads(done.stdout)["items"]}
    assert set(items) == set(QUICK) - FAR
    assert {item["state"] for item in items.values()} <= {"passed", "not exercised"}, items
    if name == "fields":
        assert items["secrets"]["state"] == "passed" and items["bad"]["state"] == "passed"


@pytest.mark.parametrize("mode, state, words", [
    ("plain", "passed", ""), ("bad", "not exercised", "refused"), ("crash", "failed", "in pull()"),
    ("nonsense", "failed", "no result"), ("empty", "not exercised", "emitted no rows")])
def test_a_puller(mode, state, words, tmp_path):
    upto = 0 if mode == "empty" else 5
    (tmp_path / "check.ini").write_text(f"[options]\nfile = told\nmode = {mode}\nupto = {upto}\n[check]\ntimeout = 1s\n")
    done = command("plugin", "check", str(BUILD / "fixture/pull.so"), "--ini", str(tmp_path / "check.ini"), "--json",
                   "--only", "pull", "--only", "stop", timeout=300)
    items = {i["item"]: i for i in json.loads(done.stdout)["items"]}
    assert items["pull"]["state"] == state and words in items["pull"]["text"], items
