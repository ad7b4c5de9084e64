"""The `archive` pusher in a whole daemon: each row set once as a file, whatever is killed."""
import json
import os
import random
import signal

from gateway import ROOT, Gateway, ask, wait_until


def lines(name):
    return [line for line in (ROOT / "examples/data" / name).read_bytes().splitlines() if line.strip()]


def sets(data, seed):
    """The rows cut into row sets of 1 to 40, each with a uuid and tags of its own."""
    draw, at, found = random.Random(seed), 0, []
    while at < len(data):
        step = draw.randint(1, 40)
        found.append((f"set/{len(found)}", data[at:at + step]))
        at += step
    return found


def body(uuid, data):
    rows = b",".join(b'{"index":%d,"data":%s}' % (n, line) for n, line in enumerate(data))
    return b'{"uuid":"%s","tags":{"part":"a b","kind":"x"},"rows":[%s]}' % (uuid.encode(), rows)


def documents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*.json")}


def test_each_row_set_once():
    posted = sets(lines("movies.ndjson"), 7)
    with Gateway({"PLUGIN_ARCHIVE_BATCH_ROWS": "100", "PLUGIN_ARCHIVE_RETRY_MAX": "300ms"}, start=False) as g:
        folder = g.work / "archive"
        g.env["PLUGIN_ARCHIVE_PATH"] = f"{folder}/%Y/{{uuid}}"
        g.start()
        taken = {}
        for n, (uuid, data) in enumerate(posted):
            answer = ask(g.address, "POST", "/v1/rows", body(uuid, data), {"Content-Type": "application/json"})
            assert answer.status == 202
            taken[answer.json()["id"]] = (uuid, data)
            if n % 20 == 9:
                os.kill(g.host("archive"), signal.SIGKILL)
            if n % 60 == 59:
                g.kill9(hosts=True)
                g.start()
        wait_until(lambda: g.pusher("archive")["lag"]["rows"] == 0, 60)
        found = documents(folder)
        assert len(found) == len(posted) and not list(folder.rglob("*.part"))
        for path, text in found.items():
            document = json.loads(text)
            uuid, data = taken.pop(document["id"])
            assert document["uuid"] == uuid and document["tags"] == {"kind": "x", "part": "a b"}
            assert [r["index"] for r in document["rows"]] == list(range(len(data)))
            assert all(line in text for line in data)  # byte for byte
            assert [r["data"] for r in document["rows"]] == [json.loads(line) for line in data]
            assert path.with_suffix(".tags").read_text() == "kind = x\npart = a b\n"
        assert not taken and not g.dead()


def test_a_document_can_be_posted_again():
    with Gateway(start=False) as g:
        folder = g.work / "archive"
        g.env["PLUGIN_ARCHIVE_PATH"] = f"{folder}/"
        g.start()
        first = g.take({"uuid": "u", "tags": {"a": "1"}, "rows": [{"index": 2, "data": {"x": 1}}, {"data": {"y": 2}}]})
        (path,) = wait_until(lambda: list(folder.glob("*.json")))
        again = ask(g.address, "POST", "/v1/rows", path.read_bytes(), {"Content-Type": "application/json"}).json()
        assert again["rows"] == 2 and again["id"] != first["id"] and again["ignored"] == ["/id", "/received"]
        wait_until(lambda: len(list(folder.glob("*.json"))) == 2)


def test_a_disk_that_does_not_take_it_is_not_the_rows_fault():
    with Gateway({"PLUGIN_ARCHIVE_RETRY_MAX": "300ms"}, start=False) as g:
        folder = g.work / "archive"
        folder.mkdir()
        (folder / "plate").write_text("a file where a folder should be")
        g.env["PLUGIN_ARCHIVE_PATH"] = f"{folder}/{{uuid}}/set"
        g.start()
        g.take({"uuid": "plate", "row": {"data": {}}})
        g.wait_state("archive", "retrying")
        assert "cannot be made" in g.pusher("archive")["error"]
        (folder / "plate").unlink()
        wait_until(lambda: list(folder.glob("plate/set-*.json")))
        assert not g.dead()
