"""Changes of files and command lines that hypothesis draws, and what an answer to them may be."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from scenegen.base.refusal import Refusal

SECONDS = 20
"""CPU time that one input may take."""

PATIENCE = 10
"""Times as long may pass on a clock: other programs want the processor too."""

MIB = 1500
"""Memory that the inputs of one reader may take in all."""

TOKENS = (b"", b"\0", b"\xff", b"\xff\xfe", b"null", b"NaN", b"Infinity", b"-1", b"1.5", b"1e999", b"9" * 400, b"true",
          b"[]", b"{}", b'""', b'"', b"[", b"]", b"{", b"}", b",", b":", b"\n", b"\r", b"\t", b" ", b"#", b"&a ", b"*a",
          b"!!python/name:os.system ", b"- ", b"${oc.env:HOME}", b"\\ud800", b"\x80\x02", b"\x00\x00\x00\x0d", b"IHDR",
          b"[" * 500, b"\xf0\x9f\x8c\x84", b"%!PS")  # fmt: skip

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Anything that JSON can hold, and NaN."""


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to four places flipped, cut, doubled or replaced by a token."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.sampled_from((1, 1, 1, 4, 40, len(content))))
        end = min(start + length, len(content))
        kind = draw(st.sampled_from(("flip", "cut", "double", "token", "insert")))
        part = content[start:end]
        if kind == "flip":
            part = bytes([(part[0] if part else 0) ^ draw(st.integers(1, 255))]) + part[1:]
        elif kind == "cut":
            part = b""
        elif kind == "double":
            part *= 2
        elif kind == "token":
            part = draw(st.sampled_from(TOKENS))
        else:
            part = draw(st.sampled_from(TOKENS)) + part
        content = content[:start] + part + content[end:]
    return content


@st.composite
def changed_json(draw: st.DrawFn, content: Any) -> bytes:
    """The JSON with one to three of its values replaced, taken out or renamed."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(content))
        if not places:
            break
        node, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("replace", "replace", "drop", "add")))
        if kind == "replace":
            node[key] = draw(VALUES)
        elif kind == "drop":
            del node[key]
        elif isinstance(node, dict):
            node[draw(st.text(max_size=5))] = draw(VALUES)
        else:
            node.append(draw(VALUES))
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _places(node: Any) -> list[tuple[Any, Any]]:
    inner = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [place for key, value in inner for place in [(node, key), *_places(value)]]


def fuzz(answer: Callable[[Any], object], inputs: st.SearchStrategy, *, count: int, start: int) -> None:
    """Give so many inputs to a function that may return or raise a Refusal, in bounded time and memory.

    Args:
        answer: takes an input.
        inputs: where they are drawn from.
        count: number of inputs.
        start: seed; one seed draws the same inputs again.
    """

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=tuple(HealthCheck))  # pyright: ignore[reportArgumentType]
    @seed(start)
    @given(inputs)
    def give(content: Any) -> None:
        said = "read"
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(PATIENCE * SECONDS)
        try:
            answer(content)
        except Refusal as refusal:
            said = str(refusal).strip()
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        assert said, "a refusal without words"

    before = {number: signal.signal(number, _too_long) for number in (signal.SIGALRM, signal.SIGPROF)}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        give()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) >> 10
    assert more < MIB, f"{more} MiB more for {count} inputs"


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer in {SECONDS} s of CPU time, or {PATIENCE * SECONDS} s in all")
