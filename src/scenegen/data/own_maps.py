"""Label maps of the user's own for a trained run: found, checked whole, brought to a size that the model paints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.inspection import inspect, require_sound
from scenegen.data.labels import IN_A_RUN
from scenegen.data.pairs import Files, Raw, match_files
from scenegen.data.samples import Pairs, Source
from scenegen.data.transforms import Fit, Framing, OwnSize, keeps_shape

Notice = Callable[[str], None]
Size = tuple[int, int]

BORDERS = "edges of instances: none were given, so the borders between the classes of the label maps stand for them"
"""Notice of maps that are painted by a network of instance edges, without instance maps."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The size that a run paints at, and the way there.

    Attributes:
        height, width: of the pictures that the run was trained with.
        fit: "refuse" takes pictures of that shape alone, "crop" cuts off what is too much, "squash" stretches.
        otherwise: the fit where nothing needs to be cut or stretched, for training pictures as exemplars.
        step: None; or the divisor of both sides, for maps that are painted at their own size.
        own: end of the sentence about another shape: the further cure, where the model has one.
    """

    height: int
    width: int
    fit: Literal["refuse", "crop", "squash"]
    otherwise: Fit = "crop"
    step: int | None = None
    own: str = ""

    @property
    def framing(self) -> Framing:
        """The views of the maps."""
        if self.step is not None:
            return OwnSize(height=self.height, width=self.width, step=self.step)
        fit = self.otherwise if self.fit == "refuse" else self.fit
        return Framing(height=self.height, width=self.width, fit=fit)


def own_maps(
    root: str,
    *,
    classes: ClassList,
    target: Target,
    remap: Mapping[int, int] | None = None,
    edges: bool = False,
    instances: str | None = None,
    notice: Notice = lambda _: None,
) -> Pairs:
    """A folder of label maps whose classes are known from a run.

    Args:
        root: the folder.
        classes: of the run.
        target: the size, and the way there.
        remap: file id -> class id where they differ.
        edges: the model sees instance edges.
        instances: folder of instance maps; None takes the folder instances/ in `root`, or else the classes' borders.
        notice: receives a sentence about all that is cut, stretched, resized, or taken in the place of instances.

    Raises:
        Refusal: no folder, no label maps, files that cannot be used (all at once), or another shape without a fit.
    """
    base = Path(root).expanduser()
    if not base.is_dir():
        raise Refusal(f"labels={root} is no folder; give one with label maps of the run's classes (*.png)")
    there = _instances(base, instances) if edges else None
    pairs, unmatched = match_files(base, None, there)
    if not pairs and not unmatched:
        held = sorted(path.name + "/" * path.is_dir() for path in base.iterdir())
        raise Refusal(f"labels={root} holds no label map (*.png) but {', '.join(held[:6]) or 'nothing'}; give the "
                      "folder in which the label maps lie themselves")  # fmt: skip
    files = Files(base, classes, pairs, unmatched, remap or {}, IN_A_RUN)
    if not pairs:
        raise Refusal(f"labels={root}: {unmatched[0]} ({len(unmatched)} files are without a partner)")
    require_sound(Pairs(files, framing=target.framing))
    require_shape(files, target=target, option=f"labels={root}", things="label maps", notice=notice)
    if not edges or files.has_instances:
        return Pairs(files, framing=target.framing)
    notice(BORDERS)
    return Pairs(ClassBorders(files), framing=target.framing)


def with_borders(data: Pairs, *, notice: Notice) -> Pairs:
    """The same samples, with the borders of their classes where instance maps are wanted and there are none."""
    if data.has_instances:
        return data
    notice(BORDERS)
    return Pairs(ClassBorders(data.source), framing=data.framing, seed=data.seed, exemplars=data.exemplars)


@dataclass(frozen=True)
class ClassBorders:
    """A source of label maps whose classes stand for instances: edges lie where the class changes."""

    source: Source
    has_instances: bool = True

    @property
    def classes(self) -> ClassList:
        return self.source.classes

    @property
    def names(self) -> list[str]:
        return self.source.names

    @property
    def has_labels(self) -> bool:
        return self.source.has_labels

    @property
    def has_images(self) -> bool:
        return self.source.has_images

    @property
    def styles(self) -> Sequence[Mapping[str, float]] | None:
        return self.source.styles

    @property
    def label_counts(self) -> Sequence[Mapping[int, int]] | None:
        return self.source.label_counts

    def __len__(self) -> int:
        return len(self.source)

    def load(self, index: int) -> Raw:
        """The sample, its label map as the instance map too."""
        raw = self.source.load(index)
        return replace(raw, instance=raw.ids.astype(np.int32))


def require_shape(files: Files, *, target: Target, option: str, things: str, notice: Notice) -> None:
    """Refuse pictures of another shape than the target's where no fit was chosen; say what a chosen one does.

    Args:
        files: sound ones.
        target: the size, and the way there.
        option: option and value that named the files.
        things: their kind in words, in the plural.
        notice: receives the sentence.
    """
    size, count = (target.height, target.width), len(files)
    shapes = {item.pair.label.name: item.label.size for item in inspect(files, deep=False)}
    sizes = {name: found for name, found in shapes.items() if found is not None}
    if target.step is not None:
        views = {name: target.framing.view(found, seed=0) for name, found in sizes.items()}
        made = {name: (view.height, view.width) for name, view in views.items()}
        rounded = [f"{name} {by(sizes[name])} to {by(made[name])}" for name in sizes if made[name] != sizes[name]]
        end = f", {len(rounded)} of {count} brought to multiples of {target.step}: {few(rounded)}" if rounded else ""
        notice(f"{option}: painted at their own size{end}")
        return
    other = [f"{name} {by(found)}" for name, found in sizes.items() if not keeps_shape(found, size)]
    if other and target.fit == "refuse":
        raise Refusal(
            f"{option}: {len(other)} of {count} {things} have another shape than the {by(size)} (width x height) that "
            f"this run paints: {few(other)}; choose fit=crop (the middle, the rest is cut off) or fit=squash "
            f"(stretched){target.own}"
        )
    if other:
        done = {"crop": "lose what the middle does not show", "squash": "are stretched"}[target.fit]
        notice(f"{option}: {len(other)} of {count} {things} {done} (fit={target.fit}, to {by(size)}): {few(other)}")
    scaled = [f"{name} {by(found)}" for name, found in sizes.items() if found != size and keeps_shape(found, size)]
    if scaled:
        notice(
            f"{option}: {len(scaled)} of {count} {things} are resized to {by(size)}, their shape kept: {few(scaled)}"
        )


def by(size: Size) -> str:
    """(h, w) as people write it, width first."""
    return f"{size[1]}x{size[0]}"


def _instances(base: Path, named: str | None) -> Path | None:
    if named is None:
        return base / "instances" if (base / "instances").is_dir() else None
    if not (found := Path(named).expanduser()).is_dir():
        raise Refusal(f"instances={named} is no folder; give one with an instance map (*.png) per label map, or leave "
                      "it out: then the borders between the classes are the edges")  # fmt: skip
    return found
