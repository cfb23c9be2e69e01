"""The running server: one process, one run, this machine's browser."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Sequence

import uvicorn

from scenegen.web.address import HOST
from scenegen.web.easel import Easel
from scenegen.web.gallery import Gallery
from scenegen.web.reader import Reader
from scenegen.web.server import application

TOKEN_BYTES = 24


def serve(
    easels: Sequence[Easel], *, reader: Reader | None, gallery: Gallery | None, door: socket.socket, browser: bool
) -> None:
    """Print the page's address and serve it until Ctrl-C.

    Args:
        easels: the run, and the one beside it where there are two.
        reader, gallery: see `application`.
        door: a bound socket.
        browser: open the address.
    """
    port, token = door.getsockname()[1], secrets.token_urlsafe(TOKEN_BYTES)
    address = f"http://{HOST}:{port}/{token}/"
    print(address, flush=True)
    if browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        application(
            easels[0],
            port=port,
            token=token,
            beside=easels[1] if len(easels) > 1 else None,
            reader=reader,
            gallery=gallery,
        ),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[door])
