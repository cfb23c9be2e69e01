"""The running server: one process, one run, this machine's browser."""

from __future__ import annotations

import secrets
import socket
import webbrowser

import uvicorn

from scenegen.web.address import HOST
from scenegen.web.easel import Easel
from scenegen.web.server import application

TOKEN_BYTES = 24


def serve(easel: Easel, *, door: socket.socket, browser: bool) -> None:
    """Print the page's address and serve it until Ctrl-C.

    Args:
        easel: the run.
        door: a bound socket.
        browser: open the address.
    """
    port, token = door.getsockname()[1], secrets.token_urlsafe(TOKEN_BYTES)
    address = f"http://{HOST}:{port}/{token}/"
    print(address, flush=True)
    if browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        application(easel, port=port, token=token),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[door])
