"""What the `file` pusher writes: contract section 5."""
import os
import signal

from gateway import Gateway, row, rows, wait_until


def at_path(path, **more):
    g = Gateway(start=False, **more)
    g.env["PLUGIN_FILE_PATH"] = f"{g.out}/{path}"
    return g.start()


# contract: file.path
def test_names_from_time_uuid_and_tags():
    with at_path("%Y/%m-%d/{uuid}-{plate}.ndjson") as g:
        g.take({**rows("a/b c", 2), "tags": {"plate": "x.y"}})
        found = g.wait_rows(2)
        day = found[0]["received"]
        assert (g.out / day[:4] / day[5:10] / "a%2Fb%20c-x%2Ey.ndjson").exists()


# contract: file.sync
def test_without_sync():
    with Gateway({"PLUGIN_FILE_SYNC": "no"}) as g:
        g.take(rows("u", 10))
        assert len(g.wait_rows(10)) == 10


# contract: file.torn
def test_a_torn_line_is_cut():
    with Gateway() as g:
        g.take(rows("a", 3))
        g.wait_rows(3)
        g.kill9(hosts=True)
        with open(g.out / "rows.ndjson", "ab") as f:
            f.write(b'{"id":"half')
        g.start()
        g.take(rows("b", 2))
        found = g.wait_rows(5)
        assert [r["uuid"] for r in found] == ["a"] * 3 + ["b"] * 2


# contract: file.replay
def test_a_replay_is_written_again_unless_it_is_in_the_tail():
    with Gateway() as g:
        taken = g.take(rows("a", 3))
        g.wait_rows(3)
        done = g.cli("replay", "--pusher", "file", "--batch", taken["id"])
        assert done.returncode == 0
        found = g.file_rows()
        assert len(found) in (3, 6) and {r["uuid"] for r in found} == {"a"}
        os.unlink(g.out / "rows.ndjson")
        g.signal(signal.SIGUSR1)
        assert g.cli("replay", "--pusher", "file", "--batch", taken["id"]).returncode == 0
        wait_until(lambda: (g.out / "rows.ndjson").exists() and len(g.file_rows()) >= 3)


# contract: file.rotate
def test_rotation():
    with Gateway({"PLUGIN_FILE_ROTATE_SIZE": "4KiB"}) as g:
        for n in range(100):
            g.take(rows(f"u{n}", 2))
            if n % 25 == 24:
                g.wait_rows(2 * (n + 1))
        found = g.wait_rows(200)
        assert len({r["id"] for r in found}) == len(found) == 200
        assert len(list(g.out.iterdir())) > 2
        g.kill9(hosts=True)
        g.start()
        g.take(row("last"))
        found = g.wait_rows(201)
        assert len({r["id"] for r in found}) == len(found) == 201


def test_the_disk_refuses():
    """A folder that cannot be written is an outage, never a dead letter."""
    with Gateway({"PLUGIN_FILE_RETRY_MIN": "20ms", "PLUGIN_FILE_RETRY_MAX": "100ms"}) as g:
        g.take(row("a"))
        g.wait_rows(1)
        os.rename(g.out, g.work / "away")
        (g.work / "out").write_text("a file where the folder was")
        g.signal(signal.SIGUSR1)
        g.take(row("b"))
        g.wait_state("file", "retrying")
        assert not g.dead()
        os.unlink(g.work / "out")
        os.rename(g.work / "away", g.out)
        wait_until(lambda: "b" in {r["uuid"] for r in g.file_rows()})


# contract: plugin.manual
def test_stdout():
    with Gateway({"PLUGIN_STDOUT_ENABLED": "yes"}) as g:
        g.take(row("seen-on-stdout"))
        wait_until(lambda: any("seen-on-stdout" in x for x in list(g.lines)))
