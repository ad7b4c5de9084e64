"""The plugins folder: what comes, changes, goes and is refused, while the daemon runs."""
import json
import os
import shutil

from gateway import BUILD, Gateway, row, rows, wait_until


# contract: plugins.dir plugins.watch plugins.closed
def test_a_plugin_that_is_dropped_in():
    with Gateway(later=["chaos"]) as g:
        g.take(rows("before", 3))
        g.wait_rows(3)
        assert "chaos" not in g.pushers()
        g.add_plugin("chaos")
        g.wait_state("chaos", "running")
        g.take(rows("after", 2))
        wait_until(lambda: g.pusher("chaos")["delivered"] in (2, 5))  # the data folder is new: from its start
    with Gateway({"HEADGATE_PLUGINS_WATCH": "no"}, later=["chaos"]) as g:
        g.add_plugin("chaos")
        g.take(row("u"))
        g.wait_rows(1)
        assert "chaos" not in g.pushers()


def test_a_file_that_is_still_being_written():
    with Gateway(later=["chaos"]) as g:
        whole = (BUILD / "fixture/chaos.so").read_bytes()
        target = g.own_plugins / "chaos.so"
        with open(target, "wb") as f:
            os.fchmod(f.fileno(), 0o755)
            f.write(whole[:5000])
            f.flush()
            g.take(row("u"))
            g.wait_rows(1)
            assert g.pusher("chaos").get("state") is None and "chaos.so" not in g.pushers()
            f.write(whole[5000:])
        g.wait_state("chaos", "running")


# contract: plugins.refused
def test_what_is_refused():
    names = ["badabi", "nosymbol", "unresolved"]
    with Gateway(plugins=names) as g:
        (g.own_plugins / "text.so").write_text("not a library")
        shutil.copy(BUILD / "fixture/chaos.so", g.own_plugins / "one.so")
        shutil.copy(BUILD / "fixture/chaos.so", g.own_plugins / "two.so")
        wanted = {f"{n}.so" for n in names} | {"text.so"}
        refused = wait_until(lambda: wanted <= set(r := {n: p for n, p in g.pushers().items() if p["state"] == "refused"})
                             and set(r) & {"one.so", "two.so"} and r)
        assert all(p["error"] for p in refused.values())
        g.take(row("u"))
        assert len(g.wait_rows(1)) == 1


def test_a_copy_does_not_take_the_name_of_what_runs():
    with Gateway(plugins=["chaos"]) as g:
        running = g.host("chaos")
        g.add_plugin("chaos", "a-copy.so")  # before it in the alphabet
        copy = g.wait_state("a-copy.so", "refused")
        assert "chaos.so" in copy["error"] and g.pusher("chaos")["pid"] == running
        g.restart()  # nothing runs: the one that is called so
        assert g.pusher("a-copy.so")["state"] == "refused" and g.pusher("chaos")["state"] in ("starting", "running")
        running = g.host("chaos")
        (g.own_plugins / "chaos.so").unlink()
        wait_until(lambda: "a-copy.so" not in g.pushers() and g.pusher("chaos").get("pid") not in (0, running))
        running = g.host("chaos")
        g.add_plugin("chaos")  # now the copy holds it
        assert "a-copy.so" in g.wait_state("chaos.so", "refused")["error"] and g.pusher("chaos")["pid"] == running


# contract: plugins.owner
def test_a_file_that_others_may_write():
    with Gateway(later=["chaos"]) as g:
        path = g.add_plugin("chaos")
        os.chmod(path, 0o777)
        wait_until(lambda: g.pusher("chaos.so").get("state") == "refused" or g.pusher("chaos").get("state") == "running")
        g.restart()
        assert g.pusher("chaos.so")["state"] == "refused" and "writ" in g.pusher("chaos.so")["error"]


# contract: plugins.replaced
def test_a_replaced_file_restarts_its_host():
    with Gateway(plugins=["chaos"]) as g:
        before, other = g.host("chaos"), g.host("file")
        g.add_plugin("chaos")
        wait_until(lambda: g.pusher("chaos").get("pid") not in (0, before))
        g.take(row("u"))
        wait_until(lambda: g.pusher("chaos")["delivered"] == 1)
        assert g.host("file") == other


# contract: plugin.list
def test_the_list_shows_the_folders_and_what_runs():
    with Gateway({"PLUGIN_SECOND_USE": "chaos", "PLUGIN_SECOND_FILE": "/dev/null"}, plugins=["chaos", "badabi"]) as g:
        def told(*more, code=0):
            done = g.cli("plugin", "list", "--plugins", ":".join(map(str, g.plugins)), *more)
            assert done.returncode == code, done
            return done
        g.admin("POST", "/v1/pushers/second/pause")
        g.wait_state("file", "running")
        g.wait_state("chaos", "running")
        here = ["--admin", g.admin_address]
        lines = told(*here).stdout.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("chaos "))
        assert sorted(lines[at + 1:at + 3]) == ["    chaos: running", "    second: paused"]
        assert "    file: running" in lines and "    http: unconfigured" in lines
        assert sum("badabi.so" in line for line in lines) == 1 and "not in these folders" not in "".join(lines)
        found = json.loads(told("--json", *here).stdout)
        states = {p["name"]: (p["plugin"], p["state"]) for p in found["pushers"]}
        assert states["second"] == ("chaos", "paused") and {"file", "chaos"} <= {p.get("name") for p in found["plugins"]}

        (g.own_plugins / "chaos.so").unlink()  # its rows are held, but it is in no folder
        g.wait_state("chaos", "orphaned")
        text = told(*here).stdout
        assert "of the daemon, not in these folders\n" in text and "    chaos: orphaned\n" in text
        nobody = ["--admin", "unix:" + str(g.work / "nobody")]
        done = told(*nobody, code=69)
        assert "no daemon answers" in done.stderr and "\nhttp " in done.stdout and "unconfigured" not in done.stdout
        assert json.loads(told("--json", *nobody, code=69).stdout)["pushers"] is None
        config = g.work / "other.ini"
        config.write_text(f"[admin]\nlisten = {g.admin_address}\n")
        assert "    file: running" in told("--config", config).stdout  # the settings say where the daemon is
        config.write_text(f"[admin]\nlisten = {nobody[1]}\n")
        assert "no daemon answers" in told("--config", config).stderr  # without --admin that is no fault


# contract: plugins.orphaned
def test_one_that_goes_and_comes_back():
    with Gateway(plugins=["chaos"]) as g:
        g.take(rows("a", 3))
        wait_until(lambda: g.pusher("chaos")["delivered"] == 3)
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        g.take(rows("b", 4))
        g.wait_rows(7)
        assert g.pusher("chaos")["lag"]["rows"] == 4
        g.add_plugin("chaos")
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        assert g.pusher("chaos")["delivered"] in (4, 7)
