"""A real Chromium, and pages in it that may not fail silently: what a page logs as an error, throws, or asks of anybody
but its gateway fails the test."""
import contextlib
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "flow"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
expect.set_options(timeout=15000)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Watched:
    """Pages of one gateway. allow: statuses that the page meets on purpose, and the browser logs."""

    def __init__(self, browser, g, scheme="http", allow=(), **more):
        self.origin = f"{scheme}://{g.admin_address}"
        self.allow, self.faults, self.bytes = set(allow), [], 0
        self.context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB", **more)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15000)
        self.page.on("pageerror", lambda e: self.faults.append(f"thrown: {e}"))
        self.page.on("console", self.console)
        self.page.on("request", self.request)
        self.page.on("dialog", lambda d: self.faults.append(f"a dialog of the browser: {d.message}") or d.dismiss())

    def console(self, message):
        known = any(f"status of {status}" in message.text for status in self.allow)
        if message.type in ("error", "warning") and not known:
            self.faults.append(f"console: {message.text}")

    def request(self, request):
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and f"{url.scheme}://{url.netloc}" != self.origin:
            self.faults.append(f"asks somebody else: {request.url}")

    def open(self, view=""):
        self.page.goto(f"{self.origin}/#/{view}")
        return self.page

    def check(self):
        assert not self.faults, "\n".join(self.faults)

    def axe(self, what=""):
        found = Axe().run(self.page).response["violations"]
        assert not found, f"{what}: " + "\n".join(
            f"{v['id']}: {v['help']}: {[n['html'][:200] for n in v['nodes'][:3]]}: "
            f"{[(c.get('message') or '') for n in v['nodes'][:1] for c in n['any']][:2]}" for v in found)


@pytest.fixture
def watch(browser):
    """watch(gateway) opens a page; all are checked at the end of the test."""
    with contextlib.ExitStack() as stack:
        pages = []

        def opened(g, **more):
            watched = Watched(browser, g, **more)
            stack.callback(watched.context.close)
            pages.append(watched)
            return watched
        yield opened
        for watched in pages:
            watched.check()


@pytest.fixture
def shot():
    """shot(page, name): a picture for the documents, where SHOTS names a folder."""
    folder = os.environ.get("HEADGATE_SHOTS")
    return (lambda page, name: page.screenshot(path=f"{folder}/{name}.png")) if folder else (lambda page, name: None)
