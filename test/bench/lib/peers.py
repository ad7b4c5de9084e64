"""The servers that headgate is measured against, pinned where it is pinned."""
import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

from process import pin

NGINX = """
worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 64m;
    client_body_temp_path {work}/nginx-body;
    proxy_temp_path {work}/nginx-proxy;
    fastcgi_temp_path {work}/nginx-fastcgi;
    uwsgi_temp_path {work}/nginx-uwsgi;
    scgi_temp_path {work}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        location / {{ return 204; }}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A server of someone else's: `pid`, `url`. Ends with `stop`."""

    def __init__(self, command, port, path, core, log):
        self.url = f"http://127.0.0.1:{port}{path}"
        self.process = subprocess.Popen(command, preexec_fn=pin(core), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True)
        self.pid = self.process.pid
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not listen")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def nginx(work, core):
    """Reads the body and throws it away."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port, config = free_port(), Path(work) / "nginx.conf"
    config.write_text(NGINX.format(work=work, port=port))
    return Peer([program, "-c", str(config), "-e", str(Path(work) / "nginx.log")], port, "/v1/rows", core,
                subprocess.DEVNULL)


def fastapi(work, core, venv):
    """Checks the same schema and throws the rows away: test/bench/fastapi_peer.py."""
    port = free_port()
    with open(Path(work) / "fastapi.log", "wb") as log:
        return Peer([str(Path(venv) / "bin/uvicorn"), "--app-dir", str(Path(__file__).resolve().parent.parent),
                     "fastapi_peer:app", "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http",
                     "httptools", "--no-access-log", "--log-level", "warning"], port, "/v1/rows", core, log)
