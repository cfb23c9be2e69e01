"""The slot `pace`: discriminator steps on some rounds only, a generator step on each."""

from __future__ import annotations

from scenegen.base.records import Refusal


class Pace:
    """A discriminator step on every n-th round.

    Args:
        discriminator_every: n, 1 or more.

    Attributes:
        said: the option and its value, for sentences.
    """

    def __init__(self, *, discriminator_every: int) -> None:
        self.said = f"trick.pace.discriminator_every={discriminator_every}"
        if discriminator_every < 1:
            raise Refusal(f"{self.said} must be 1 or more; 1 is every round")
        self.discriminator_every = discriminator_every

    @property
    def skips(self) -> bool:
        """True where some rounds have no discriminator step."""
        return self.discriminator_every > 1

    def judges(self, step: int) -> bool:
        """True where the round of a step, counted from 0, has one."""
        return step % self.discriminator_every == 0


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
