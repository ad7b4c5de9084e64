"""A data directory of every format that was ever released is read by this build; a newer one is refused untouched.
The fixtures are written once for each format (test/fixture/journals/make.py) and kept for ever."""
import json
import struct
import tarfile

import pytest
from gateway import ROOT, Gateway, command, row, wait_until

FIXTURES = ROOT / "test/fixture/journals"
NAMES = sorted(p.name.removesuffix(".tar.xz") for p in FIXTURES.glob("*.tar.xz"))
SEGMENT_HEADER, SLOT, SLOT_HEAD = 4096, 98304, 32


def unpack(name, to):
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as tar:
        tar.extractall(to)
    for path in to.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o640)
    return json.loads((FIXTURES / f"{name}.json").read_text())


def gateway(data, **more):
    return Gateway({"HEADGATE_JOURNAL_SEGMENT": "64KiB", "HEADGATE_HTTP_MAX_BODY": "16KiB", "HEADGATE_JOURNAL_KEEP":
                    "876000h", "PLUGIN_CHAOS_MODE": "good", "PLUGIN_SECOND_USE": "chaos",
                    "PLUGIN_SECOND_FILE": "/dev/null"}, plugins=["chaos"], data=data, **more)


@pytest.mark.parametrize("name", NAMES)
def test_a_former_format_is_read(tmp_path, name):
    wanted = unpack(name, tmp_path)
    assert command("journal", "verify", tmp_path).returncode == 0
    dumped = command("journal", "dump", "--rows", tmp_path).stdout.splitlines()
    assert [line for line in dumped if "x" * 3000 not in line] == wanted["rows"]
    with gateway(tmp_path) as g:
        assert not g.metrics()["headgate_journal_damages"]
        for batch in wanted["ids"]:
            assert g.receipt(batch).status == 200, batch
        again = g.post(row("keyed", {"k": 1}), headers={"Idempotency-Key": "once"})
        assert again["id"] == wanted["keyed"] and again.headers["idempotency-replayed"] == "true"
        assert [d["id"] for d in g.dead("?pusher=chaos")] == [wanted["dead"]]
        wait_until(lambda: g.pusher("second")["parked"] == 0, what="the parked row, which is taken now")
        assert g.pusher("file")["state"] == "paused"
        g.admin("POST", "/v1/pushers/file/resume")
        found = g.wait_rows(len(wanted["waiting"]))
        assert [r["uuid"] for r in found] == wanted["waiting"]
        assert g.take(row("new"))["id"] not in wanted["ids"]
        g.wait_rows(len(wanted["waiting"]) + 1)


# --- a newer one


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def patched(block, at, number, crc_at):
    block = bytearray(block)
    struct.pack_into("<I", block, at, number)
    struct.pack_into("<I", block, crc_at, crc32c(block[:crc_at]))
    return bytes(block)


def tree(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_newer_journal_is_refused_untouched(tmp_path):
    unpack(NAMES[-1], tmp_path)
    newest = max(p for p in tmp_path.rglob("*.seg") if p.read_bytes()[:4] == b"HGS1")  # others are only prepared
    data = newest.read_bytes()
    version, = struct.unpack_from("<I", data, 4)
    newest.write_bytes(patched(data[:SEGMENT_HEADER], 4, version + 1, SEGMENT_HEADER - 4) + data[SEGMENT_HEADER:])
    before = tree(tmp_path)
    with gateway(tmp_path, start=False, clean=False) as g:
        g.start(wait=False)
        assert g.ended() == 78
        assert any(f"version {version + 1}" in line for line in g.lines), g.lines
    assert tree(tmp_path) == before
    assert command("journal", "verify", tmp_path).returncode != 0
    assert tree(tmp_path) == before


def test_a_newer_cursor_is_refused_untouched(tmp_path):
    unpack(NAMES[-1], tmp_path)
    cursor = tmp_path / "pushers/file/cursor"
    data = cursor.read_bytes()
    slots = [data[n * SLOT:(n + 1) * SLOT] for n in range(2)]
    version = max(struct.unpack_from("<I", s, 4)[0] for s in slots)
    cursor.write_bytes(b"".join(patched(s[:SLOT_HEAD], 4, version + 1, SLOT_HEAD - 4) + s[SLOT_HEAD:] for s in slots))
    before = cursor.read_bytes()
    with gateway(tmp_path) as g:
        said = wait_until(lambda: [line for line in g.lines if f"version {version + 1}" in line])
        assert "newer" in said[0]
        g.take(row("another"))
        g.wait_state("file", "broken")
        g.wait_state("chaos", "running")
        assert not g.file_rows()
    assert cursor.read_bytes() == before
