"""The page and its few requests: maps of class ids in, pictures out."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from importlib.resources import files
from urllib.parse import quote

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from scenegen.base.refusal import Refusal
from scenegen.web.easel import COPIES, Easel, Wish, fitted, label_png, png
from scenegen.web.guard import MOST_BYTES, App, Guard
from scenegen.web.maps import STARTS, has_starts, opened, start
from scenegen.web.recipe import Recipe, command_of, packed

TABS = 64
"""Browser tabs whose newest turn is remembered."""

STALE = 409
"""Status of an answer that nobody waits for any more."""


def application(easel: Easel, *, port: int, token: str) -> App:
    """The ASGI application of one run.

    Args:
        easel: the run.
        port: that it is served on, which Host and Origin must name.
        token: first part of every path.
    """
    room = Room(easel)
    routes = [
        Route("/", room.page),
        Route("/run", room.about),
        Route("/start", room.start),
        Route("/paint", room.paint, methods=["POST"]),
        Route("/open", room.open, methods=["POST"]),
        Route("/label", room.label, methods=["POST"]),
        Route("/recipe", room.recipe, methods=["POST"]),
    ]
    handlers = {Refusal: _refused, HTTPException: _refused}
    app = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers=handlers)  # pyright: ignore[reportArgumentType]
    return Guard(app, port=port, token=token)  # pyright: ignore[reportArgumentType]


class Room:
    """The answers. No request names a file; a map is read from the body and nothing is kept of it."""

    def __init__(self, easel: Easel) -> None:
        self.easel = easel
        self.html = files("scenegen.web").joinpath("page.html").read_text(encoding="utf-8")
        self.newest: OrderedDict[str, int] = OrderedDict()

    async def page(self, request: Request) -> Response:
        """The page; its script and style run by a nonce of this answer alone."""
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' blob: data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        text = self.html.replace("NONCE", nonce)
        return HTMLResponse(text, headers={"content-security-policy": policy})

    async def about(self, request: Request) -> Response:
        """The run in words and numbers."""
        easel = self.easel
        classes = [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(easel.classes.names, easel.classes.colours, strict=True)
        ]
        return JSONResponse(
            {
                "run": easel.run.folder.name,
                "step": easel.run.step,
                "height": easel.size[0],
                "width": easel.size[1],
                "classes": classes,
                "ignore": easel.classes.ignore,
                "noise": easel.has_noise,
                "halves": easel.halves,
                "copies": COPIES if easel.has_noise else 1,
                "starts": STARTS if has_starts(easel.classes, size=easel.size) else 0,
                "most_bytes": MOST_BYTES,
                "borders": "instance" in easel.run.model.reads,
            }
        )

    async def start(self, request: Request) -> Response:
        """A map of the embedded world."""
        index = _whole(request, "index", 0)
        ids = await run_in_threadpool(start, index, classes=self.easel.classes, size=self.easel.size)
        return _ids(ids)

    async def paint(self, request: Request) -> Response:
        """The picture of a map, or STALE where the same tab has asked again meanwhile."""
        ids, wish = self.easel.ids_of(await _body(request)), _wish(request)
        tab, turn = request.query_params.get("tab", "")[:32], _whole(request, "turn", 0)
        self.newest[tab] = max(turn, self.newest.get(tab, 0))
        self.newest.move_to_end(tab)
        while len(self.newest) > TABS:
            self.newest.popitem(last=False)
        made = await run_in_threadpool(self._paint, ids, wish, tab, turn)
        if made is None:
            return PlainTextResponse("a newer map is on its way", status_code=STALE)
        return Response(made, media_type="image/png")

    def _paint(self, ids: np.ndarray, wish: Wish, tab: str, turn: int) -> bytes | None:
        """The PNG; None where the tab's newest turn is a later one when the model gets free."""
        with self.easel.free:
            if turn < self.newest.get(tab, 0):
                return None
            picture = self.easel.paint(ids, wish)
        return png(picture)

    async def open(self, request: Request) -> Response:
        """The ids of a label file, at the run's size; the notice says what was done to it."""
        body, fit = await _body(request), request.query_params.get("fit", "refuse")
        ids = await run_in_threadpool(opened, body, classes=self.easel.classes)
        ids, notice = fitted(ids, size=self.easel.size, fit=fit)
        return _ids(ids, notice)

    async def label(self, request: Request) -> Response:
        """A label file of the map, 8 or 16 bits."""
        ids = self.easel.ids_of(await _body(request))
        bits = _whole(request, "bits", 8)
        return Response(label_png(ids, bits=bits, classes=len(self.easel.classes)), media_type="image/png")

    async def recipe(self, request: Request) -> Response:
        """A zip of the map, the picture, and the command that makes it again."""
        ids, wish = self.easel.ids_of(await _body(request)), _wish(request)
        content = await run_in_threadpool(self._recipe, ids, wish)
        return Response(content, media_type="application/zip")

    def _recipe(self, ids: np.ndarray, wish: Wish) -> bytes:
        with self.easel.free:
            picture = png(self.easel.paint(ids, Wish(seed=wish.seed, copy=wish.copy)))
        label = label_png(ids, bits=8 if len(self.easel.classes) <= 256 else 16, classes=len(self.easel.classes))
        recipe = Recipe(command=command_of(self.easel, wish), label=label, picture=picture)
        return packed(recipe, easel=self.easel, wish=wish)


def _wish(request: Request) -> Wish:
    return Wish(seed=_whole(request, "seed", 0), copy=_whole(request, "copy", 0), small=_whole(request, "small", 0) > 0)


def _whole(request: Request, name: str, otherwise: int) -> int:
    """A whole number of the query."""
    text = request.query_params.get(name, str(otherwise))
    if not (text.isdecimal() and text.isascii() and len(text) <= 16):
        raise Refusal(f"{name}={text[:32]!r} is no whole number of at most 16 digits; give one")
    return int(text)


async def _body(request: Request) -> bytes:
    """The body of a request, at most MOST_BYTES."""
    parts, taken = [], 0
    async for part in request.stream():
        taken += len(part)
        if taken > MOST_BYTES:
            raise HTTPException(413, f"the file is larger than the {MOST_BYTES >> 20} MiB that the page takes")
        parts.append(part)
    return b"".join(parts)


def _ids(ids: np.ndarray, notice: str = "") -> Response:
    """A map as little-endian 16-bit numbers, with a sentence about it."""
    body = ids.astype("<u2").tobytes()
    return Response(body, media_type="application/octet-stream", headers={"x-notice": quote(notice)})


async def _refused(request: Request, error: Exception) -> Response:
    """One sentence."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    sentence = error.detail if isinstance(error, HTTPException) else str(error)
    return PlainTextResponse(sentence, status_code=status)
