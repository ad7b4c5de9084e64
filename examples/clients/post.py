#!/usr/bin/env python3
"""Posts rows to headgate: a file whose lines are rows' `data` objects, in batches, one request at a time, in order.

usage: post.py [--to URL] [--uuid UUID] [--batch N] [--give-up SECONDS] [FILE]

    post.py --uuid plate-7 rows.ndjson          to http://127.0.0.1:8080
    post.py --to unix:/run/headgate.sock        from standard input, over a unix socket

Each row's bytes are sent as they stand in the file: no number loses a digit. Prints the id of every row set that was
taken. What is not answered, or answered with "not now", is sent again with growing pauses until --give-up seconds went
by without progress; the Idempotency-Key makes a repeat harmless, also when this program is started again on the same
file. Exit status: 0 all rows are on the gateway's disk, 65 refused, 75 gave up. Standard library only: copy what you need.
"""
import argparse
import hashlib
import http.client
import json
import random
import socket
import sys
import time
from urllib.parse import urlsplit

NOT_NOW = {408, 425, 429, 500, 502, 503, 504}


class Refused(Exception):
    """The gateway will never take this body as it is; nothing of it was taken."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Gateway:
    """One connection, opened again when it breaks."""

    def __init__(self, url="http://127.0.0.1:8080", give_up=120.0, timeout=30.0):
        self.url, self.give_up, self.timeout = url, give_up, timeout
        self.connection = None

    def connect(self):
        if self.url.startswith("unix:"):
            return UnixConnection(self.url[5:], self.timeout)
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self.timeout)

    def once(self, body, key):
        """(status, Retry-After in seconds or None, text); status 0: no answer, nobody knows what became of it."""
        try:
            if self.connection is None:
                self.connection = self.connect()
            self.connection.request("POST", "/v1/rows", body,
                                    {"Content-Type": "application/json", "Idempotency-Key": key})
            answer = self.connection.getresponse()
            text = answer.read()
            after = answer.getheader("Retry-After", "")
            return answer.status, float(after) if after.isdigit() else None, text
        except (OSError, http.client.HTTPException) as error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return 0, None, str(error)

    def post(self, body, key):
        """The answer's document, once the rows are on disk. The same key must always go with the same body."""
        pause, end = 0.05, time.monotonic() + self.give_up
        while True:
            status, after, text = self.once(body, key)
            if status in (200, 202):
                return json.loads(text)
            if status and status not in NOT_NOW:
                raise Refused(f"{status}: {text.decode(errors='replace')}")
            if time.monotonic() > end:
                raise TimeoutError(f"gave up: {status or 'no answer'} {text}")
            time.sleep(after if after is not None else random.uniform(pause / 2, pause))
            pause = min(2 * pause, 5.0)


def row_set(uuid, lines):
    """A body for POST /v1/rows; each line is the text of a `data` object."""
    return b'{"uuid":%s,"rows":[%s]}' % (json.dumps(uuid).encode(), b",".join(b'{"data":%s}' % x for x in lines))


def post_lines(gateway, uuid, lines, batch):
    """Posts the lines in order; yields the answer to each row set."""
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:24]
    for at in range(0, len(lines), batch):
        key = f"{digest}-{hashlib.sha256(uuid.encode()).hexdigest()[:16]}-{batch}-{at}"
        yield gateway.post(row_set(uuid, lines[at:at + batch]), key)


def main():
    p = argparse.ArgumentParser(description="Posts rows to headgate.")
    p.add_argument("--to", default="http://127.0.0.1:8080")
    p.add_argument("--uuid", help="default: made from the file's content")
    p.add_argument("--batch", type=int, default=500)
    p.add_argument("--give-up", type=float, default=120.0)
    p.add_argument("file", nargs="?", default="-")
    a = p.parse_args()
    text = sys.stdin.buffer.read() if a.file == "-" else open(a.file, "rb").read()
    lines = [line.strip() for line in text.split(b"\n") if line.strip()]
    uuid = a.uuid or "post-" + hashlib.sha256(text).hexdigest()[:24]
    rows = 0
    try:
        for answer in post_lines(Gateway(a.to, a.give_up), uuid, lines, max(a.batch, 1)):
            rows += answer["rows"]
            print(answer["id"], flush=True)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 65
    except TimeoutError as late:
        print(late, file=sys.stderr)
        return 75
    print(f"{rows} rows of {uuid} are on the gateway's disk", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
