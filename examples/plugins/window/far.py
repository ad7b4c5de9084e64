"""A far end with a window to try against: `far.py up`, `down`, `count`. It listens on the socket far.sock, takes lines
`<id> <data>`, and answers each when it is kept, not always in the order in which they came: `<id> ok`, or `<id> no
<why>` for a row whose `name` is no text."""
import json
import os
import signal
import socket
import sys
import threading

SOCKET, ROWS, PID = "far.sock", "far.rows", "far.pid"


def kept(line, out):
    """The answer to one line."""
    row_id, data = line.split(b" ", 1)
    if not isinstance(json.loads(data).get("name", ""), str):
        return row_id + b" no its name is no text\n"
    out.write(row_id + b"\n")
    return row_id + b" ok\n"


def serve(connection):
    """What came together is answered from its end."""
    with connection, open(ROWS, "ab", 0) as out:
        rest = b""
        while piece := connection.recv(1 << 20):
            *lines, rest = (rest + piece).split(b"\n")
            connection.sendall(b"".join(reversed([kept(line, out) for line in lines])))


def answer_all(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def up():
    down()
    server = socket.socket(socket.AF_UNIX)
    server.bind(SOCKET)
    server.listen(100)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        answer_all(server)
    with open(PID, "w") as out:
        out.write(str(pid))
    os._exit(0)


def down():
    try:
        os.kill(int(open(PID).read()), signal.SIGKILL)
        os.unlink(PID)
    except (OSError, ValueError):
        pass
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)


def count():
    print(len(set(open(ROWS))) if os.path.exists(ROWS) else 0)


if __name__ == "__main__":
    {"up": up, "down": down, "count": count}[sys.argv[1]]()
