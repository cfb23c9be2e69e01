"""Names of ESRGAN's parameters in the files of five code bases, and here (Real-ESRGAN's)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

FIXED = {
    "RRDB_trunk.": {  # ESRGAN's release
        "trunk_conv": "conv_body",
        "upconv1": "conv_up1",
        "upconv2": "conv_up2",
        "HRconv": "conv_hr",
    },
    "model.1.sub.": {  # BasicSR of 2018
        "model.0": "conv_first",
        "model.3": "conv_up1",
        "model.6": "conv_up2",
        "model.8": "conv_hr",
        "model.10": "conv_last",
    },
    "res_blocks.": {  # the log's
        "conv1": "conv_first",
        "conv2": "conv_body",
        "conv3.0": "conv_hr",
        "conv3.2": "conv_last",
    },
}
"""Beginning of the trunk's names -> other layers by their names there, and here."""

BLOCKS = (
    (re.compile(r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)"), 0),
    (re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0"), 0),
    (re.compile(r"res_blocks\.(\d+)\.dense_blocks\.(\d)\.b(\d)\.0"), 1),
)
"""Names of the convolutions in blocks, and what to add to the number of the dense block."""

LAST_OF_TRUNK = re.compile(r"model\.1\.sub\.\d+$")
"""BasicSR's convolution after the blocks, whose number is theirs."""


def own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under this project's names; names of no known code base stay as they are."""
    fixed = next((names for start, names in FIXED.items() if any(key.startswith(start) for key in state)), None)
    if fixed is None:
        return dict(state)
    return {f"{_layer(layer, fixed)}.{leaf}": tensor for (layer, _, leaf), tensor in _split(state)}


def _split(state: Mapping[str, Tensor]):
    return ((key.rpartition("."), tensor) for key, tensor in state.items())


def _layer(name: str, fixed: Mapping[str, str]) -> str:
    for pattern, first in BLOCKS:
        if found := pattern.fullmatch(name):
            block, dense, conv = (int(number) for number in found.groups())
            return f"body.{block}.rdb{dense + first}.conv{conv}"
    return "conv_body" if LAST_OF_TRUNK.match(name) else fixed.get(name, name)
