"""A TCP proxy between a pusher and its server that does what networks do: cuts a connection in the middle of an answer,
loses answers, swallows everything. What it does can be changed at any time; chance is seeded.

    with Proxy(server.port, seed=1) as proxy:   # pushers connect to proxy.port
        proxy.cut = 0.02                        # of the answers' pieces: a part of it goes on, then both ends are reset
        proxy.lose = 0.02                       # nothing of it goes on, then both ends are reset
        proxy.hole = True                       # nothing goes on in either direction, nothing is closed
        proxy.close_all()                       # every connection, now

    proxy.asked = function                  # is called with every piece of a question, before it goes on

A piece is what one read of the server's side gives: an answer, or part of one. `cuts`, `losses` count what was done.
The server may start again: it is connected to anew for each connection.
"""
import contextlib
import random
import socket
import struct
import threading


def reset(sock):
    """Closes so that the peer gets RST."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for act in (lambda: sock.shutdown(socket.SHUT_RDWR), sock.close):
        with contextlib.suppress(OSError):
            act()


class Proxy:
    def __init__(self, target_port, seed=1):
        self.target_port, self.random = target_port, random.Random(seed)
        self.cut = self.lose = 0.0
        self.hole = False
        self.asked = lambda piece: None
        self.cuts = self.losses = self.connections = 0
        self.open, self.lock = set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.close_all()
        self.thread.join()

    def calm(self):
        """No more faults."""
        self.cut = self.lose = 0.0
        self.hole = False

    def close_all(self):
        with self.lock:
            ends = list(self.open)
        for end in ends:
            reset(end)

    def accept(self):
        while not self.ended.is_set():
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        with self.lock:
            self.open.add(near)
            self.connections += 1
        try:
            far = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            self.forget(near)
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open.add(far)
        asking = threading.Thread(target=self.forward, args=(near, far, self.look), daemon=True)
        asking.start()
        self.forward(far, near, self.harm)
        asking.join()
        self.forget(near, far)

    def forget(self, *ends):
        with self.lock:
            self.open.difference_update(ends)
        for end in ends:
            reset(end)

    def look(self, piece):
        self.asked(piece)
        return piece, False

    def harm(self, piece):
        """What goes on of a piece of an answer, and whether the connection then ends."""
        with self.lock:
            chance = self.random.random()
            if chance < self.cut:
                self.cuts += 1
                return piece[:self.random.randrange(len(piece))], True
            if chance < self.cut + self.lose:
                self.losses += 1
                return b"", True
        return piece, False

    def forward(self, source, target, handle):
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 18):
                piece, end = handle(piece)
                if self.hole:
                    continue
                target.sendall(piece)
                if end:
                    break
            else:
                with contextlib.suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
        reset(source)
        reset(target)
