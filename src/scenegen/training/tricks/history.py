"""The slot `history`: generated pictures of earlier rounds, shown to the discriminator again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal


class Draws:
    """Numbers of one round, a function of its seed."""

    def __init__(self, seed: int) -> None:
        self.stream = torch.Generator().manual_seed(seed)

    def share(self) -> float:
        """A number in [0, 1)."""
        return float(torch.rand((), generator=self.stream))

    def below(self, count: int) -> int:
        """A whole number in 0..count-1."""
        return int(torch.randint(count, (), generator=self.stream))


class ImagePool(nn.Module):
    """A store of generated pictures; half of the time an old one takes the place of a new one, which is kept for it.

    Pictures of several domains stand beside each other in the channels, three each, and have a store of their own,
    asked one after the other. Until a store is full it keeps every picture and returns it.

    Args:
        size: pictures per store, >= 0.
        height, width: of the pictures.
        domains: of the pictures that the discriminator judges side by side.

    Attributes:
        pictures: (size, 3 n, height, width) for n domains, in checkpoints.
        kept: (n,) pictures in each store.
        counts: the same n numbers, which the CPU knows without asking the device.

    Source: Shrivastava et al., CVPR 2017, section 2.3; Zhu et al., ICCV 2017, section 4 (50 pictures).
    """

    pictures: Tensor
    kept: Tensor

    def __init__(self, *, size: int, height: int, width: int, domains: int) -> None:
        super().__init__()
        if not 0 <= size <= 10_000:
            raise Refusal(f"trick.history.size={size} must lie in 0..10000; 50 is as published, 0 keeps none")
        self.size = size
        self.register_buffer("pictures", torch.zeros(size, 3 * domains, height, width))
        self.register_buffer("kept", torch.zeros(domains, dtype=torch.long))
        self.counts = [0] * domains

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.counts = self.kept.tolist()

    @torch.no_grad()
    def forward(self, fresh: Tensor, *, seed: int, draws: Callable[[int], Draws] = Draws) -> Tensor:
        """The pictures that the discriminator sees in this round.

        Args:
            fresh: (b, 3 n, h, w) generated in this round.
            seed: of the round.
            draws: seed -> the round's draws.
        """
        if not self.size:
            return fresh
        if fresh.shape[1:] != self.pictures.shape[1:]:
            theirs, own = (tuple(t.shape[1:]) for t in (fresh, self.pictures))
            raise Refusal(f"trick=image_pool keeps pictures {own}, but the discriminator sees {theirs}; leave it out")
        drawn, shown = draws(seed), fresh.clone()
        for domain in range(len(self.kept)):
            planes = slice(3 * domain, 3 * domain + 3)
            for picture in shown:
                self._exchange(picture[planes], self.pictures[:, planes], domain, drawn)
        return shown

    def _exchange(self, picture: Tensor, store: Tensor, domain: int, drawn: Draws) -> None:
        """Keep a picture, or exchange it for one that was kept, in place."""
        count = self.counts[domain]
        if count < self.size:
            store[count] = picture
            self.counts[domain] += 1
            self.kept[domain] += 1
        elif drawn.share() > 0.5:
            slot = drawn.below(self.size)
            old = store[slot].clone()
            store[slot] = picture
            picture.copy_(old)
