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

STANDING = Path(__file__).resolve().parent / "standing.py"
full = pytest.mark.skipif(not FULL, reason="not here: with `make test-servers`")


@contextlib.contextmanager
def standing(name):
    """(what a check needs in its environment, the port): of a server that it brings up itself."""
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
    with standing("versitygw") as (env, port):
        check("s3", ROOT / "plugins/s3/check.ini", "--set", f"URL=http://127.0.0.1:{port}", env=env)


@full
def test_s3_with_keys_that_end():
    with standing("minio") as (env, port):
        subprocess.run([STANDING, "minio", "up"], env={**os.environ, **env}, check=True)
        keys = kit.server("minio").keys_that_end(port)
        sets = [f"URL=http://127.0.0.1:{port}", *(f"{name}={value}" for name, value in keys.items())]
        check("s3", ROOT / "plugins/s3/check.ini", *(word for one in sets for word in ("--set", one)),
              env={**env, "HEADGATE_CHECK_S3": "minio"})


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


def test_http(tmp_path):
    """The far end is an example's, beside copies of both: it keeps its rows where its commands run."""
    for name in ("plugins/http/check.ini", "examples/plugins/batch/far.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    port = str(kit.free_port())
    env = {"FAR_PORT": port, "PATH": os.environ["PATH"]}
    try:
        check("http", tmp_path / "plugins/http/check.ini", "--set", f"URL=http://127.0.0.1:{port}/rows", env=env)
    finally:
        subprocess.run(["python3", "-B", tmp_path / "examples/plugins/batch/far.py", "down"], check=True,
                       cwd=tmp_path / "plugins/http/check.tmp")


@pytest.mark.parametrize("name,left_out", [("sqlite", 0), ("archive", 1), ("file", 1)])  # the two have no row to refuse
def test_with_files(name, left_out, tmp_path):
    shutil.copy(ROOT / "plugins" / name / "check.ini", tmp_path)  # its commands work where it lies
    check(name, tmp_path / "check.ini", env={"PATH": os.environ["PATH"]}, left_out=left_out)
