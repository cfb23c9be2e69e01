"""The port of the page: on this machine's own address and nowhere else."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from scenegen.base.refusal import Refusal

HOST = "127.0.0.1"

FIRST, LAST = 8417, 8427
"""Ports that are tried first, so that a browser, which keeps drawings per port, finds its own again."""


@contextmanager
def listening(port: int | None) -> Iterator[socket.socket]:
    """A bound socket on HOST.

    Args:
        port: the one to take; None for the first free one of FIRST..LAST, or any free one.

    Raises:
        Refusal: the port asked for is taken.
    """
    wanted = [port] if port is not None else [*range(FIRST, LAST + 1), 0]
    for number in wanted:
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((HOST, number))
            # Two servers may bind one port with SO_REUSEADDR until one of them listens.
            door.listen()
        except OSError as error:
            door.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES) and number != wanted[-1]:
                continue
            raise Refusal(f"port={number} is taken ({error.strerror}); give another port, or leave it out") from error
        with door:
            yield door
        return
