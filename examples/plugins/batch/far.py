"""A far end to try against: `far.py up`, `down`, `count`. Takes NDJSON by POST on FAR_PORT (18099) of loopback and keeps
the ids; a row whose `name` is no text is refused with 422, and all that came with it."""
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, ROWS, PID = int(os.environ.get("FAR_PORT", "18099")), "far.rows", "far.pid"


class Far(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        rows = [json.loads(line) for line in body.splitlines()]
        if not all(isinstance(r["data"].get("name", ""), str) for r in rows):
            return self.answer(422, b"a name is no text")
        with open(ROWS, "a") as out:
            out.writelines(r["id"] + "\n" for r in rows)
        return self.answer(204)

    def do_OPTIONS(self):
        self.answer(204)

    do_HEAD = do_OPTIONS

    def log_message(self, *_):
        pass


def listening():
    """The one before may still be about to end."""
    for _ in range(500):
        try:
            return ThreadingHTTPServer(("127.0.0.1", PORT), Far)
        except OSError:
            time.sleep(0.01)
    sys.exit(f"port {PORT} is taken")


def up():
    down()
    server = listening()  # before the command ends
    pid = os.fork()
    if pid == 0:
        os.setsid()
        server.serve_forever()
    with open(PID, "w") as out:
        out.write(str(pid))
    os._exit(0)


def down():
    try:
        os.kill(int(open(PID).read()), signal.SIGKILL)
        os.unlink(PID)
    except (OSError, ValueError):
        pass


def count():
    print(len(set(open(ROWS))) if os.path.exists(ROWS) else 0)


if __name__ == "__main__":
    {"up": up, "down": down, "count": count}[sys.argv[1]]()
