"""PatchMatch between two feature maps, vectorised, and one level of CoCosNet v2 that is made of it.

Offsets are (b, 2, h, w, k): axis 1 holds (rows, columns), the last axis the k candidates of each position, and a match
is the own position plus the offset. An index is row * w + column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scenegen.base.records import Refusal
from scenegen.networks.layers.convgru import KEPT, STATE, Refinement
from scenegen.networks.layers.exporting import exporting
from scenegen.networks.layers.precision import at_least_float32

SIDE = 4
REFINE = ("frozen", "trained", "none")


def to_offsets(index: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The offsets that lead from each position to its indices.

    Args:
        index: (b, h, w, k) int64 in [0, h w).
        dtype: of the result.

    Returns:
        (b, 2, h, w, k).

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    h, w = index.shape[1:3]
    row, column = _own(h, w, index)
    return torch.stack([index // w - row, index % w - column], dim=1).to(dtype)


def to_index(offsets: Tensor) -> Tensor:
    """The indices that offsets lead to; outside the map counts as its border.

    The sum row * w + column is truncated once, at the end, as in the published code: a fractional row spills into the
    column.

    Args:
        offsets: (b, 2, h, w, k), fractional or not.

    Returns:
        (b, h, w, k) int64 in [0, h w).

    Source: official release of CoCosNet v2.
    """
    rows, columns = positions(offsets)
    return torch.add(columns, rows, alpha=offsets.shape[3]).long()


def positions(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) that offsets lead to, each (b, h, w, k), kept inside the map."""
    h, w = offsets.shape[2:4]
    row, column = _own(h, w, offsets)
    return (offsets[:, 0] + row).clamp(0, h - 1), (offsets[:, 1] + column).clamp(0, w - 1)


