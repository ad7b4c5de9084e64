"""Everybody who looks at a gateway at the same time: open pages (each reads what the page's overview reads), taps, and a
scraper. One thread; prints `ready` when all are there, ends with its standard input.

    watchers.py ADMIN PAGES TAPS SCRAPES-A-SECOND"""
import asyncio
import contextlib
import sys

PAGE, TAP = "/v1/watch?span=hour", "/v1/tap"  # as in core/api/page/overview.js and live.js


class Watchers:
    def __init__(self, address):
        self.host, self.port = address.rsplit(":", 1)
        self.answers = self.events = 0

    async def open(self):
        return await asyncio.open_connection(self.host, int(self.port), limit=1 << 20)  # a line holds an hour

    async def ask(self, reader, writer, path):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.answers += 1

    async def every(self, path, seconds):
        reader, writer = await self.open()
        while True:
            await self.ask(reader, writer, path)
            await asyncio.sleep(seconds)

    async def read(self, path):
        reader, writer = await self.open()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        while line := await reader.readline():
            self.events += line.startswith(b"event:")

    async def run(self, pages, taps, scrapes):
        watching = [self.read(path) for path in [PAGE] * pages + [TAP] * taps]
        watching += [self.every("/metrics", 1 / scrapes)] if scrapes else []
        tasks = [asyncio.ensure_future(one) for one in watching]
        all_of_them = asyncio.gather(*tasks)
        print("ready", flush=True)
        await asyncio.wait([asyncio.get_running_loop().run_in_executor(None, sys.stdin.read), all_of_them],
                           return_when=asyncio.FIRST_COMPLETED)
        if all_of_them.done():
            all_of_them.result()
        print(self.answers, self.events, flush=True)
        all_of_them.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await all_of_them


if __name__ == "__main__":
    address, *counts = sys.argv[1:]
    asyncio.run(Watchers(address).run(*map(int, counts)))
