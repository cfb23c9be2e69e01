"""Debian's chromium, driven over chromedriver's own protocol (W3C WebDriver); needs no package of Python or Node."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NEEDED = ("chromium", "chromedriver")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
REASON = f"no real browser here: {', '.join(MISSING)} is missing (apt-get install chromium chromium-driver)"

CTRL, ENTER, ESCAPE, TAB = "\ue009", "\ue007", "\ue00c", "\ue004"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
"""Keys of the protocol."""


class Browser:
    """One window.

    Args:
        base: address of the session.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        """One request of the protocol; its value."""
        return _ask(method, self.base + path, content)

    def go(self, address: str) -> None:
        self.ask("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Value of a function body in the page; what is awaited is waited for."""
        tail = "const done = arguments[arguments.length - 1];"
        whole = f"{tail} (async () => {{ {script} }})().then(done, e => done('' + e))"
        return self.ask("POST", "/execute/async", {"script": whole, "args": list(arguments)})

    def wait(self, condition: str, *, seconds: float = 120) -> None:
        """Wait until an expression of the page is true."""
        end = time.monotonic() + seconds
        while not self.run(f"return !!({condition});"):
            assert time.monotonic() < end, f"{condition} did not become true within {seconds} s"
            time.sleep(0.03)

    def click(self, css: str) -> None:
        found = self.ask("POST", "/element", {"using": "css selector", "value": css})
        self.ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    def upload(self, css: str, path: Path) -> None:
        """Choose a file in a file input."""
        found = self.ask("POST", "/element", {"using": "css selector", "value": css})
        self.ask("POST", f"/element/{next(iter(found.values()))}/value", {"text": str(path)})

    def drag(self, points: list[tuple[float, float]], *, kind: str = "mouse") -> None:
        """Press at the first point of the window, move through the others, let go."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 15} for x, y in points]
        act = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        source = {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": act}
        self.ask("POST", "/actions", {"actions": [source]})

    def press(self, *keys: str) -> None:
        """Keys one after the other; a tuple of several in one string is held down together, as CTRL + "z"."""
        act: list[dict[str, str]] = []
        for chord in keys:
            act += [{"type": "keyDown", "value": key} for key in chord]
            act += [{"type": "keyUp", "value": key} for key in reversed(chord)]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": act}]})

    def shot(self, path: Path) -> None:
        """A picture of the window."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextmanager
def browser(downloads: Path, *, width: int = 1360, height: int = 860) -> Iterator[Browser]:
    """A headless chromium with a profile of its own.

    Args:
        downloads: folder of what is saved, and of the profile.
        width, height: of the window, in pixels.
    """
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    # --no-sandbox: a container's root has no user namespaces, and only pages of this suite are opened.
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    flags += [f"--user-data-dir={downloads / 'profile'}", f"--window-size={width},{height}"]
    options = {"args": flags, "prefs": {"download.default_directory": str(downloads)}}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"script": 30000}}
    with subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL) as driver:
        try:
            _until_ready(base)
            made = _ask("POST", f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})
            window = Browser(f"{base}/session/{made['sessionId']}")
            try:
                yield window
            finally:
                window.ask("DELETE", "")
        finally:
            driver.terminate()


def _until_ready(base: str) -> None:
    end = time.monotonic() + 180
    while True:
        try:
            if _ask("GET", f"{base}/status")["ready"]:
                return
        except OSError:
            assert time.monotonic() < end, "chromedriver does not answer"
        time.sleep(0.05)


def _ask(method: str, address: str, content: dict[str, Any] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {address}: {json.load(error)['value']['message']}") from error
