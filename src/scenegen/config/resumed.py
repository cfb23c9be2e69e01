"""Config of a resumed run: what may change, by what a change does and not by how it is spelt.

Everything that is not in MAY_CHANGE (network, data, order, seed) would make another run and is refused before anything
is built or loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scenegen.base.refusal import Refusal
from scenegen.config.documented import is_group
from scenegen.config.flat import leaves
from scenegen.config.groups import GROUPS
from scenegen.config.moved import moved_sentence
from scenegen.config.plan import resolve
from scenegen.runs.record import ABSENT, Changed

MAY_CHANGE = {
    "length": "steps",
    "record": "log_every log_grads_every grid_every checkpoint_every keep_checkpoints interim_every interim_count "
    "logger logger.*",
    "place": "weights.dir data.root data.cache_mib",
    "machine": "trainer.*",
    "result": "data.kind evaluate evaluate_count evaluate_size beside post post.* measure measure.* segmenter "
    "segmenter.* aesthetic aesthetic.* fid fid.* scorer scorer.*",
    "course": "optim.lr optim.lr_generator optim.lr_discriminator optim.equal_after optim.constant_steps "
    "optim.decay_steps optim.steps loss.+.weight loss.+.schedule loss.+.schedule.*",
}
"""Kind of change -> keys; `*` is anything below, `+` one name. A change of "course" makes weights that no run of one
config has, so reports name it; data.root may move where the content is the same."""

PRESETS = ("experiment", "task", "debug", "protocol", "launcher", "sweep")
"""Groups whose options set values in many places."""

LEFT_ALONE = ("resume", "name", "extensions")
"""Keys of a command line that are no values of the run."""


@dataclass(frozen=True)
class Resumed:
    """Config that a run goes on with, unresolved, and the values of it that are new."""

    config: DictConfig
    changes: tuple[Changed, ...]


def resumed(config: Mapping[str, Any], overrides: Sequence[str], *, composed: DictConfig, run: str) -> Resumed:
    """Config of a resumed run with the changes of a command line.

    Args:
        config: the run's config, unresolved, in today's spelling.
        overrides: of the command line; a value may bear `++` (cli/resume.py).
        composed: config that Hydra made of the command line; options of groups are taken from it.
        run: name of the run.

    Raises:
        Refusal: a change would make another run, or there is no such key.
    """
    before = OmegaConf.create(dict(config))
    after = OmegaConf.create(dict(config))
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    kept = [override for override in parsed if override.key_or_group not in LEFT_ALONE]
    _require_own_name(parsed, run=run)
    for override in kept:
        if _is_group(override):
            _choose(after, override, composed=composed, run=run)
    for override in kept:
        if not _is_group(override):
            _set(after, override, run=run)
    try:
        changes = changed(before, after)
    except Refusal:  # another model, say, lacks a key that the run's loss refers to
        if strange := [change for change in _as_written(before, after) if not change.kind]:
            raise Refusal(_sentence(strange, run=run)) from None
        raise
    if strange := [change for change in changes if not change.kind]:
        raise Refusal(_sentence(strange, run=run))
    return Resumed(after, tuple(changes))


def changed(before: DictConfig, after: DictConfig) -> list[Changed]:
    """Values in which two configs differ, as they are written and in what they mean."""
    old, new = (_leaves(_plain(cfg)) for cfg in (before, after))
    was_meant, now_meant = (_leaves(resolve(cfg)) for cfg in (before, after))
    found = []
    for key in dict.fromkeys([*was_meant, *now_meant]):
        was, now = was_meant.get(key, ABSENT), now_meant.get(key, ABSENT)
        kind = kind_of(key, was, now)
        # What only follows another key (${steps}) is no change of its own, unless the course follows.
        follows = old.get(key, ABSENT) == new.get(key, ABSENT) and kind != "course"
        if was != now and not follows:
            found.append(Changed(key, was, now, kind))
    return found


def _as_written(before: DictConfig, after: DictConfig) -> list[Changed]:
    """Values in which two configs differ as they are written, interpolations unfollowed."""
    old, new = (_leaves(_plain(cfg)) for cfg in (before, after))
    pairs = [(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in dict.fromkeys([*old, *new])]
    return [Changed(key, was, now, kind_of(key, was, now)) for key, was, now in pairs if was != now]


def kind_of(key: str, was: Any, now: Any) -> str:
    """Kind of a change, a key of MAY_CHANGE; "" where it makes another run."""
    if re.fullmatch(r"loss\.[^.]+\.weight", key) and not (_positive(was) and _positive(now)):
        return ""  # a term that joins or leaves makes another objective, and often another network
    return next((kind for kind, keys in MAY_CHANGE.items() if any(_matches(key, known) for known in keys.split())), "")


def _matches(key: str, known: str) -> bool:
    return re.fullmatch(re.escape(known).replace(r"\*", ".*").replace(r"\+", "[^.]+"), key) is not None


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0


def _is_group(override: Override) -> bool:
    key = override.key_or_group
    return key in PRESETS or is_group(key)


def _require_own_name(overrides: Sequence[Override], *, run: str) -> None:
    for override in overrides:
        if override.key_or_group == "name" and override.value() not in (None, run):
            raise Refusal(
                f"resume={run} goes on in the run's own folder, so {override.input_line} has no place; leave it out, "
                f"or start a new run from its networks with start_from={run} {override.input_line}"
            )


def _choose(after: DictConfig, override: Override, *, composed: DictConfig, run: str) -> None:
    """Put another option of a group into the config."""
    group = override.key_or_group
    if group in PRESETS:
        raise Refusal(
            f"{override.input_line} sets values in many places, and resume={run} has the run's own; leave it out, or "
            "give the values that shall change (steps=..., log_every=...)"
        )
    if override.package or override.is_add() or override.is_delete():
        raise Refusal(f"resume={run} does not read {override.input_line}; write {group}=OPTION, or leave it out")
    node = OmegaConf.select(composed, group)
    if node is None and GROUPS[group].additive:
        node = OmegaConf.create({})
    OmegaConf.update(after, group, node, merge=False, force_add=True)


def _set(after: DictConfig, override: Override, *, run: str) -> None:
    """Set one value that the config has."""
    key, line = override.key_or_group, str(override.input_line).removeprefix("++")
    if override.is_add() or override.is_delete():
        raise Refusal(
            f"resume={run} goes on with the keys that the run has, and {override.input_line} would make it another "
            f"run: change values only (key.path=value), or start a new run from its networks with start_from={run}"
        )
    place, _, name = key.rpartition(".")
    try:
        holder = OmegaConf.select(after, place) if place else after
    except OmegaConfBaseException:
        holder = None
    if not isinstance(holder, DictConfig) or name not in holder:
        if moved := moved_sentence(key):
            raise Refusal(moved)
        raise Refusal(f"{line}: the config of run {run} has no {key}; {_keys_above(after, key)}")
    OmegaConf.update(after, key, override.value(), merge=False)


def _keys_above(cfg: DictConfig, key: str) -> str:
    """Keys at the deepest place of a path that a config has."""
    place, holder = "", _plain(cfg)
    for part in key.split(".")[:-1]:
        if not isinstance(holder.get(part), dict):
            break
        place, holder = f"{place}.{part}".lstrip("."), holder[part]
    return f"keys {'of ' + place if place else 'at its top'}: {', '.join(map(str, holder)) or 'none'}"


def _sentence(changes: Sequence[Changed], *, run: str) -> str:
    shown = ", ".join(f"{c.key}={_said(c.now)} (it has {_said(c.was)})" for c in changes[:4])
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    return (
        f"resume={run} goes on with the run's own networks, data and order, and {shown}{more} would make it another "
        f"run; leave that out, or start a new run from its networks with start_from={run}"
    )


def _said(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(cfg: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key not in ("name", "resume", "hydra")}


def _leaves(node: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> value of everything that is no mapping and may make another run."""
    return {path: value for path, value in leaves(node) if path not in ("name", "resume")}
