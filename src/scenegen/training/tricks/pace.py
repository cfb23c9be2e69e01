"""The slot `pace`: discriminator steps on some rounds only, a generator step on each."""

from __future__ import annotations

from scenegen.base.records import Refusal


class Pace:
    """A discriminator step on every n-th round.

    Args:
        discriminator_every: n, 1 or more.
        discriminator_first: round of the first discriminator step, counted from 0, below n.

    Attributes:
        said: the option and its value, for sentences.
    """

    def __init__(self, *, discriminator_every: int, discriminator_first: int) -> None:
        self.said = f"trick.pace.discriminator_every={discriminator_every}"
        if discriminator_every < 1:
            raise Refusal(f"{self.said} must be 1 or more; 1 is every round")
        if not 0 <= discriminator_first < discriminator_every:
            raise Refusal(f"trick.pace.discriminator_first={discriminator_first} must be 0 (the first round) or more, "
                          f"and below discriminator_every={discriminator_every}")  # fmt: skip
        self.discriminator_every, self.discriminator_first = discriminator_every, discriminator_first

    @property
    def skips(self) -> bool:
        """True where some rounds have no discriminator step."""
        return self.discriminator_every > 1

    def judges(self, step: int) -> bool:
        """True where the round of a step, counted from 0, has one."""
        return step % self.discriminator_every == self.discriminator_first


class Warmup:
    """A discriminator step on every round from one on; schedules of the terms say what the generator has before.

    Args:
        start: the first round with one, counted from 0.

    Attributes:
        said, skips: see `Pace`.

    Source: the contest log's ESRGAN, which warms up by pixels alone.
    """

    skips = True

    def __init__(self, *, start: int) -> None:
        self.said = f"trick.pace.start={start}"
        if start < 1:
            raise Refusal(f"{self.said} must be 1 or more; leave warmup out of trick= to begin at once")
        self.start = start

    def judges(self, step: int) -> bool:
        """See `Pace`."""
        return step >= self.start
