"""The networks' device: one that this machine has, and tensors that are sent to it without a wait."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on another device; a GPU takes it from page-locked memory while the CPU goes on."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def usable(device: str) -> torch.device:
    """The device of an option device=, tried with one number.

    Raises:
        Refusal: no device of torch's, or none that this machine and this build of torch have.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise Refusal(f"device={device!r} is no device; give cpu, cuda, cuda:1 or mps") from error
    try:
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError) as error:  # the second where torch was built without CUDA
        raise Refusal(f"device={device} cannot be used here ({str(error).splitlines()[0]}); use device=cpu") from error
    return found
