"""The plugins folder: what comes, changes, goes and is refused, while the daemon runs."""
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
