"""Point from which a run goes on: its checkpoint, what is left to do, and the data that it must find again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenegen.base.files import near, read_json
from scenegen.base.refusal import Refusal
from scenegen.runs.checkpoints import load, require_resumable
from scenegen.runs.folder import RESULT, checkpoint_path, checkpoints_of, is_checkpoint, name_of, step_of
from scenegen.runs.record import read_record

SUFFIX = ".ckpt"


@dataclass(frozen=True)
class Point:
    """A checkpoint, and the step that it holds.

    Attributes:
        path: the file.
        step: its clock.
        content: of `runs.checkpoints.load`, to be looked at before training; None once it was.
    """

    path: Path
    step: int
    content: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Nothing:
    """Answer where nothing is left to do, and the total that the run has."""

    text: str
    total: float | None


def resume_point(folder: Path, resume: str) -> Point | None:
    """Newest checkpoint of a run, or the one that `resume=` names; None for a run that saved none.

    Raises:
        Refusal: the checkpoint cannot be read or is not what its name says; an older one that is whole is named.
    """
    saved = checkpoints_of(folder)
    if resume.endswith(SUFFIX):
        path = Path(resume)
        return _point(path)
    if not saved:
        return None
    try:
        return _point(saved[-1])
    except Refusal as refusal:
        whole = next((path for path in reversed(saved[:-1]) if _is_whole(path)), None)
        cure = f"the checkpoint before it is whole: go on from it with resume={near(whole)}" if whole else (
            f"no older checkpoint is whole: start a new run, or remove {saved[-1].parent} to start this one again"
        )  # fmt: skip
        raise Refusal(f"{refusal}; {cure}") from refusal


def set_aside_newer(folder: Path, point: Point | None) -> None:
    """Rename the checkpoints of steps that a run makes again, because it goes on from an older one."""
    for path in checkpoints_of(folder):
        if point is not None and step_of(path) > point.step:
            path.rename(path.with_name(f"replaced_{path.name}"))


def nothing_left(
    folder: Path, point: Point | None, *, steps: int, evaluate: bool, digest: str, changes: Sequence[Any]
) -> Nothing | None:
    """Answer where a run has its steps, and its result where it shall have one; None where something is to be done.

    Raises:
        Refusal: fewer steps than the run has.
    """
    if point is None or point.step < steps:
        return None
    name = name_of(folder)
    if point.step > steps:
        raise Refusal(
            f"run {name} is at step {point.step}, and steps={steps} is less; give steps={point.step} or more, or "
            f"sample an earlier checkpoint (python -m scenegen.sample run={name} checkpoint=FILE)"
        )
    if not evaluate:
        return Nothing(f"run {name} has its {steps} steps; give steps=... to go on, or evaluate=true to score it", None)
    result = read_json(folder / RESULT)
    made = result.get("config") if isinstance(result, dict) else None
    if made is None or (made != digest and (changes or made != read_record(folder).config)):
        return None
    total = result.get("total")
    return Nothing(
        f"run {name} has its {steps} steps and its result (total {total}); give steps=... to go on",
        total if isinstance(total, float) else None,
    )


def require_same_data(
    before: Mapping[str, Any] | None, now: Mapping[str, Mapping[str, Any]], *, changes: Sequence[Any], run: str
) -> None:
    """Refuse data of another content than the run began with.

    Args:
        before: fingerprints of the splits in the run's record; None in an old one.
        now: fingerprints of the splits, with the words for each part that differs.
        changes: of the config, with `key` and `now`.
        run: name of the run.
    """
    moved = next((change for change in changes if change.key == "data.root"), None)
    if before is None:
        if moved is not None:
            raise Refusal(
                f"data.root={moved.now}: run {run} was made before the content of data was recorded, so nothing tells "
                f"that these are its data; leave it out, or start a new run with start_from={run}"
            )
        return
    parts = {split: differing for split in now if (differing := _differing(before.get(split) or {}, now[split]))}
    if parts:
        where = f"data.root={moved.now} holds other data than run {run} began with" if moved else (
            f"the data are no longer those that run {run} began with"
        )  # fmt: skip
        said = "; ".join(f"{split}: {', '.join(differing)} differ" for split, differing in parts.items())
        raise Refusal(f"{where} ({said}); put them back, or start a new run from its networks with start_from={run}")


WORDS = {
    "count": "number of pictures",
    "names": "names",
    "classes": "classes",
    "sizes": "sizes of the files",
    "content": "content of the files",
}
"""Part of a fingerprint (data/fingerprint.py) in words."""


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [word for key, word in WORDS.items() if before.get(key) != now.get(key)]


def clock_of(checkpoint: Path) -> int:
    """Step that a checkpoint holds.

    Raises:
        Refusal: another step than its name says, or a file that is no checkpoint of a run.
    """
    return _point(checkpoint).step


def _point(checkpoint: Path) -> Point:
    content = load(checkpoint)
    require_resumable(content, path=checkpoint)
    step = int(content["state_dict"]["clock"])
    if is_checkpoint(checkpoint) and step != step_of(checkpoint):
        raise Refusal(
            f"{checkpoint} holds step {step}, and its name says {step_of(checkpoint)}; rename it to "
            f"{checkpoint_path(checkpoint.parent, step).name}, or move it out of the run's folder"
        )
    return Point(checkpoint, step, content)


def _is_whole(path: Path) -> bool:
    try:
        clock_of(path)
    except Refusal:
        return False
    return True
