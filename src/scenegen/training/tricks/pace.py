"""The slot `pace`: discriminator steps on some rounds only."""

from __future__ import annotations

from scenegen.base.records import Refusal


class Pace:
    """A discriminator step on every n-th round, a generator step on each.

    Args:
        discriminator_every: n, 1 or more.
    """

    def __init__(self, *, discriminator_every: int) -> None:
        if discriminator_every < 1:
            raise Refusal(f"trick.pace.discriminator_every={discriminator_every} must be 1 or more; 1 is every round")
        self.discriminator_every = discriminator_every
