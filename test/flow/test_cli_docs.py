"""Man page and completion say what the command's own tables say: every verb and every option of it."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MAN = (ROOT / "etc/man/headgate.1").read_text()
COMPLETION = ROOT / "etc/completion/headgate.bash"


def calls(name, macro):
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "core/cli" / name).read_text(), flags=re.S)
    return re.findall(rf"^{macro}\((.*?)\)$", text, re.M | re.S)


OPTIONS = {re.match(r"\w+", c)[0]: re.findall(r'"([^"]*)"', c)[0] for c in calls("options.def", "OPTION")}
TAKES_VALUE = {OPTIONS[re.match(r"\w+", c)[0]] for c in calls("options.def", "OPTION") if ", NULL," not in c}
VERBS = {re.findall(r'"([^"]*)"', c)[0]: [OPTIONS[o] for o in re.findall(r"OPT_(\w+)", c)] for c in calls("verbs.def", "VERB")}
EXITS = [re.match(r"\w+, (\d+)", c)[1] for c in calls("exits.def", "EXIT")]


def complete(*words):
    script = f'. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _headgate; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", str(COMPLETION), "headgate", *words], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


def section(verb):
    """Of the man page, as it would be typed."""
    m = re.search(rf"^\.SS {verb}\n(.*?)(?=^\.S[SH] )", MAN, re.M | re.S)
    assert m, f"the man page has no section on `{verb}`"
    return m[1].replace("\\-", "-")


def test_the_tables_were_read():
    assert len(VERBS) >= 25 and len(OPTIONS) >= 35 and "75" in EXITS and "uuid" in TAKES_VALUE and "json" not in TAKES_VALUE


@pytest.mark.parametrize("verb", VERBS)
def test_man_page_has_the_verb_and_its_options(verb):
    text = section(verb)
    assert f".B headgate {verb}\n" in text
    typed = re.findall(r"--[a-z-]+", text)
    assert {f"--{o}" for o in VERBS[verb]} <= set(typed)
    known = {f"--{o}" for o in VERBS[verb]}
    synopsis = text.split(".PP")[0]
    assert set(re.findall(r"--[a-z-]+", synopsis)) <= known, "an option that the verb does not take"


def test_man_page_has_no_other_verb():
    assert set(re.findall(r"^\.SS (.*)$", MAN, re.M)) == set(VERBS)


def test_man_page_has_every_exit_code_and_formats_without_warning():
    statuses = MAN.split(".SH EXIT STATUS")[1].split(".SH ")[0]
    assert all(f".B {code}\n" in statuses for code in ["0", *EXITS])
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", str(ROOT / "etc/man/headgate.1")], capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr


def test_completion_of_verbs():
    assert complete("") == {v.split()[0] for v in VERBS} | {"help", "--help", "--version"}
    assert complete("re") == {v for v in VERBS if v.startswith("re") and " " not in v}
    for group in {v.split()[0] for v in VERBS if " " in v}:
        assert complete(group, "") == {v.split()[1] for v in VERBS if v.startswith(group + " ")}
    assert {v.split()[0] for v in VERBS} == complete("help", "")


@pytest.mark.parametrize("verb", VERBS)
def test_completion_of_options(verb):
    assert complete(*verb.split(), "--") == {f"--{o}" for o in VERBS[verb]} | {"--help"}


def test_completion_of_pushers(tmp_path):
    answers = tmp_path / "headgate"  # as `status --json` does
    answers.write_text('#!/bin/sh\necho "$*" >%s/asked\necho \'{"pushers":[{"name":"file","plugin":"file"},{"name":"far-2"}]}\'\n' % tmp_path)
    answers.chmod(0o755)

    def completes(*words):
        script = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _headgate; printf "%s\\n" "${COMPREPLY[@]}"'
        return set(subprocess.run(["bash", "-c", script, "bash", str(COMPLETION), str(answers), *words],
                                  capture_output=True, text=True, timeout=20).stdout.split())
    for words in (["pause", ""], ["resume", "--ca", "x", ""], ["status", "f"], ["plugin", "forget", ""], ["replay", "--pusher", ""]):
        assert completes(*words) == {"file", "far-2"}, words
    assert completes("pause", "--admin", "localhost:9", "fi") == {"file"}
    assert (tmp_path / "asked").read_text() == "status --json --admin localhost:9\n"


def test_completion_of_values(tmp_path):
    (tmp_path / "rows.csv").write_text("")
    assert complete("send", f"{tmp_path}/ro") == {f"{tmp_path}/rows.csv"}
    assert complete("send", "--format", "") == {"ndjson", "json", "csv", "tsv"}
    assert complete("send", "--quotes", "") == {"double", "single", "none"}
    assert complete("send", "--encoding", "") == {"utf-8", "latin-1", "windows-1252"}
    assert complete("plugin", "new", "--kind", "") == {"pusher", "puller", "processor"}
    assert complete("probe", "") == {"live", "ready"}
    assert complete("key", "add", "--role", "") == {"ingest", "read", "operate", "admin"}
    assert complete("status", "--ca", f"{tmp_path}/ro") == {f"{tmp_path}/rows.csv"}
    for option in TAKES_VALUE - {"config", "ini", "data", "plugins", "into", "format", "kind", "delimiter", "quotes", "encoding",
                                 "ca", "role"}:
        assert complete("send", f"--{option}", "") == set(), option
