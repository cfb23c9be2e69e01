"""Command line of a resumed run: values may be those of the run's config, which the defaults need not have."""

from __future__ import annotations

from collections.abc import Sequence

from scenegen.config.documented import is_group

NOTHING = ("", "null", "none")
MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")


def with_values_of_the_run(words: Sequence[str]) -> list[str]:
    """Command line on which every value beside `resume=RUN` is forced (`++key=value`).

    Hydra composes the defaults, in which `loss.cx.weight` is no key; config/resumed.py then refuses what the run lacks.
    """
    if not any(_key(word) == "resume" and _value(word) not in NOTHING for word in words):
        return list(words)
    if any(word in MULTIRUN for word in words):
        return list(words)
    return [f"++{word}" if _is_value(word) else word for word in words]


def _is_value(word: str) -> bool:
    key = _key(word)
    if "=" not in word or not key or key[0] in "-+~" or any(sign in key for sign in "@/ "):
        return False
    return not is_group(key) and key not in ("resume", "name") and not key.startswith("hydra.")


def _key(word: str) -> str:
    return word.partition("=")[0]


def _value(word: str) -> str:
    return word.partition("=")[2].strip("'\" ")