def propagate(offsets: Tensor, *, horizontal: bool) -> Tensor:
    """Candidates of the previous neighbour, own ones, those of the next; a missing neighbour gives offsets 0.

    Args:
        offsets: (b, 2, h, w, k).
        horizontal: neighbours are left and right; else above and below.

    Returns:
        (b, 2, h, w, 3k).

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    axis = 3 if horizontal else 2
    edge = torch.zeros_like(offsets.narrow(axis, 0, 1))
    length = offsets.shape[axis] - 1
    previous = torch.cat([edge, offsets.narrow(axis, 0, length)], dim=axis)
    following = torch.cat([offsets.narrow(axis, 1, length), edge], dim=axis)
    return torch.cat([previous, offsets, following], dim=-1)


def first_candidates(index: Tensor) -> Tensor:
    """Sixteen candidates around each coarse match, for the map of twice the size: displacements -2, 0, 2, 4.

    Args:
        index: (b, h, w) int64 coarse matches.

    Returns:
        (b, 2, 2h, 2w, 16) offsets.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    steps = 2.0 * torch.arange(-1, SIDE - 1, device=index.device)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij")).view(1, 2, 1, 1, KEPT)
    around = 2 * to_offsets(index.unsqueeze(-1)) + window
    return around.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def evaluate(content: Tensor, exemplar: Tensor, offsets: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """The sixteen best candidates by cosine.

    Args:
        content: (b, h, w, c) of unit length.
        exemplar: (b, h, w, c) of unit length.
        offsets: (b, 2, h, w, k) candidates, k at least 16.
        temperature: of the softmax over the k candidates.

    Returns:
        Their offsets (b, 2, h, w, 16), whole numbers, and their softmax values (b, h, w, 16), falling. Of equal
        values, torch.topk picks.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    index = to_index(offsets)
    rows, matches, targets = content.flatten(1, 2), exemplar.flatten(0, 2), _across_batch(index)
    # no matmul: autocast would lower it, and at these sizes it is slower
    found = [
        (F.embedding(targets[:, block], matches) * rows[:, block].unsqueeze(2)).sum(-1)
        for block in _blocks(rows, candidates=targets.shape[2])
    ]
    similarity = torch.cat(found, dim=1)  # (b, h w, k)
    best = (similarity / temperature).softmax(-1).unflatten(1, index.shape[1:3]).topk(KEPT, dim=-1)
    return to_offsets(index.gather(-1, best.indices), dtype=offsets.dtype), best.values


def patchmatch_step(
    content: Tensor, exemplar: Tensor, offsets: Tensor, *, temperature: float, horizontal_first: bool
) -> tuple[Tensor, Tensor]:
    """Propagate and evaluate along one axis, then along the other.

    Args:
        content, exemplar: (b, h, w, c) of unit length.
        offsets: (b, 2, h, w, 16).
        temperature: of the softmax over 48 candidates.
        horizontal_first: the order of the axes.

    Returns:
        As `evaluate`.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    across = evaluate(content, exemplar, propagate(offsets, horizontal=horizontal_first), temperature=temperature)
    candidates = propagate(across[0], horizontal=not horizontal_first)
    return evaluate(content, exemplar, candidates, temperature=temperature)


def blend(content: Tensor, exemplar: Tensor, colours: Tensor, index: Tensor, *, temperature: float) -> Tensor:
    """Each position's candidate colours, weighed by the softmax of their cosines.

    Blocks are computed again in the backward pass, so that the gathered features are never held for all positions.

    Args:
        content, exemplar: (b, h, w, c) of unit length.
        colours: (b, h, w, 3) of the exemplar.
        index: (b, h, w, k) int64 candidates.
        temperature: of the softmax over the k candidates.

    Returns:
        (b, h, w, 3); no gradient reaches the index.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """
    c = content.shape[-1]
    rows, source = content.flatten(1, 2), torch.cat([exemplar, colours], dim=-1).flatten(0, 2)
    targets = _across_batch(index)

    def one(rows: Tensor, source: Tensor, targets: Tensor) -> Tensor:
        matched = F.embedding(targets, source)  # (b, n, k, c + 3)
        weights = ((matched[..., :c] * rows.unsqueeze(2)).sum(-1) / temperature).softmax(-1)
        return (matched[..., c:] * weights.unsqueeze(-1)).sum(2)

    parts = [
        checkpoint(one, rows[:, block], source, targets[:, block], use_reentrant=False, preserve_rng_state=False)
        for block in _blocks(rows, candidates=targets.shape[2])
    ]
    return torch.cat(parts, dim=1).unflatten(1, content.shape[1:3])


def blend_between(content: Tensor, exemplar: Tensor, colours: Tensor, offsets: Tensor, *, temperature: float) -> Tensor:
    """As `blend`, but reading the exemplar between its pixels (bilinear), which gives the offsets a gradient.

    Args:
        content, exemplar: (b, h, w, c) of unit length.
        colours: (b, h, w, 3) of the exemplar.
        offsets: (b, 2, h, w, k), fractional.
        temperature: of the softmax over the k candidates.

    Returns:
        (b, h, w, 3).

    Source: this project; the published refinement gets no gradient.
    """
    b, h, w, c = content.shape
    rows, columns = positions(offsets)
    grid = torch.stack([2 * columns / (w - 1) - 1, 2 * rows / (h - 1) - 1], dim=-1).flatten(1, 2)  # (b, h w, k, 2)
    source = torch.cat([exemplar, colours], dim=-1).permute(0, 3, 1, 2)
    matched = F.grid_sample(source, grid, padding_mode="border", align_corners=True)  # (b, c + 3, h w, k)
    own = content.flatten(1, 2).transpose(1, 2).unsqueeze(-1)
    weights = ((matched[:, :c] * own).sum(1, keepdim=True) / temperature).softmax(-1)
    return (matched[:, c:] * weights).sum(-1).transpose(1, 2).view(b, h, w, -1)


class PatchMatch(nn.Module):
    """One level of the hierarchy: candidates in, better candidates and the warped exemplar out.

    Args:
        channels: of the matching features.
        iterations: PatchMatch steps, each followed by one update of the refinement.
        temperature: of every softmax.
        refine: "frozen" is the published arithmetic: the refinement moves the candidates but no gradient
            reaches it, so it keeps its initial weights for ever; "trained" reads the exemplar between its pixels,
            which trains it; "none" leaves it out, more than half of the work.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), GRU-assisted PatchMatch; official release.
    """

    def __init__(self, *, channels: int, iterations: int, temperature: float, refine: str) -> None:
        super().__init__()
        if iterations < 1 or temperature <= 0:
            raise Refusal(
                f"iterations and temperature must be positive, got {iterations} and {temperature}; 5 and 0.01 are "
                "published"
            )
        if refine not in REFINE:
            raise Refusal(f"refine={refine!r} is not known; choose one of {', '.join(REFINE)}")
        self.iterations = iterations
        self.temperature = temperature
        self.refined = refine != "none"
        self.trained = refine == "trained"
        self.initial_layer = nn.Sequential(
            nn.Conv2d(2 * channels, STATE, 3, padding=1),
            nn.InstanceNorm2d(STATE),
            nn.ReLU(),
            nn.Conv2d(STATE, STATE, 3, padding=1),
            nn.InstanceNorm2d(STATE),
            nn.ReLU(),
        )
        self.refine_net = Refinement()
        self.requires_grad_(self.trained)

    def forward(
        self, content: Tensor, exemplar: Tensor, colours: Tensor, offsets: Tensor, *, horizontal_first: Sequence[bool]
    ) -> tuple[Tensor, Tensor]:
        """Search, then warp.

        Args:
            content, exemplar: (b, channels, h, w) of unit length.
            colours: (b, 3, h, w) the exemplar's picture at this size.
            offsets: (b, 2, h, w, 16) first candidates.
            horizontal_first: per iteration, the order of the axes.

        Returns:
            The candidates' indices (b, h, w, 16), int64, and the warped exemplar (b, 3, h, w).
        """
        theta, phi = (at_least_float32(t).permute(0, 2, 3, 1).contiguous() for t in (content, exemplar))
        values = at_least_float32(colours).permute(0, 2, 3, 1)
        with torch.set_grad_enabled(self.trained and torch.is_grad_enabled()):
            state = self._state(content, exemplar)
            offsets = self._search(theta, phi, offsets.to(theta.dtype), state, horizontal_first)
        if self.trained:
            warped = blend_between(theta, phi, values, offsets, temperature=self.temperature)
            return to_index(offsets.detach().round()), warped.permute(0, 3, 1, 2)
        index = to_index(offsets)
        return index, blend(theta, phi, values, index, temperature=self.temperature).permute(0, 3, 1, 2)

    def _state(self, content: Tensor, exemplar: Tensor) -> Tensor | None:
        return self.initial_layer(torch.cat([content, exemplar], dim=1)) if self.refined else None

    def _search(
        self, theta: Tensor, phi: Tensor, offsets: Tensor, hidden: Tensor | None, horizontal_first: Sequence[bool]
    ) -> Tensor:
        for first in horizontal_first:
            with torch.no_grad():
                offsets, kept = patchmatch_step(
                    theta, phi, offsets, temperature=self.temperature, horizontal_first=first
                )
            if hidden is not None:
                flow = offsets.permute(0, 1, 4, 2, 3).flatten(1, 2)
                hidden, moves = self.refine_net(hidden, kept.permute(0, 3, 1, 2), flow)
                offsets = offsets + moves.unflatten(1, (2, KEPT)).permute(0, 1, 3, 4, 2)
        return offsets


def _own(h: int, w: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Each position's own row (h, 1, 1) and column (w, 1)."""
    device = like.device
    return torch.arange(h, device=device).view(h, 1, 1), torch.arange(w, device=device).view(w, 1)


def _across_batch(index: Tensor) -> Tensor:
    """(b, h, w, k) indices into one sample's map -> (b, h w, k) into all samples' positions."""
    b, h, w, _ = index.shape
    first = torch.arange(b, device=index.device).mul(h * w).view(-1, 1, 1, 1)
    return (index + first).flatten(1, 2)


def _blocks(rows: Tensor, *, candidates: int) -> Iterator[slice]:
    """Slices of positions (b, n, c) whose gathered features fit the CPU's cache, or a quarter GiB elsewhere.

    A graph that is passed on is cut as for one sample, whatever its batch, and into few pieces: each is nodes of it.
    """
    held = 2**19 if rows.device.type == "cpu" else 2**26
    floats = 2**22 if exporting() else held // len(rows)
    size = max(1, floats // (candidates * rows.shape[2]))
    return (slice(i, i + size) for i in range(0, rows.shape[1], size))
