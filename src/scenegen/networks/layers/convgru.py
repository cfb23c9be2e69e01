"""The ConvGRU that moves PatchMatch's candidates in CoCosNet v2, after the update block of RAFT."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KEPT = 16
"""Candidates per position; the widths of the published layers follow from it."""
STATE = 32


class MotionEncoder(nn.Module):
    """Encoder of the candidates: their softmax values and offsets become 32 + 2k channels for the refinement."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(KEPT, 64, 1)
        self.convc2 = nn.Conv2d(64, 64, 3, padding=1)
        self.convf1 = nn.Conv2d(2 * KEPT, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv = nn.Conv2d(128, 2 * KEPT, 3, padding=1)

    def forward(self, kept: Tensor, flow: Tensor) -> Tensor:
        """(b, 16, h, w) softmax values and (b, 32, h, w) offsets -> (b, 64, h, w)."""
        values = F.relu(self.convc2(F.relu(self.convc1(kept))))
        moves = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([values, moves], dim=1))), flow], dim=1)


class SeparableGRU(nn.Module):
    """A convolutional GRU in two passes, along the rows (1x5) and along the columns (5x1)."""

    def __init__(self, *, hidden: int = STATE, inputs: int = 4 * KEPT) -> None:
        super().__init__()
        for i, (kernel, padding) in enumerate((((1, 5), (0, 2)), ((5, 1), (2, 0))), start=1):
            for gate in "zrq":
                self.add_module(f"conv{gate}{i}", nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding))

    def forward(self, hidden: Tensor, motion: Tensor) -> Tensor:
        """(b, 32, h, w) state and (b, 64, h, w) input -> the new state."""
        gates = list(self.children())
        for update, reset, candidate in (gates[:3], gates[3:]):
            both = torch.cat([hidden, motion], dim=1)
            z, r = torch.sigmoid(update(both)), torch.sigmoid(reset(both))
            q = torch.tanh(candidate(torch.cat([r * hidden, motion], dim=1)))
            hidden = (1 - z) * hidden + z * q
        return hidden


class FlowHead(nn.Module):
    """The move of each candidate, read from the state: 16 rows, then 16 columns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(STATE, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 2 * KEPT, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, 32, h, w) -> (b, 32, h, w)."""
        return self.conv2(F.relu(self.conv1(hidden)))


class Refinement(nn.Module):
    """One ConvGRU update of the candidates, after RAFT's.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), ConvGRU refinement; Teed and Deng, ECCV 2020 (RAFT), update operator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = SeparableGRU()
        self.flow_head = FlowHead()

    def forward(self, hidden: Tensor, kept: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Update.

        Args:
            hidden: (b, 32, h, w) the state.
            kept: (b, 16, h, w) softmax values of the candidates.
            flow: (b, 32, h, w) their offsets, 16 rows, then 16 columns.

        Returns:
            The new state and the moves to add to the offsets, both (b, 32, h, w).
        """
        hidden = self.gru(hidden, self.encoder(kept, flow))
        return hidden, self.flow_head(hidden)
