"""Checkpoints of any wrong content: nothing of them runs, nothing of them is believed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.table import Row, each
from tests.worlds import checkpoint, trained, write

SAMPLE = "sample run=a out=made count=1 sheet=0"
RESUME = "train resume=a steps=4"
FILE = "step_0000002.ckpt"


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


class Evaluated:
    def __reduce__(self):
        return eval, ("open('ran', 'w')",)


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def changed(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The run's checkpoint with a change."""
    path = checkpoint(run)
    content = torch.load(path, weights_only=True)
    found = change(content)
    write(path, saved(content if found is None else found))


def renamed(name: str, content: bytes) -> bytes:
    """A checkpoint's zip with the file data.pkl of another content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved({"state_dict": {}}))) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry.endswith(name) else old.read(entry))
    return buffer.getvalue()


def bomb() -> bytes:
    """A zip whose one entry says to be a gigabyte of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file, file.open("archive/data.pkl", "w") as entry:
        for _ in range(64):
            entry.write(bytes(1 << 20))
    return buffer.getvalue()


def first(content: dict[str, Any], prefix: str = "model.") -> str:
    return next(key for key in content["state_dict"] if key.startswith(prefix) and content["state_dict"][key].ndim > 1)


def put(place: str, value: object) -> Callable[[dict[str, Any]], None]:
    """A change: the value at a key of the checkpoint."""

    def change(content: dict[str, Any]) -> None:
        content[place] = value

    return change


def weights(make: Callable[[torch.Tensor], Any], prefix: str = "model.") -> Callable[[dict[str, Any]], None]:
    """A change of the first weights."""

    def change(content: dict[str, Any]) -> None:
        name = first(content, prefix)
        content["state_dict"][name] = make(content["state_dict"][name])

    return change


def with_nan(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[0] = float("nan")
    return tensor


WHOLE = {
    "none": saved(None),
    "a list": saved([1, 2]),
    "a text": saved("weights"),
    "a number": saved(5),
    "a tensor": saved(torch.zeros(3)),
    "an empty mapping": saved({}),
    "keys that are numbers": saved({1: 2}),
    "state_dict none": saved({"state_dict": None}),
    "state_dict a list": saved({"state_dict": [1]}),
    "state_dict empty": saved({"state_dict": {}}),
    "state_dict of numbers": saved({"state_dict": {"model.x": 1}}),
    "state_dict of number keys": saved({"state_dict": {1: torch.zeros(1)}}),
    "a bare network": saved({"weight": torch.zeros(3)}),
    "a program": saved({"state_dict": Hostile()}),
    "an expression": saved(Evaluated()),
    "a bare pickle": pickle.dumps(Hostile()),
    "a pickle of protocol 0": pickle.dumps(Hostile(), protocol=0),
    "a pickle within": renamed("data.pkl", pickle.dumps(Hostile())),
    "no pickle within": renamed("data.pkl", b"hello"),
    "an empty pickle within": renamed("data.pkl", b""),
    "a zip of nothing": b"PK\x05\x06" + bytes(18),
    "a zip bomb": bomb(),
    "an endless pickle": b"\x80\x02" + b"(" * 100000,
    "a class of ours": saved({"state_dict": {}, "x": Path("x")}),
}  # fmt: skip

CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a weight none": weights(lambda w: None),
    "a weight a text": weights(lambda w: "x"),
    "a weight a list": weights(lambda w: w.tolist()),
    "a weight of another shape": weights(lambda w: w[:1]),
    "a weight of no size": weights(lambda w: w[:0]),
    "a weight of whole numbers": weights(lambda w: w.long()),
    "a weight of complex numbers": weights(lambda w: w.to(torch.complex64)),
    "a weight of truths": weights(lambda w: w > 0),
    "a weight nan": weights(with_nan),
    "a weight infinite": weights(lambda w: w + float("inf")),
    "all weights nan": lambda c: c["state_dict"].update(
        {k: v * float("nan") for k, v in c["state_dict"].items() if v.is_floating_point()}
    ),
    "a weight missing": lambda c: (c["state_dict"].pop(first(c)), None)[1],
    "a weight too many": lambda c: c["state_dict"].update({"model.evil": torch.zeros(1)}),
    "sparse": weights(lambda w: w.flatten(1).to_sparse()),
    "meta": weights(lambda w: torch.empty(w.shape, device="meta")),
}

STATE: dict[str, Callable[[dict[str, Any]], object]] = {
    "optimizers none": put("optimizer_states", None),
    "optimizers a text": put("optimizer_states", "adam"),
    "no optimizer": put("optimizer_states", []),
    "optimizers of another kind": put("optimizer_states", [{}, {}]),
    "optimizers absent": lambda c: (c.pop("optimizer_states"), None)[1],
    "step a text": put("global_step", "two"),
    "step none": put("global_step", None),
    "step below zero": put("global_step", -5),
    "step a list": put("global_step", [2]),
    "step far beyond": put("global_step", 10**9),
    "step absent": lambda c: (c.pop("global_step"), None)[1],
    "epoch a text": put("epoch", "first"),
    "loops none": put("loops", None),
    "loops a text": put("loops", "loops"),
    "loops empty": put("loops", {}),
    "clock a text": lambda c: c["state_dict"].update(clock="late"),
    "clock far beyond": lambda c: c["state_dict"].update(clock=torch.tensor(10**12)),
    "clock below zero": lambda c: c["state_dict"].update(clock=torch.tensor(-7)),
    "clock absent": lambda c: (c["state_dict"].pop("clock"), None)[1],
    "callbacks a text": put("callbacks", "x"),
    "version a list": put("pytorch-lightning_version", [1]),
    "version absent": lambda c: (c.pop("pytorch-lightning_version"), None)[1],
    "discriminator nan": weights(with_nan, "discriminator."),
}

TAKEN = [
    *[Row(f"sample: {name}", SAMPLE, lambda here, content=content: write(checkpoint(trained(here)), content), (FILE,))
      for name, content in WHOLE.items()],
    *[Row(f"resume: {name}", RESUME, lambda here, content=content: write(checkpoint(trained(here)), content), (FILE,))
      for name, content in WHOLE.items()],
    *[Row(f"sample: {name}", SAMPLE, lambda here, change=change: changed(trained(here), change), (FILE,))
      for name, change in CHANGES.items() if name != "a weight of whole numbers"],
]  # fmt: skip
STATES = [
    Row(f"resume: {name}", RESUME, lambda here, change=change: changed(trained(here), change), (FILE,),
        slow=name in CHANGES or name in ("no optimizer", "loops empty"))
    for name, change in {**CHANGES, **STATE}.items()
]  # fmt: skip
CONVERTED = [
    Row(f"convert: {name}", "convert files=w name=b", lambda here, content=content: write(
        here / "w/latest_net_G.pth", content), ("latest_net_G.pth",))
    for name, content in WHOLE.items() if name not in ("an empty mapping",)
]  # fmt: skip


test_sampled = each(TAKEN, quick=14)
test_resumed = each(STATES, quick=3)
test_converted = each(CONVERTED, quick=1)
