"""Mixed precision: the dtype that autocast asks for, and float32 for results."""

from __future__ import annotations

import torch
from torch import Tensor


def autocast_dtype(tensor: Tensor) -> torch.dtype | None:
    """The lower precision that autocast asks for on the tensor's device; None outside autocast."""
    device = tensor.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor in float32 (float64 stays): for results that losses and 8-bit pictures are made of."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
