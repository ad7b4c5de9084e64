"""`headgate plugin check` on pushers, each with its check.ini and its real far end: every item is exercised."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gateway import BUILD, ROOT, command

import kit

STANDING = Path(__file__).resolve().parent / "standing.py"


def check(name, ini, *more, env=None, left_out=0):
    done = command("plugin", "check", BUILD / "plugins" / f"{name}.so", "--ini", ini, *more, env=env, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{23 - left_out} passed, 0 failed, {left_out} not exercised" in done.stdout, done.stdout


SERVERS = {"postgres": "postgres", "mysql": "mariadb", "redis": "redis", "elasticsearch": "opensearch", "nats": "nats",
           "amqp": "rabbitmq", "mqtt": "mosquitto", "ftp": "pyftpd", "smtp": "smtp", "riffyn": "riffyn"}


def settings(name, port):
    """What check.ini has with another port."""
    far = f"http://127.0.0.1:{port}"
    urls = {"elasticsearch": [f"URL={far}"], "ftp": [f"URL=ftp://127.0.0.1:{port}"],
            "riffyn": [f"CONTROL_TOWER_URL={far}/tower", f"OAUTH_URL={far}/token",
                       f"URL={far}/runs/{{experimentId}}/{{activityId}}/{{runId}}"]}
    return urls.get(name, [f"PORT={port}"])


@pytest.mark.parametrize("name,server", SERVERS.items())
def test_with_a_server(name, server):
    port = str(kit.free_port())
    env = {"HEADGATE_CHECK_PORT": port, "PATH": os.environ["PATH"]}
    more = [word for one in settings(name, port) for word in ("--set", one)]
    try:
        check(name, ROOT / "plugins" / name / "check.ini", *more, env=env)
    finally:
        subprocess.run([STANDING, server, "end"], env={**os.environ, **env}, check=True)


@pytest.mark.parametrize("name,left_out", [("sqlite", 0), ("archive", 1)])  # archive has no row that it would refuse
def test_with_files(name, left_out, tmp_path):
    shutil.copy(ROOT / "plugins" / name / "check.ini", tmp_path)  # its commands work where it lies
    check(name, tmp_path / "check.ini", env={"PATH": os.environ["PATH"]}, left_out=left_out)
