"""A score before and after every post, beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scenegen.posts.post import Post
from scenegen.scoring.record import Score


@dataclass(frozen=True)
class Stage:
    """Score of the pictures as they are after a post, or before all of them.

    Attributes:
        after: the post's option, "" for the model's own pictures.
        score: of the pictures; those of another size than the scored one are brought to it by bicubic.
    """

    after: str
    score: Score

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = {part.name: part.value for part in self.score.parts.values()}
        return {"after": self.after or "the model", "total": self.score.total, "parts": parts,
                "protocol": self.score.protocol["id"]}  # fmt: skip


def names_of(config: Mapping[str, Any]) -> list[str]:
    """Names of the stages of a run's config: "" and its posts, in their order."""
    return ["", *(config.get("post") or {})]


def resizes_before(posts: Sequence[Post], *, size: tuple[int, int], scored: Sequence[int]) -> list[str]:
    """Resizing of the pictures before each post: "squash" where they have not the size at which they are scored.

    Args:
        posts: in their order.
        size: (height, width) of the model's pictures.
        scored: height and width of the label maps.
    """
    found = []
    for post in posts:
        found.append("none" if size == tuple(scored) else "squash")
        size = post.size_after(*size)
    return found


def compared(stages: Sequence[Stage]) -> list[str]:
    """One sentence per post: the total, or every part where there is none, before and after it."""
    return [_sentence(before.score, after.score, post=after.after) for before, after in pairwise(stages)]


def _sentence(before: Score, after: Score, *, post: str) -> str:
    parts = ", ".join(
        f"{part.name} {part.value:.4f} -> {after.parts[role].value:.4f}" for role, part in before.parts.items()
    )
    if before.total is None or after.total is None:
        return f"post {post}: {parts}"
    lowers = after.total < before.total
    verb = "LOWERS the total" if lowers else "raises the total" if after.total > before.total else "keeps the total"
    cure = f"; post=none, or the others without {post}, scores more" if lowers else ""
    return f"post {post} {verb}: {before.total:.4f} -> {after.total:.4f} ({parts}){cure}"
