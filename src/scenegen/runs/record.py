"""Record of a run (run.json): its command line, its data, every time that it was resumed, and with which changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from scenegen.base.documents import of_shape, read_json
from scenegen.base.files import write_json, write_text
from scenegen.base.refusal import Refusal
from scenegen.runs.folder import CONFIG, RECORD, as_stored, name_of, provenance

CURE = "the file was changed or damaged: put it back, or start a new run from this one's networks with start_from="
NOT_CHOICES = ("resume", "name", "seed")

ABSENT = "(absent)"
"""In place of a value that there was not, or is not."""


@dataclass(frozen=True)
class Changed:
    """One value that a resume changed; `kind` is a key of config/resumed.py's MAY_CHANGE.

    ABSENT where there was or is none.
    """

    key: str
    was: Any
    now: Any
    kind: str


@dataclass(frozen=True)
class Resume:
    """One time that a run was resumed.

    Attributes:
        time: UTC, ISO 8601.
        step: step that it went on from.
        overrides: of the command line.
        changes: values that became others.
        before, config: digest of the config until then, and from then on.
        commit, versions: of the code and of its libraries.
    """

    time: str
    step: int
    overrides: list[str]
    changes: list[Changed]
    before: str
    config: str
    commit: str | None = None
    versions: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """Record of a run.

    Attributes:
        config: digest of the config that the run has now.
        overrides: of the command line that started it.
        resumes: oldest first.
        data: fingerprint of each split (data/fingerprint.py); None in records of release 0.2 and older.
        chosen_on: names of the test maps by which the checkpoints of a soup were chosen.
        read: stamps of the frozen networks that the training read.
        content: everything in the file.
    """

    config: str
    overrides: list[str]
    resumes: list[Resume]
    data: dict[str, Any] | None
    content: Mapping[str, Any]
    chosen_on: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def until(self, digest: str) -> Record | None:
        """The record as it was when the config had a digest; None where it never had it."""
        for count in range(len(self.resumes), -1, -1):
            if (self.resumes[count - 1].config if count else self.born) == digest:
                return Record(digest, self.overrides, self.resumes[:count], self.data, self.content)
        return None

    @property
    def born(self) -> str:
        """Digest of the config that the run was started with."""
        return self.resumes[0].before if self.resumes else self.config

    @property
    def choices(self) -> list[str]:
        """Overrides that made the run what it is: those of its start, replaced by those of its resumes."""
        found = {_key(word): word for word in self.overrides}
        for resume in self.resumes:
            for word in resume.overrides:
                key = _key(word)
                if key not in NOT_CHOICES:
                    found = {k: w for k, w in found.items() if k != key and not k.startswith(f"{key}.")}
                    found[key] = word.removeprefix("++")
        return list(found.values())

    @property
    def way(self) -> list[str]:
        """Changes on the way that bear on the weights, e.g. "steps 2 -> 40 at step 2"."""
        return self._changes("length", "course", "machine")

    @property
    def course(self) -> list[str]:
        """Changes that no run of one config has, so that runs with and without them are two recipes."""
        return self._changes("course")

    def _changes(self, *kinds: str) -> list[str]:
        return [
            f"{change.key} {change.was} -> {change.now} at step {resume.step}"
            for resume in self.resumes
            for change in resume.changes
            if change.kind in kinds and resume.step > 0
        ]


def read_record(folder: Path) -> Record:
    """Record of a run; an empty one where the folder has none.

    Raises:
        Refusal: a damaged file.
    """
    path, cure = folder / RECORD, f"{CURE}{name_of(folder)}"
    if not path.is_file():
        return Record("", [], [], None, {})
    content = read_json(path, what="the run's record", cure=cure, shape=dict[str, Any])
    shape = {"config": str, "overrides": list[str], "resumes": list[Resume], "data": dict[str, Any] | None,
             "chosen_on": list[str], "read": list[str]}  # fmt: skip
    empty = {"config": "", "overrides": [], "resumes": [], "data": None, "chosen_on": [], "read": []}
    parts = {
        key: of_shape(content.get(key, empty[key]), kind, what=f"the run's record {path}", cure=cure)
        for key, kind in shape.items()
    }
    return Record(**parts, content=content)


def overrides_of(folder: Path) -> list[str]:
    """Command line that makes a run what it is now; empty where its record is missing or damaged."""
    try:
        return read_record(folder).choices
    except Refusal:
        return []


def note_data(folder: Path, data: Mapping[str, Any]) -> None:
    """Write the fingerprint of a run's data into its record."""
    write_json(folder / RECORD, {**read_record(folder).content, "data": dict(data)})


def note_read(folder: Path, stamps: Sequence[str]) -> None:
    """Write into a run's record which frozen networks its training reads."""
    write_json(folder / RECORD, {**read_record(folder).content, "read": list(stamps)})


def note_choice(folder: Path, names: Sequence[str]) -> None:
    """Write into a run's record by which test maps its checkpoints were chosen."""
    write_json(folder / RECORD, {**read_record(folder).content, "chosen_on": list(names)})


def note_resume(
    folder: Path, cfg: DictConfig, *, step: int, digest: str, overrides: Sequence[str], changes: Sequence[Changed]
) -> None:
    """Write what a run goes on with into its folder: config.yaml, and one more entry of its record.

    Args:
        folder: the run's folder.
        cfg: the config from now on.
        step: step that it goes on from.
        digest: of the config.
        overrides: of the command line.
        changes: values that become others.
    """
    record = read_record(folder)
    born = provenance()
    entry = Resume(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        step=step,
        overrides=[word.removeprefix("++") for word in overrides],
        changes=[replace(change, was=_spelt(change.was), now=_spelt(change.now)) for change in changes],
        before=record.config,
        config=digest,
        commit=born["commit"],
        versions=born["versions"],
    )
    content = {**record.content, "config": digest, "resumes": [asdict(one) for one in (*record.resumes, entry)]}
    if changes:
        write_text(folder / CONFIG, as_stored(cfg))
    write_json(folder / RECORD, content)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _spelt(value: Any) -> Any:
    """A value as JSON holds it, which has no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
