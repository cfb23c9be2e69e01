"""Devices that this machine does not have are refused with the option and the cure."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.devices import usable
from scenegen.base.refusal import Refusal


@pytest.mark.parametrize(
    ("device", "words"),
    [("gpu", "'gpu' is no device; give cpu, cuda"), ("", "'' is no device"), ("CUDA", "is no device"),
     ("meta", r"device=meta cannot be used here \(.*; use device=cpu")],
)  # fmt: skip
def test_words_that_are_no_device_and_devices_without_numbers(device: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        usable(device)


def test_a_build_without_cuda_is_told_by_an_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("Torch not compiled with CUDA enabled")

    assert usable("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(Refusal, match=r"device=cuda cannot be used here \(Torch not compiled"):
        usable("cuda")
