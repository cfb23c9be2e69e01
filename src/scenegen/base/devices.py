"""Tensors that are made on the CPU and sent to the networks' device without a wait."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on another device; a GPU takes it from page-locked memory while the CPU goes on."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
