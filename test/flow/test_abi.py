"""The plugin ABI: what moves is noticed, what was built against a released header runs, what cannot be loaded is named."""
import re
import shutil
import subprocess
import sys

import pytest
from gateway import BUILD, ROOT, SLOW, Gateway, command, row, rows, wait_until, whole_lines

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


def test_growth_needs_a_new_minor():
    grown = check_abi.abi_of(HEADER.replace("    int (*emit)", "    int (*emit)(void);\n    int (*more)", 1))
    now = check_abi.abi_of(HEADER)
    assert check_abi.unnumbered(now, grown) and not check_abi.unnumbered(now, now)
    assert not check_abi.unnumbered([line.replace("HG_ABI_MINOR 1", "HG_ABI_MINOR 0") for line in now], grown)


@pytest.mark.parametrize("before, after", [("    uint32_t reserved;     /* 0 */\n\n", "\n"),
                                           ("    uint32_t reserved;          /* 0 */\n    size_t bad_set;", "    size_t bad_set;"),
                                           ("    int64_t wait_ms;", "    int32_t wait_ms;")])
def test_padding_is_noticed(before, after):
    assert HEADER.count(before) == 1 and not check_abi.holes(check_abi.abi_of(HEADER))
    assert len(check_abi.holes(check_abi.abi_of(HEADER.replace(before, after)))) == 1


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


def test_what_pushers_use_is_frozen():
    """The header of now holds all that the last released one says; nothing in it moves, and more of it is a new minor."""
    last = max(RELEASED, key=lambda version: tuple(map(int, version.split("."))))
    before = check_abi.abi_of((check_abi.RELEASED / f"headgate-{last}.h").read_text())
    now = check_abi.abi_of(HEADER)
    assert "frozen" in HEADER and not check_abi.moved(before, now) and not check_abi.unnumbered(before, now)
    for old, new in MOVES.values():
        assert check_abi.moved(before, check_abi.abi_of(HEADER.replace(old, new)))


@pytest.mark.parametrize("version", RELEASED)
def test_built_against_a_released_header(version):
    with Gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad"}, later=["chaos"], start=False) as g:
        g.add_plugin(f"released-{version}")
        g.start()
        g.take(rows("u", 4))
        g.take(rows("v", 1, bad=True))
        wait_until(lambda: g.dead())
        wait_until(lambda: len(whole_lines(g.got_path())) == 4)


# --- bindgen: what it makes of the header is all that a pusher in Rust needs ---

GOLDEN = check_abi.GOLDEN.read_text().splitlines()
PROVISIONAL = {"set_data", "set_tag", "emit"}
another_compiler = pytest.mark.skipif(BUILD.name in ("asan", "tsan"),
                                      reason="not here: a plugin of another compiler's in a sanitizer's build")
MEASURE = """#[allow(non_camel_case_types, non_upper_case_globals, dead_code)]
mod bindings;
fn size<T>(_: *const T) -> usize { std::mem::size_of::<T>() }
macro_rules! member {
    ($of:ident, $name:ident) => {{
        let all = std::mem::MaybeUninit::<bindings::$of>::uninit();
        let at = unsafe { std::ptr::addr_of!((*all.as_ptr()).$name) };
        (at as usize - all.as_ptr() as usize, size(at))
    }};
}
fn main() {
%s
}
"""


def measured(line):
    """The statement that prints this line of sdk/abi.txt, by what bindgen calls it."""
    words = line.split()
    if words[0] != "struct":
        return f'println!("{words[0]} {{}}", bindings::{words[0]});'
    name, _, member = words[1].partition(".")
    if not member:
        return f'println!("struct {name} {{}}", std::mem::size_of::<bindings::{name}>());'
    own = "type_" if member == "type" else member
    return f'let m = member!({name}, {own}); println!("struct {name}.{member} {{}} {{}}", m.0, m.1);'


def done(*command, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120 * SLOW, **more)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def bound(tmp_path):
    """A folder with the bindings: of the header as it is, without a word about it."""
    done("bindgen", check_abi.HEADER, "-o", tmp_path / "bindings.rs", "--no-prepend-enum-name", "--allowlist-type", "hg_.*",
         "--allowlist-function", "hg_.*", "--allowlist-var", "HG_.*")
    return tmp_path


def rustc(folder, name, *flags):
    done("rustc", "--edition", "2021", *flags, name, cwd=folder)


@another_compiler
def test_bindgen_finds_every_size_offset_and_constant(bound):
    (bound / "measure.rs").write_text(MEASURE % "\n".join(map(measured, GOLDEN)))
    rustc(bound, "measure.rs")
    assert done(bound / "measure").splitlines() == GOLDEN


@another_compiler
def test_a_pusher_on_bindgen_calls_all_that_a_pusher_may(bound):
    source = (ROOT / "test/fixture/bound/bound.rs").read_text()
    called = set(re.findall(r"call!\((?:self|worker)?\.?api, (\w+)", source))
    offered = set(re.findall(r"^struct hg_api\.(\w+) ", "\n".join(GOLDEN), re.M)) - {"size", "abi_minor"}
    assert called == offered - PROVISIONAL
    shutil.copy(ROOT / "test/fixture/bound/bound.rs", bound)
    rustc(bound, "bound.rs", "--crate-type", "cdylib", "-o", "bound.so")
    with Gateway({"PLUGIN_BOUND_RETRY_MIN": "1ms", "PLUGIN_BOUND_RETRY_MAX": "5ms"}, plugins=[bound / "bound.so"]) as g:
        def said(words):
            return wait_until(lambda: next((e["text"] for e in g.events[g.mark:] if e.get("event") == "plugin.log"
                                            and e["text"].startswith(words)), None), 15, lambda: "\n".join(g.lines[-20:]))
        assert said("state") == 'state ""'
        batch = g.take(b'{"uuid":"u","tags":{"line":"3","shift":"late"},"rows":[{"index":7,"data":{"do":"reject","a":[1]}},'
                       b'{"data":{"do":"lat\\u0065r"}}]}')["id"]
        assert said("host") == "host bound left true stopping 0 waited 1 put 1"
        one, two = said(f"row {batch}-00000"), said(f"row {batch}-00001")
        assert re.fullmatch(rf"row {batch}-00000 batch {batch} uuid u number 0 last 0 index 7 client \S* received \d{{16}} attempt "
                            r'1 origin 1 tag 3 tags line=3\+shift=late keys do\+a settled 0 data {"do":"reject","a":\[1\]}', one), one
        assert " number 1 last 1 index -1 " in two and " keys do settled 0 " in two, two
        assert said("settled") == "settled 1 again 0"
        g.wait_outcome(batch, "mixed")
        assert [(d["pusher"], d["reason"]) for d in g.dead()] == [("bound", "it says so")]
        for word in ("away", "not now"):
            g.wait_outcome(g.take(row("u", {"do": word}))["id"], "delivered")
        assert said("away") == "away 1"
        wait_until(lambda: g.metrics().get('headgate_plugin_count_total{pusher="bound",name="pushed"}', 0) >= 3)
        asked = g.cli("check", "--probe", "--config", "/dev/null", "--plugins", str(bound))
        assert asked.returncode == 78 and "there is no far end" in asked.stdout + asked.stderr, asked
        g.restart()
        assert said("state") == 'state "seen"'


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
