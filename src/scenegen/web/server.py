"""The page and its few requests: maps of class ids in, pictures out."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from scenegen.base.refusal import Refusal
from scenegen.web.easel import COPIES, Easel, Kept, Wish, label_png, png
from scenegen.web.gallery import Gallery
from scenegen.web.guard import MOST_BYTES, App, Guard
from scenegen.web.maps import STARTS, fitted, has_starts, opened, opened_hole, start, start_photo
from scenegen.web.reader import Reader
from scenegen.web.recipe import recipe_of
from scenegen.web.shelf import TRAINING, Gone, Shelf
from scenegen.web.uploads import photograph

TABS = 64
"""Browser tabs whose newest turn is remembered."""

STALE = 409
"""Status of an answer that nobody waits for any more."""

GONE = 410
"""Status of an answer that asks for a kept picture once more."""

SUGGESTED = 8
"""Training pictures that are offered as styles of one map."""

PARTS = ("judging.js", "styles.js", "holes.js")
"""Scripts that stand in files of their own and go into the page."""


def application(
    easel: Easel,
    *,
    port: int,
    token: str,
    beside: Easel | None = None,
    reader: Reader | None = None,
    gallery: Gallery | None = None,
) -> App:
    """The ASGI application of one run.

    Args:
        easel: the run.
        port: that it is served on, which Host and Origin must name.
        token: first part of every path.
        beside: a second run of the same maps, or None.
        reader: reads label maps off pictures, or None.
        gallery: the training pictures as styles, or None.
    """
    room = Room(easel, beside, reader, gallery)
    routes = [
        Route("/", room.page),
        Route("/run", room.about),
        Route("/start", room.start),
        Route("/paint", room.paint, methods=["POST"]),
        Route("/open", room.open, methods=["POST"]),
        Route("/label", room.label, methods=["POST"]),
        Route("/recipe", room.recipe, methods=["POST"]),
        Route("/read", room.read, methods=["POST"]),
        Route("/keep", room.keep, methods=["POST"]),
        Route("/kept", room.kept),
        Route("/photo", room.photo),
        Route("/suggest", room.suggest, methods=["POST"]),
    ]
    handlers = {Refusal: _refused, HTTPException: _refused, ClientDisconnect: _left}
    app = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers=handlers)  # pyright: ignore[reportArgumentType]
    return Guard(app, port=port, token=token)  # pyright: ignore[reportArgumentType]


class Room:
    """The answers. No request names a file; pictures are read from the body, and the few that are kept stay in memory.

    Args:
        easel, beside: the runs.
        reader, gallery: see `application`.
    """

    def __init__(self, easel: Easel, beside: Easel | None, reader: Reader | None, gallery: Gallery | None) -> None:
        if beside is not None:
            easel.require_beside(beside)
        self.easel, self.reader, self.gallery = easel, reader, gallery
        self.easels = [easel, *([] if beside is None else [beside])]
        self.shelf = Shelf(self.easels, reader=reader, gallery=gallery)
        folder = files("scenegen.web")
        parts = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in PARTS)
        self.html = folder.joinpath("page.html").read_text(encoding="utf-8").replace("/* PARTS */", parts)
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
                "runs": [_about(one) for one in self.easels],
                "height": easel.size[0],
                "width": easel.size[1],
                "classes": classes,
                "ignore": easel.classes.ignore,
                "layers": easel.layers,
                "starts": STARTS if has_starts(easel.classes, size=easel.size) or "hole" in easel.layers else 0,
                "most_bytes": MOST_BYTES,
                "borders": "instance" in easel.run.model.reads,
                "reader": None
                if self.reader is None
                else {"name": self.reader.net.name, "caution": self.reader.caution},
                "style": "exemplar" if "exemplar" in self.shelf.styles else "picture" if self.shelf.styles else "",
                "suggests": self.gallery is not None and bool(self.shelf.styles),
            }
        )

    async def start(self, request: Request) -> Response:
        """A map of the embedded world."""
        index = _whole(request, "index", 0)
        ids = await run_in_threadpool(start, index, classes=self.easel.classes, size=self.easel.size)
        return _ids(ids)

    async def paint(self, request: Request) -> Response:
        """The picture of a map, or STALE where the same tab has asked again meanwhile."""
        easel = self._easel(request)
        drawn, wish = easel.drawn(await _body(request)), await self._wish(request)
        tab, turn = request.query_params.get("tab", "")[:32], _whole(request, "turn", 0)
        self.newest[tab] = max(turn, self.newest.get(tab, 0))
        self.newest.move_to_end(tab)
        while len(self.newest) > TABS:
            self.newest.popitem(last=False)
        made = await run_in_threadpool(self._paint, easel, drawn, wish, tab, turn)
        if made is None:
            return PlainTextResponse("a newer map is on its way", status_code=STALE)
        return Response(made, media_type="image/png")

    def _paint(self, easel: Easel, drawn: dict[str, np.ndarray], wish: Wish, tab: str, turn: int) -> bytes | None:
        """The PNG; None where the tab's newest turn is a later one when the model gets free."""
        with easel.free:
            if turn < self.newest.get(tab, 0):
                return None
            picture = easel.paint(drawn, wish)
        return png(picture)

    async def open(self, request: Request) -> Response:
        """The ids of a label file, or the hole of a mask, at the run's size; the notice says what was done to it."""
        body, fit = await _body(request), request.query_params.get("fit", "refuse")
        if request.query_params.get("layer", self.easel.layers[0]) == "hole":
            ids = await run_in_threadpool(opened_hole, body)
        else:
            ids = await run_in_threadpool(opened, body, classes=self.easel.classes)
        ids, notice = fitted(ids, size=self.easel.size, fit=fit)
        return _ids(ids, notice)

    async def label(self, request: Request) -> Response:
        """A file of one layer: the class ids with 8 or 16 bits, or the mask, white where the picture is missing."""
        drawn = self.easel.drawn(await _body(request))
        layer = request.query_params.get("layer", self.easel.layers[0])
        if layer not in drawn:
            raise Refusal(f"there is no layer {layer[:32]!r}; choose one of {', '.join(drawn)}")
        if layer == "hole":
            return Response(png((drawn["hole"] * 255).astype(np.uint8)), media_type="image/png")
        bits = _whole(request, "bits", 8)
        return Response(label_png(drawn["map"], bits=bits, classes=len(self.easel.classes)), media_type="image/png")

    async def recipe(self, request: Request) -> Response:
        """A zip of the drawing, the picture, and the command that makes it again."""
        easel = self._easel(request)
        drawn, wish = easel.drawn(await _body(request)), await self._wish(request)
        content = await run_in_threadpool(recipe_of, easel, drawn, wish)
        return Response(content, media_type="application/zip")

    async def read(self, request: Request) -> Response:
        """The label map that the segmenter reads off a picture, at the run's size."""
        body, fit = await _body(request), request.query_params.get("fit", "refuse")
        if self.reader is None:
            raise Refusal("no segmenter reads this run's classes; start with segmenter=smp segmenter.name=FILE, one "
                          "that was trained for them")  # fmt: skip
        picture, notice = await run_in_threadpool(photograph, body, size=self.easel.size, fit=fit)
        return _ids(await run_in_threadpool(self.reader.read, picture), notice)

    async def keep(self, request: Request) -> Response:
        """The key of a style picture or of a photograph with a hole."""
        body, fit = await _body(request), request.query_params.get("fit", "refuse")
        purpose = request.query_params.get("as", "style")
        key, notice = await run_in_threadpool(self.shelf.keep, body, purpose=purpose, fit=fit)
        return JSONResponse({"key": key, "notice": notice})

    async def kept(self, request: Request) -> Response:
        """A kept picture at the run's size."""
        kept = await run_in_threadpool(self.shelf.of, request.query_params.get("key", ""))
        return Response(png(kept.picture), media_type="image/png")

    async def photo(self, request: Request) -> Response:
        """A photograph of the embedded world, to paint holes into."""
        picture = await run_in_threadpool(start_photo, _whole(request, "index", 0), size=self.easel.size)
        return Response(png(picture), media_type="image/png")

    async def suggest(self, request: Request) -> Response:
        """Training pictures whose classes have shares like the map's."""
        drawn = self.easel.drawn(await _body(request))
        if self.gallery is None or "map" not in drawn:
            raise Refusal("the training pictures of this run are not here, so none can be suggested; drop a picture")
        found = await run_in_threadpool(self.gallery.nearest, drawn["map"], count=SUGGESTED)
        return JSONResponse([{"key": f"{TRAINING}{one.place}", "name": one.name, "likeness": one.likeness}
                             for one in found])  # fmt: skip

    def _easel(self, request: Request) -> Easel:
        which = _whole(request, "which", 0)
        if which >= len(self.easels):
            raise Refusal(f"there is no run {which} on this page; choose 0 to {len(self.easels) - 1}")
        return self.easels[which]

    async def _wish(self, request: Request) -> Wish:
        seed, copy, small = _whole(request, "seed", 0), _whole(request, "copy", 0), _whole(request, "small", 0) > 0
        style, photo = await self._kept(request, "style"), await self._kept(request, "photo")
        return Wish(seed=seed, copy=copy, small=small, style=style, photo=photo)

    async def _kept(self, request: Request, name: str) -> Kept | None:
        key = request.query_params.get(name, "")
        return await run_in_threadpool(self.shelf.of, key) if key else None


def _about(easel: Easel) -> dict[str, Any]:
    """A run in words and numbers."""
    return {
        "run": easel.run.folder.name,
        "step": easel.run.step,
        "noise": easel.has_noise,
        "copies": COPIES if easel.has_noise else 1,
        "halves": easel.halves,
        "style": easel.style,
    }


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
    status = error.status_code if isinstance(error, HTTPException) else GONE if isinstance(error, Gone) else 422
    sentence = error.detail if isinstance(error, HTTPException) else str(error)
    return PlainTextResponse(sentence, status_code=status)


async def _left(request: Request, error: Exception) -> Response:
    """Nothing, to a browser that was closed while it was still sending."""
    return Response(status_code=400)
