"""The plugin ABI: what moves is noticed, what was built against a released header runs, what cannot be loaded is named."""
import re
import sys

import pytest
from gateway import BUILD, ROOT, Gateway, command, rows, wait_until, whole_lines

sys.path.insert(0, str(ROOT / "test/lint"))
import check_abi  # noqa: E402

HEADER = check_abi.HEADER.read_text()
RELEASED = sorted(p.stem.removeprefix("headgate-") for p in check_abi.RELEASED.glob("headgate-*.h"))

MOVES = {
    "a member before others": ("    uint32_t kind;   ", "    uint32_t more;\n    uint32_t kind;   "),
    "two members change places": ("    uint32_t type;        /* enum hg_type */\n    uint32_t flags;",
                                  "    uint32_t flags;        /* enum hg_type */\n    uint32_t type;"),
    "another type": ("    size_t config_size;", "    uint32_t config_size;"),
    "a function in the middle": ("    int64_t (*received)", "    int (*more)(void);\n    int64_t (*received)"),
    "a constant": ("    HG_SKIP,  ", "    HG_MORE, HG_SKIP,"),
    "a member is gone": ("    int (*flush)(void *state);", ""),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_moves_is_noticed(move):
    before, after = MOVES[move]
    assert HEADER.count(before) == 1
    now = check_abi.abi_of(HEADER.replace(before, after))
    assert check_abi.differences(check_abi.GOLDEN.read_text().splitlines(), now)
    assert check_abi.moved(check_abi.abi_of(HEADER), now)


def test_what_grows_at_the_end_is_no_move():
    grown = HEADER.replace("    int (*emit)", "    int (*emit)(void);\n    int (*more)", 1)
    now = check_abi.abi_of(grown.replace("#define HG_ABI_MINOR 1", "#define HG_ABI_MINOR 2"))
    assert "HG_ABI_MINOR 2" in now and not check_abi.moved(check_abi.abi_of(HEADER), now)
    assert check_abi.differences(check_abi.GOLDEN.read_text().splitlines(), now)


def test_every_released_header_has_its_fixture():
    """And says itself which one it is. The header of now is not below any of them."""
    assert "1.0" in RELEASED
    numbers = [tuple(map(int, v.split("."))) for v in RELEASED]
    for version, (major, minor) in zip(RELEASED, numbers, strict=True):
        text = (check_abi.RELEASED / f"headgate-{version}.h").read_text()
        assert f"#define HG_ABI_MAJOR {major}\n" in text and f"#define HG_ABI_MINOR {minor}\n" in text
        assert (BUILD / f"fixture/released-{version}.so").exists()
    now = tuple(int(re.search(rf"#define HG_ABI_{part} (\d+)", HEADER)[1]) for part in ("MAJOR", "MINOR"))
    assert now >= max(numbers)
    assert f"| {now[0]}.{now[1]} |" in (ROOT / "docs/abi.md").read_text(), "the change log has the ABI of now"


@pytest.mark.parametrize("version", RELEASED)
def test_built_against_a_released_header(version):
    with Gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad"}, later=["chaos"], start=False) as g:
        g.add_plugin(f"released-{version}")
        g.start()
        g.take(rows("u", 4))
        g.take(rows("v", 1, bad=True))
        wait_until(lambda: g.dead())
        wait_until(lambda: len(whole_lines(g.got_path())) == 4)


def refusal(folder):
    listed = command("plugin", "list", "--plugins", str(folder), "--config", "/dev/null")
    assert "refused" in listed.stdout, listed
    return listed.stdout


def test_a_missing_glibc_version_is_named(tmp_path):
    code = (BUILD / "fixture/chaos.so").read_bytes()
    at = code.index(b"\0GLIBC_2.") + 1
    version = code[at:code.index(b"\0", at)]
    (tmp_path / "chaos.so").write_bytes(code.replace(version + b"\0", version.replace(b"_2.", b"_9.") + b"\0"))
    said = refusal(tmp_path)
    assert version.replace(b"_2.", b"_9.").decode() in said and "cannot be loaded" in said


def test_a_missing_library_is_named(tmp_path):
    code = (BUILD / "fixture/chaos.so").read_bytes()
    assert code.count(b"libc.so.6\0") == 1
    (tmp_path / "chaos.so").write_bytes(code.replace(b"libc.so.6\0", b"libx.so.6\0"))
    assert "libx.so.6" in refusal(tmp_path)
