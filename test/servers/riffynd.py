#!/usr/bin/env python3
"""What server_riffyn.py starts.

usage: riffynd.py PORT FOLDER

POST /token: a token for the control tower. GET /tower/triggers/UUID with it: a trigger of Riffyn. POST /runs/EXPERIMENT/ACTIVITY/RUN with a document: a file in FOLDER with the number of
its rows, named by its Idempotency-Key, so that a repeat is no other one.
"""
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "token-of-the-tests"
TRIGGER = {"metadata": {"source": "riffyn", "spec": {"experimentId": "e", "activityId": "a", "runId": "r"}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = None

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def do_GET(self):
        if self.path.startswith("/tower/") and self.headers["Authorization"] != "Bearer " + TOKEN:
            return self.answer(401, {"detail": "no such token"})
        known = self.path.startswith("/tower/triggers/")
        return self.answer(200 if known else 404, TRIGGER if known else {"detail": "no such page"})

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self.answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300})
        body = json.loads(body)
        if self.headers["api-key"] != "hgtest":
            return self.answer(401, {"detail": "no such key"})
        if "badWell" in body:
            return self.answer(422, {"detail": "no such well"})
        name = self.headers["Idempotency-Key"]
        rows = max((len(column) for column in body.values()), default=0)
        part = self.folder / (name + ".part")
        part.write_text(str(rows))
        os.rename(part, self.folder / (name + ".rows"))
        return self.answer(200, {"rows": rows})

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
