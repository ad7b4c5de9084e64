"""`headgate plugin check` on pushers, each with its check.ini and its real far end: every item is exercised."""
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gateway import BUILD, ROOT, command
from trial import FULL

import kit

full = pytest.mark.skipif(not FULL, reason="not here: with `make test-servers`")
STANDING = Path(__file__).resolve().parent / "standing.py"


def check(name, ini, *more, env=None, without=()):
    """without: items that cannot be exercised with this far end."""
    done = command("plugin", "check", BUILD / "plugins" / f"{name}.so", "--ini", ini, *more, env=env, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f", 0 failed, {len(without)} not exercised" in done.stdout, done.stdout
    assert all(f"not exercised   {item} " in done.stdout for item in without), done.stdout


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


@contextlib.contextmanager
def standing(name):
    """(the environment of a check, the server's port); the check brings it up."""
    port = str(kit.free_port())
    env = {"HEADGATE_CHECK_PORT": port, "PATH": os.environ["PATH"]}
    try:
        yield env, port
    finally:
        subprocess.run([STANDING, name, "end"], env={**os.environ, **env}, check=True)


@full
def test_kafka():
    with standing("kafka") as (env, port):
        check("kafka", ROOT / "plugins/kafka/check.ini", "--set", f"BROKERS=127.0.0.1:{port}", env=env)


def test_s3():
    """This server knows no keys that end, and so no token."""
    with standing("versitygw") as (env, port):
        check("s3", ROOT / "plugins/s3/check.ini", "--set", f"URL=http://127.0.0.1:{port}", env=env, without=["secrets"])


@full
def test_s3_with_keys_that_end():
    with standing("minio") as (env, port):
        subprocess.run([STANDING, "minio", "up"], env={**os.environ, **env}, check=True)
        keys = kit.server("minio").keys_that_end(port)
        sets = [f"URL=http://127.0.0.1:{port}", *(f"{name}={value}" for name, value in keys.items())]
        check("s3", ROOT / "plugins/s3/check.ini", *(word for one in sets for word in ("--set", one)),
              env={**env, "HEADGATE_CHECK_S3": "minio"})
