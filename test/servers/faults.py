"""All that can happen while rows are under way, one thing after the other, seeded: what a push must survive."""
import os
import random
import signal
import threading

from trial import post

from gateway import BUILD, command, wait_until


def kill_host(g, plugin):
    pid = g.pusher(plugin).get("pid")
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def kill_all(g):
    g.kill9(hosts=True)
    g.start()


def progress(g, plugin, rows, timeout=120):
    """Until the pusher has settled at least so many rows more, or has none left."""
    def settled(p):
        return p.get("delivered", 0) + p.get("duplicate", 0)
    before = settled(g.pusher(plugin))

    def on():
        p = g.pusher(plugin)
        return p and (settled(p) >= before + rows or p["lag"]["rows"] == 0)
    wait_until(on, timeout, lambda: f"{plugin} to go on: {g.pusher(plugin)}\n" + "\n".join(g.lines[-20:]))


def storm(g, plugin, sets, sent, proxy, server, seed=11, rounds=2, chance=0.15):
    """Posts the sets in as many parts as there are blows, one blow in the middle of each part's delivery: the host killed,
    daemon and hosts killed, the server stopped and started, the server killed and started, every connection cut, answers
    cut short and lost at random, each with that chance (of a protocol that says much for each push: a small one)."""
    sets = list(sets)

    def random_faults():
        proxy.cut, proxy.lose = chance, chance

    blows = [lambda: kill_host(g, plugin), lambda: kill_all(g), lambda: server.restart(), lambda: server.restart(kill=True),
             proxy.close_all, random_faults] * rounds
    random.Random(seed).shuffle(blows)
    size = -(-len(sets) // len(blows))
    for n, blow in enumerate(blows):
        part = sets[n * size:(n + 1) * size]
        post(g, part[:1], sent)
        poster = threading.Thread(target=post_rest, args=(g, part[1:], sent))
        poster.start()
        blow()
        poster.join()
        progress(g, plugin, sum(len(d) for _, d in part) // 4)
        proxy.calm()


def post_rest(g, sets, sent):
    """While the daemon is started again nobody knows its address."""
    for one in sets:
        def taken(one=one):
            try:
                post(g, [one], sent)
                return True
            except KeyError:
                return False
        wait_until(taken, 120, f"{one[0]} to be taken")


def probe(plugin, **options):
    """`headgate check --probe` with that pusher alone: (exit status, what it said)."""
    env = {f"PLUGIN_{plugin.upper()}_{k}": str(v) for k, v in options.items()}
    done = command("check", "--probe", "--config", "/dev/null", "--plugins", BUILD / "plugins", env=env)
    return done.returncode, done.stdout + done.stderr
