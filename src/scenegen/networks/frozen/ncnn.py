"""Weights in ncnn's binary format, for a network whose convolutions are defined in the order of the file.

Source: ncnn's public description of its .bin files. Each convolution has a tag of 4 bytes (0x01306B47: half floats
follow, padded to 4 bytes; 0: floats), its weights (out, in, kernel, kernel), and its bias as floats.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal

HALVES, FLOATS = 0x01306B47, 0


def is_ncnn(path: Path) -> bool:
    """True for a file that begins with ncnn's tag of half floats."""
    if path.suffix != ".bin" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == struct.pack("<I", HALVES)


def read_ncnn(path: Path, net: nn.Module) -> dict[str, Tensor]:
    """State dict of a network's convolutions, as float32.

    Args:
        path: of the .bin file.
        net: has the shapes; every convolution has a bias.

    Raises:
        Refusal: a file that is too short or too long for the network, or packed otherwise.
    """
    data, at = path.read_bytes(), 0
    state: dict[str, Tensor] = {}
    for name, conv in net.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        tag = struct.unpack("<I", _taken(data, at, 4, path))[0]
        if tag not in (HALVES, FLOATS):
            raise Refusal(f"{path} is not of this network, or packed in a way that is not read here: {name} begins "
                          f"with 0x{tag:08x}; choose model.blocks= and model.scale= as the file has them")  # fmt: skip
        weight, size = conv.weight, 2 if tag == HALVES else 4
        flat = np.frombuffer(_taken(data, at + 4, size * weight.numel(), path), f"<f{size}").astype(np.float32)
        at += 4 + -(-size * weight.numel() // 4) * 4
        assert conv.bias is not None
        bias = np.frombuffer(_taken(data, at, 4 * conv.bias.numel(), path), "<f4").copy()
        at += bias.nbytes
        state |= {f"{name}.weight": torch.from_numpy(flat).view(weight.shape), f"{name}.bias": torch.from_numpy(bias)}
    if at != len(data):
        raise Refusal(f"{path} is of a larger network: {len(data) - at} bytes are left over; choose model.blocks= as "
                      "the file has them")  # fmt: skip
    return state


def _taken(data: bytes, at: int, count: int, path: Path) -> bytes:
    if at + count > len(data):
        raise Refusal(f"{path} ends before the network does, after {len(data)} bytes; choose model.blocks= as the file "
                      "has them, or get the file again")  # fmt: skip
    return data[at : at + count]
