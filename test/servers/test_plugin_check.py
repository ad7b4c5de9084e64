"""`headgate plugin check` on pushers, each with its check.ini and its real far end: every item is exercised."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gateway import BUILD, ROOT, command

import kit

STANDING = Path(__file__).resolve().parent / "standing.py"


def check(name, ini, *more, env=None):
    done = command("plugin", "check", BUILD / "plugins" / f"{name}.so", "--ini", ini, *more, env=env, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed, 0 not exercised" in done.stdout, done.stdout


@pytest.mark.parametrize("name,server", [("postgres", "postgres"), ("mysql", "mariadb"), ("amqp", "rabbitmq"), ("smtp", "smtp"),
                                         ("riffyn", "riffyn")])
def test_with_a_server(name, server):
    port = str(kit.free_port())
    env = {"HEADGATE_CHECK_PORT": port, "PATH": os.environ["PATH"]}
    far = f"http://127.0.0.1:{port}"
    more = [f"PORT={port}"] if name != "riffyn" else [f"CONTROL_TOWER_URL={far}/tower", f"OAUTH_URL={far}/token",
                                                      f"URL={far}/runs/{{experimentId}}/{{activityId}}/{{runId}}"]
    try:
        check(name, ROOT / "plugins" / name / "check.ini", *(word for one in more for word in ("--set", one)), env=env)
    finally:
        subprocess.run([STANDING, server, "end"], env={**os.environ, **env}, check=True)


def test_with_a_file(tmp_path):
    shutil.copy(ROOT / "plugins/sqlite/check.ini", tmp_path)  # its commands work where it lies
    check("sqlite", tmp_path / "check.ini", env={"PATH": os.environ["PATH"]})
