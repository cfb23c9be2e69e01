"""Checkpoints of strangers: every wrong content is one sentence, and nothing of it runs or fills the memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.networks.interop import load_official, read_official
from scenegen.runs.checkpoints import load, model_state, require_resumable

LOOPS = {"fit_loop": {"epoch_progress": {"total": {"ready": 1}, "is_last_batch": True}}}


def good() -> dict[str, Any]:
    return {
        "epoch": 0,
        "global_step": 4,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": {"clock": torch.tensor(4), "model.w": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"params": [0], "lr": 0.1}]}],
        "lr_schedulers": [],
        "loops": LOOPS,
        "rng": torch.get_rng_state(),
    }


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "a.ckpt")
    return folder / "a.ckpt"


def weights(**changed: Any) -> dict[str, Any]:
    content = good()
    return {**content, "state_dict": {**content["state_dict"], **changed}}


class Runs:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.system, ("touch ran.txt",)


WRONG = {
    "none": (None, "no scenegen model"),
    "a list": ([1, 2], "no scenegen model"),
    "a text": ("weights", "no scenegen model"),
    "a tensor": (torch.ones(3), "no scenegen model"),
    "nothing": ({}, "no scenegen model"),
    "no weights": ({"state_dict": None}, "holds nothing where"),
    "a list of weights": ({"state_dict": [torch.ones(1)]}, "holds a list where"),
    "names that are numbers": (weights() | {"state_dict": {1: torch.ones(1)}}, "names a tensor 1"),
    "weights that are text": (weights(**{"model.w": "x"}), r"model.w is str and no tensor"),
    "weights that are lists": (weights(**{"model.w": [1.0]}), "model.w is list"),
    "no number": (weights(**{"model.w": torch.tensor([1.0, float("nan")])}), "no finite numbers"),
    "infinite": (weights(**{"model.w": torch.tensor([float("inf")]).half()}), "no finite numbers"),
    "complex": (weights(**{"model.w": torch.ones(3, dtype=torch.complex64)}), "another kind"),
    "sparse": (weights(**{"model.w": torch.ones(3, 3).to_sparse()}), "another kind|read safely"),
    "without storage": (weights(**{"model.w": torch.ones(3, device="meta")}), "another kind|read safely"),
    "huge": (weights(**{"model.w": torch.ones(1).expand(10**12)}), "claims the shape"),
    "no clock": (good() | {"state_dict": {"model.w": torch.ones(3)}}, "holds no step"),
    "a clock of text": (weights(clock="4"), "clock is str"),
    "a clock of floats": (weights(clock=torch.tensor(4.0)), "holds no step"),
    "two clocks": (weights(clock=torch.tensor([4, 5])), "holds no step"),
    "a clock before the start": (weights(clock=torch.tensor(-1)), "holds no step"),
    "a clock beyond all": (weights(clock=torch.tensor(2**62)), "holds no step"),
    "code": (Runs(), "read safely"),
    "code inside": (weights(extra=Runs()), "read safely"),
}


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_content_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match=words) as refusal:
        load(saved(content, tmp_path))
    assert "scenegen.train" in str(refusal.value)
    assert not (tmp_path / "ran.txt").exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(Refusal, match="no regular file"):
        load(tmp_path / "pipe.ckpt")
    with pytest.raises(Refusal, match="no regular file"):
        load(tmp_path)
    with pytest.raises(Refusal, match="there is no checkpoint"):
        load(path)
    for content in (b"", b"x" * 1000, b"PK\x05\x06" + b"\0" * 18):
        path.write_bytes(content)
        with pytest.raises(Refusal, match="read safely"):
            load(path)
    whole = saved(good(), tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refusal, match="read safely"):
        load(path)
    torch.save(good(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(Refusal, match="read safely"):
        load(path)


@pytest.mark.parametrize("read", [load, read_official])
def test_a_packed_file_is_not_unpacked(tmp_path: Path, read: Callable) -> None:
    """A file of a few kilobytes that unpacks to a gigabyte."""
    source = saved(weights(**{"model.w": torch.zeros(1 << 20)}), tmp_path)
    with zipfile.ZipFile(source) as one, zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as other:
        for entry in one.infolist():
            other.writestr(entry.filename, one.read(entry.filename))
    assert (tmp_path / "b.pth").stat().st_size < 100_000
    with pytest.raises(Refusal, match=r"claims .* bytes"):
        read(tmp_path / "b.pth")


RESUME = {
    "no optimizer": ("optimizer_states", None, "optimizer_states"),
    "an optimizer of text": ("optimizer_states", ["adam"], "optimizer_states"),
    "an optimizer without groups": ("optimizer_states", [{"state": {}}], "optimizer_states"),
    "averages that are no numbers": (
        "optimizer_states",
        [{"state": {0: {"exp_avg": torch.tensor([float("nan")])}}, "param_groups": [{"params": [0]}]}],
        "optimizer_states",
    ),
    "no counters": ("loops", None, "loops"),
    "counters of text": ("loops", {"fit_loop": {"a": "x"}}, "loops"),
    "counters beyond all": ("loops", {"fit_loop": {"a": 2**40}}, "loops"),
    "counters below none": ("loops", {"fit_loop": {"a": -1}}, "loops"),
    "another step": ("global_step", 5, "global_step"),
    "a step of text": ("global_step", "4", "global_step"),
    "an epoch of text": ("epoch", "0", "epoch"),
    "no random numbers": ("rng", None, "rng"),
    "other random numbers": ("rng", torch.ones(3), "rng"),
    "no version": ("pytorch-lightning_version", 2, "pytorch-lightning_version"),
    "no schedulers": ("lr_schedulers", None, "lr_schedulers"),
}


@pytest.mark.parametrize(("key", "value", "words"), RESUME.values(), ids=RESUME)
def test_what_cannot_be_resumed_can_be_started_from(tmp_path: Path, key: str, value: Any, words: str) -> None:
    path = saved(good() | {key: value}, tmp_path)
    content = load(path)
    assert set(model_state(content, path=path)) == {"w"}
    with pytest.raises(Refusal, match=f"cannot be resumed: {words}") as refusal:
        require_resumable(content, path=path)
    assert "start_from=RUN" in str(refusal.value)
    require_resumable(load(saved(good(), tmp_path)), path=path)


def test_official_files_by_the_same_rule(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 2)
    for state, words in (
        ({"weight": torch.full((2, 2), float("nan")), "bias": torch.ones(2)}, "no finite numbers"),
        ({"weight": torch.ones(1, 1).expand(10**6, 10**6), "bias": torch.ones(2)}, "claims the shape"),
    ):
        torch.save(state, tmp_path / "a.pth")
        with pytest.raises(Refusal, match=words):
            read_official(tmp_path / "a.pth")
    with pytest.raises(Refusal, match=r"weight is torch.int64 in the file, torch.float32 in the model"):
        load_official(linear, {"weight": torch.ones(2, 2, dtype=torch.long), "bias": torch.ones(2)})
    torch.save(linear.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_official(linear, read_official(tmp_path / "old.pth"))
