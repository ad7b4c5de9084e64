"""Symbols: the host exports nothing, a plugin only its entry, and libraries that a plugin brings along are its own."""
import hashlib
import json
import re
import shutil
import subprocess

import pytest
from gateway import BUILD, ROOT, Gateway, row

SANITIZED = BUILD.name in ("asan", "tsan")


def exported(path):
    """What it defines for others; copies of libc's variables carry a version."""
    text = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines() if "@" not in line} - {"_init", "_fini", "__bss_start", "_edata",
                                                                                 "_end"}


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's runtime exports itself")
def test_what_is_exported():
    for program in ("headgate", "headgate-host"):
        assert exported(BUILD / program) <= {"_IO_stdin_used"}, program
    plugins = sorted((BUILD / "plugins").glob("*.so"))
    assert plugins
    for plugin in plugins:
        assert exported(plugin) == {"hg_plugin"}, plugin


@pytest.mark.skipif(SANITIZED, reason="not here: a plugin of another compiler's in a sanitizer's build")
def test_a_plugin_with_libraries_of_its_own(sdk, tmp_path):
    env, _ = sdk
    mine = shutil.copytree(ROOT / "test/fixture/carries", tmp_path / "carries")
    done = subprocess.run(["make", "-s", "-C", mine], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done
    built = mine / "carries.so"
    assert exported(built) == {"hg_plugin"}
    needed = subprocess.run(["readelf", "-d", built], capture_output=True, text=True).stdout
    assert "sqlite" not in needed and "crypto" not in needed and "curl" not in needed
    with Gateway({"PLUGIN_HTTP_URL": "http://127.0.0.1:1/"}, plugins=[built]) as g:  # which has curl and OpenSSL of the system
        g.take(row("u", {"n": 1}))
        said = g.wait_event("plugin.log", pusher="carries")["text"]
        digest = hashlib.sha256(json.dumps({"n": 1}).encode()).hexdigest()[:4]
        assert re.fullmatch(rf"carries {digest} sqlite 3\.\S+ openssl OpenSSL .* curl 7\S+ found 1 mine 0", said), said
        g.wait_rows(1)
