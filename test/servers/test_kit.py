"""The kit itself: servers keep their data and their port through a stop and through kill -9, and the proxy does the
faults it is told to do. Servers that are slow to come need not be tried here: their own tests do it."""
import socket
import threading
import time

import pytest
from proxy import Proxy
from trial import Sent, compare, real_rows, real_sets

import kit


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_stop_kill_start(name):
    with kit.server(name)() as server:
        server.sql("CREATE TABLE t (n integer)")
        port = server.port
        for n, kill in enumerate((False, True)):
            server.sql("INSERT INTO t VALUES (%s)", n)
            server.restart(kill)
            assert server.port == port
        assert [r[0] for r in server.sql("SELECT n FROM t ORDER BY n")] == [0, 1]
        server.stop()
        assert not kit.answers(port)
        server.start()
    assert not kit.answers(port) and not server.dir.exists()


class Echo:
    """Answers each piece with itself."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def serve(peer):
        with peer:
            try:
                while data := peer.recv(65536):
                    peer.sendall(data)
            except OSError:
                pass


def asked(port, text=b"0123456789", timeout=5):
    """What comes back until it is all there or the connection ends."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(text)
        try:
            while len(got) < len(text) and (piece := s.recv(65536)):
                got += piece
        except ConnectionError:
            pass
    return got


def test_proxy():
    with Echo() as echo, Proxy(echo.port) as proxy:
        assert asked(proxy.port) == b"0123456789"
        proxy.lose = 1.0
        assert asked(proxy.port) == b"" and proxy.losses == 1
        proxy.calm()
        proxy.cut = 1.0
        got = [asked(proxy.port) for _ in range(20)]
        assert all(len(g) < 10 and b"0123456789".startswith(g) for g in got) and any(got) and proxy.cuts == 20
        proxy.calm()
        proxy.hole = True
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            asked(proxy.port, timeout=0.5)
        assert time.monotonic() - began >= 0.5
        proxy.calm()
        assert asked(proxy.port) == b"0123456789"


def test_compare():
    """Finds what is missing, twice, strange and different."""
    sent = Sent()
    for uuid, datas in real_sets(6000, 500):
        sent.add(uuid, datas)
    all_of_them = [(u, n, d) for (u, n), d in sent.rows.items()]
    compare(sent, all_of_them)
    assert len(real_rows()) == 5006
    for wrong, told in ((all_of_them[1:], "1 missing"), (all_of_them + all_of_them[:1], "1 twice"),
                        ([*all_of_them, ("no", 0, {})], "1 never sent"),
                        ([*all_of_them[:-1], (*all_of_them[-1][:2], {})], "1 different")):
        with pytest.raises(AssertionError, match=told):
            compare(sent, wrong)
