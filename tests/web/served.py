"""A running page, and what a hand does on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvicorn

from scenegen.config.opened import TrainedRun
from scenegen.web.address import listening
from scenegen.web.easel import Easel, Wish
from scenegen.web.server import application
from tests.web.browser import Browser
from tests.web.runs import SIDE, easel

TOKEN = "t" * 32


class Watched(Easel):
    """An easel that remembers the last map that arrived."""

    arrived: np.ndarray
    wish: Wish

    def paint(self, drawn: Mapping[str, np.ndarray], wish: Wish) -> np.ndarray:
        self.arrived, self.wish = drawn[self.layers[-1]], wish
        return super().paint(drawn, wish)


class Served:
    """A running server of a watched easel; `parts` are those of `application`."""

    def __init__(self, board: Watched, door: socket.socket, **parts: Any) -> None:
        self.board = board
        self.port = door.getsockname()[1]
        config = uvicorn.Config(
            application(board, port=self.port, token=TOKEN, **parts), log_level="error", lifespan="off"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [door]}, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{TOKEN}/"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@contextmanager
def serving(run: TrainedRun, **parts: Any) -> Iterator[Served]:
    """Context manager: a page of a run on a free port."""
    plain = easel(run)
    board = Watched(plain.run, checkpoint=plain.checkpoint, device="cpu", lookup=False)
    with listening(None) as door:
        made = Served(board, door, **parts)
        yield made
        made.stop()


def visit(window: Browser, served: Served) -> Browser:
    """The page without an old drawing, its first picture painted."""
    window.go(served.address)
    window.run("sessionStorage.clear(); localStorage.clear(); return 1")
    window.go(served.address)
    settle(window)
    return window


def settle(page: Browser) -> None:
    page.wait("S.ids && pictureVersion === version && !busy")


def ids(page: Browser) -> np.ndarray:
    return np.array(page.run("return Array.from(S.ids)")).reshape(SIDE, SIDE)


def stroke(page: Browser, *points: tuple[float, float]) -> None:
    """Drag on the map; points in shares of its width and height."""
    left, top, width, height = page.run(
        "const r = $('hint').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    )
    page.drag([(left + width * x, top + height * y) for x, y in points])
