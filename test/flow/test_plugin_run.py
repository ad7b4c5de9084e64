"""`headgate plugin new` and `plugin run`: an author's path without a daemon, on an installed SDK."""
import re
import subprocess

import pytest
from gateway import BUILD, Gateway, command, row, wait_until

BUG = str(BUILD / "fixture/bug.so")
SANITIZED = BUILD.name in ("asan", "tsan")


def run(bug, text, *flags, path, **more):
    return command("plugin", "run", BUG, "--set", f"PATH={path}/rows", "--set", f"BUG={bug}", *flags, stdin=text, **more)


# contract: plugin.new
@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's build")
def test_new_builds_passes_and_runs(sdk, tmp_path):
    env, prefix = sdk
    headgate = str(prefix / "bin/headgate")
    done = subprocess.run([headgate, "plugin", "new", "my-sink"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done
    mine = tmp_path / "my-sink"
    assert {p.name for p in mine.iterdir()} == {"my-sink.c", "test_my-sink.c", "Makefile", "README.md", "check.ini"}
    assert not any("@" in p.read_text().replace("@FILE", "") for p in mine.iterdir())
    made = subprocess.run(["make", "-s", "test", "check"], cwd=mine, env=env, capture_output=True, text=True)
    assert made.returncode == 0 and made.stderr == "", made.stdout + made.stderr
    assert "FAIL" not in made.stdout and "0 failed, 0 not exercised" in made.stdout and "conforms to ABI" in made.stdout
    with Gateway({"PLUGIN_MY_SINK_PATH": str(tmp_path / "out")}, plugins=[str(mine / "my-sink.so")]) as g:
        g.take(row("u", {"name": "Ada"}))
        wait_until(lambda: (tmp_path / "out").exists() and "Ada" in (tmp_path / "out").read_text())
    again = subprocess.run([headgate, "plugin", "new", "my-sink"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert again.returncode == 74 and "exists" in again.stderr
    for name in ("My", "a_b", "-a", "a-", "../x"):
        assert command("plugin", "new", "--", name, cwd=tmp_path).returncode == 64


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's build")
def test_a_new_processor_builds_passes_and_runs(sdk, tmp_path):
    env, prefix = sdk
    words = [str(prefix / "bin/headgate"), "plugin", "new", "my-mask", "--kind"]
    assert subprocess.run([*words, "sink"], cwd=tmp_path, env=env, capture_output=True).returncode == 64
    assert subprocess.run([*words, "processor"], cwd=tmp_path, env=env, capture_output=True).returncode == 0
    mine = tmp_path / "my-mask"
    made = subprocess.run(["make", "-s", "test", "check"], cwd=mine, env=env, capture_output=True, text=True)
    assert made.returncode == 0 and made.stderr == "", made.stdout + made.stderr
    assert "FAIL" not in made.stdout and "0 failed, 0 not exercised" in made.stdout and "conforms to ABI" in made.stdout
    with Gateway({"PLUGIN_FILE_PROCESS": "my-mask", "PLUGIN_MY_MASK_FIELD": "name"}, plugins=[str(mine / "my-mask.so")]) as g:
        g.take(row("u", {"name": "Ada", "n": 1}))
        assert g.wait_rows(1)[0]["data"] == {"name": "***", "n": 1}


def test_what_a_processor_makes_of_rows_is_shown():
    fields = str(BUILD / "plugins/fields.so")
    text = '{"name": "Ada", "n": 1.50}\n{"n": "x"}\n'
    done = command("plugin", "run", fields, "--set", "MASK=name", "--set", "CAST=n=number", stdin=text)
    lines = done.stdout.splitlines()
    assert '"data":{"name":"***","n":1.50}' in lines[0] and lines[1].startswith("OK ") and len(lines) == 3
    assert lines[2].startswith("REJECT ") and "fields: the field n is no number" in lines[2]
    assert done.returncode == 65 and "1 OK, 0 duplicate, 0 skipped, 1 refused" in done.stderr
    bad = command("plugin", "run", fields, "--set", "CAST=n=what", stdin=text)
    assert bad.returncode == 78 and "CAST: 'what' is not one of" in bad.stderr


# contract: plugin.run
def test_verdicts_on_the_terminal(tmp_path):
    done = run("none", '{"name": "Ada"}\n{"name": 7}\n{"uuid": 1}\n', path=tmp_path)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["OK", "REJECT", "OK"] and "its name is no text" in lines[1]
    assert done.returncode == 65 and "3 rows: 2 OK, 0 duplicate, 0 skipped, 1 refused" in done.stderr
    assert (tmp_path / "rows").read_text().count("\n") == 2
    done = run("none", '{"uuid": "a", "rows": [{"data": {"n": 1}}, {"data": {"n": 2}}]}\n', path=tmp_path)
    assert done.returncode == 0 and done.stdout.count("OK") == 2


def test_rows_from_a_file_and_batches(tmp_path):
    (tmp_path / "rows.csv").write_text("name,age\nAda,36\nBob,7\n")
    done = command("plugin", "run", BUG, str(tmp_path / "rows.csv"), "--set", f"PATH={tmp_path}/out", "--batch", "1")
    assert done.returncode == 0 and "2 pushes" in done.stderr and '"Bob"' in (tmp_path / "out").read_text()


def test_options_of_the_environment(tmp_path):
    env = {"PLUGIN_BUG_PATH": str(tmp_path / "out"), "PLUGIN_BUG_PASSWORD_FILE": str(tmp_path / "secret"),
           "PLUGIN_BUG_BUG": "logs"}
    (tmp_path / "secret").write_text("from a file\n")
    done = command("plugin", "run", BUG, stdin="{}\n", env=env)
    assert done.returncode == 0 and "info  from a file\n" in done.stderr


def test_what_goes_wrong_is_told(tmp_path):
    assert "signal 11" in run("opensegv", "{}\n", path=tmp_path).stderr
    assert "77, which is no result" in run("openodd", "{}\n", path=tmp_path).stderr
    done = run("closecrash", "{}\n", path=tmp_path)
    assert done.returncode == 65 and "in close() or stop()" in done.stderr
    done = run("badcrash", '{"name": 7}\n', path=tmp_path)
    assert done.returncode == 65 and "in push(): signal 11" in done.stderr
    done = command("plugin", "run", BUG, stdin="{}\n")
    assert done.returncode == 78 and "PATH" in done.stderr
    done = run("none", '{"a": 1}\n{"a": }\n', path=tmp_path)
    assert done.returncode == 65 and "line 2" in done.stderr
    assert run("none", "{}\n", "--fault", "retry:2", path=tmp_path).returncode == 64
    assert run("none", "{}\n", "--set", "PAHT=1", path=tmp_path).returncode == 78
    (tmp_path / "gate").touch()
    done = run("none", "{}\n", "--set", f"GATE={tmp_path}/gate", path=tmp_path)
    assert done.returncode == 69 and "the far end is down" in done.stdout and "1 given up" in done.stderr


# contract: plugin.run.fault
def test_faults_make_repeats(tmp_path):
    text = "".join(f'{{"n": {n}}}\n' for n in range(200))
    done = run("none", text, "--fault", "retry:0.3", path=tmp_path)
    assert done.returncode == 0 and "200 rows: 200 OK" in done.stderr
    ids = [line.split()[0] for line in (tmp_path / "rows").read_text().splitlines()]
    assert len(set(ids)) == 200 < len(ids)
    done = run("none", text, "--fault", "kill:0.5", "--batch", "20", path=tmp_path)
    assert done.returncode == 0 and "killed in the middle" in done.stdout and "200 rows: 200 OK" in done.stderr


# contract: plugin.run.valgrind
@pytest.mark.skipif(SANITIZED, reason="not here: valgrind cannot run a sanitizer's build")
def test_under_valgrind(tmp_path):
    assert run("none", "{}\n", "--valgrind", path=tmp_path).returncode == 0
    done = run("reads", "{}\n", "--valgrind", path=tmp_path)
    assert done.returncode == 65 and "Invalid read of size 1" in done.stderr, done


def under_gdb(folder, text, *words, bug="none"):
    """What was shown while somebody typed these words at gdb's prompt."""
    (folder / "rows.ndjson").write_text(text)
    done = subprocess.run([str(BUILD / "headgate"), "plugin", "run", BUG, str(folder / "rows.ndjson"), "--gdb", "--set",
                           f"BUG={bug}", "--set", f"PATH={folder}/out"], input="".join(f"{word}\n" for word in words),
                          text=True, capture_output=True, timeout=120)
    return done.returncode, done.stdout


# contract: plugin.run.gdb
@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's build")
def test_a_breakpoint_in_push(tmp_path):
    """It can be set before the plugin is loaded, and holds push(); afterwards the row is delivered."""
    words = ("set width 0", "break bug_push", "run", "bt", f"shell test ! -s {tmp_path}/out && echo nothing is there yet",
             "continue", "quit")
    code, shown = under_gdb(tmp_path, '{"name": "Ada"}\n', *words)
    assert re.search(r"hit Breakpoint 1, bug_push \(state=0x\w+, rows=0x\w+\)", shown), shown
    assert re.search(r"#0 +bug_push .*\n#1 ", shown) and "nothing is there yet" in shown, shown
    assert code == 0 and re.search(r"\bOK .*Ada", shown) and "exited normally" in shown, shown
    assert (tmp_path / "out").read_text().count("\n") == 1


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's build")
def test_gdb_shows_where_it_crashed(tmp_path):
    _, shown = under_gdb(tmp_path, '{"name": 7}\n', "run", "bt", "quit", bug="badcrash")
    assert "SIGSEGV" in shown and re.search(r"#\d+ .*bug_push", shown), shown
    done = command("plugin", "run", BUG, "--gdb", stdin="{}\n")
    assert done.returncode == 64 and "give the rows as a file" in done.stderr
