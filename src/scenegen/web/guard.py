"""Doorkeeper of the page: this machine's own browser with the token, and nobody else."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 8 << 20
"""Bytes of the largest request."""

DRAINED = 128 << 20
"""Bytes of a refused upload that are read and thrown away, so that the browser gets to read the answer."""

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Headers of every answer."""


class Guard:
    """ASGI middleware that refuses foreign hosts, foreign origins, missing tokens and large uploads.

    Args:
        app: what is guarded; its paths lie below /TOKEN.
        port: that the page is served on.
        token: the secret first part of every path.
    """

    def __init__(self, app: App, *, port: int, token: str) -> None:
        self.app = app
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if fault := self._fault(scope):
            await _drain(receive, Headers(scope=dict(scope)))
            status, sentence = fault
            await PlainTextResponse(sentence, status_code=status, headers=HEADERS)(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(send))

    def _fault(self, scope: Scope) -> tuple[int, str] | None:
        """(status, sentence) about a request that is refused; None for one that is served."""
        headers = Headers(scope=dict(scope))
        if headers.get("host", "") not in self.hosts:
            return 403, "this page answers on 127.0.0.1 alone; open the address that the command printed"
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return 403, "this page answers its own requests alone; open the address that the command printed"
        if scope["method"] == "POST" and origin is None:
            return 403, "a request without Origin is refused; open the address that the command printed"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "a request of another site is refused; open the address that the command printed"
        given = scope["path"].split("/")[1]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return 403, "the address lacks its token; open the address that the command printed"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return 413, f"the file is larger than the {MOST_BYTES >> 20} MiB that the page takes; save it smaller"
        return None


async def _drain(receive: Receive, headers: Headers) -> None:
    """Throw a refused body away."""
    taken, more = 0, headers.get("content-length", "0") != "0"
    while more and taken < DRAINED:
        message = await receive()
        taken += len(message.get("body", b""))
        more = message.get("more_body", False)


def _with_headers(send: Send) -> Send:
    """A sender that adds HEADERS to every answer."""

    async def sender(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sender
