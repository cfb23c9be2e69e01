"""Seeds as hashes of their purpose: no generator has a state that could be lost."""

from __future__ import annotations

import hashlib


def hash_seed(*parts: int | str) -> int:
    """A 63-bit seed from any tuple of ints and strings; the same on every machine and Python.

    hash_seed(seed, "step", 12) and hash_seed(seed, "noise", 12) are unrelated streams.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
