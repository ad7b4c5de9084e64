"""A far end for the `http` pusher: a server on loopback that keeps what it got and can be told to misbehave."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateway import wait_until


class Request:
    """What came in."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def json(self):
        return json.loads(self.body)

    def documents(self):
        """Of any of the three shapes of a body: one row, an array, lines."""
        if "ndjson" in self.headers.get("content-type", ""):
            return [json.loads(line) for line in self.body.splitlines() if line.strip()]
        found = self.json()
        return found if isinstance(found, list) else [found]


class Webhook:
    """`with Webhook() as hook:` `answer` decides: a status, (status, headers, body), "drop" (close without an answer),
    "hang" (say nothing until the hook ends or `release` is called), or a function of the request that returns one of
    these. It may be changed at any time. `taken` are the requests that were answered with 2xx, `requests` all; with
    keep=False neither is kept, and `answer` has to."""

    def __init__(self, answer=200, port=0, keep=True):
        self.answer, self.keep, self.requests, self.taken = answer, keep, [], []
        self.lock, self.freed = threading.Lock(), threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                hook.serve(self)

            do_POST = do_PUT = do_GET = do_HEAD = do_OPTIONS = serve

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

            def handle_error(self, *_):
                pass  # the peer has gone: killed in the middle, as tests do

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/in"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def release(self):
        """Lets go of what hangs: those connections are closed."""
        self.freed.set()

    def serve(self, handler):
        try:
            body = read_body(handler)
        except (ConnectionError, ValueError):
            handler.close_connection = True
            return
        request = Request(handler.command, handler.path, {k.lower(): v for k, v in handler.headers.items()}, body)
        if self.keep:
            with self.lock:
                self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if answer == "hang":
            self.freed.wait(600)
        if answer in ("hang", "drop"):
            handler.close_connection = True
            return
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
        if 200 <= status < 300 and self.keep:
            with self.lock:
                self.taken.append(request)
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)
        except ConnectionError:
            handler.close_connection = True

    def documents(self):
        """Every document that was taken, in the order it came."""
        with self.lock:
            taken = list(self.taken)
        return [d for r in taken for d in r.documents()]

    def wait_documents(self, count, timeout=20):
        return wait_until(lambda: len(found := self.documents()) >= count and found, timeout,
                          lambda: f"{count} documents at the webhook: {len(self.documents())} of {len(self.requests)} requests")

    def wait_requests(self, count, timeout=20):
        return wait_until(lambda: len(self.requests) >= count and list(self.requests), timeout,
                          lambda: f"{count} requests at the webhook: {len(self.requests)}")


def read_body(handler):
    if "chunked" in handler.headers.get("Transfer-Encoding", "").lower():
        parts = []
        while True:
            size = int(handler.rfile.readline().split(b";")[0], 16)
            part = handler.rfile.read(size)
            handler.rfile.readline()
            if size == 0:
                return b"".join(parts)
            parts.append(part)
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
