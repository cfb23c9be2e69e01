"""A trained run opened for use: its model with the newest weights, its classes, its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from scenegen.base.devices import usable
from scenegen.base.documents import read_json
from scenegen.base.files import write_json
from scenegen.base.records import Refusal, SceneModel
from scenegen.config import build
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.data.classes import ClassList
from scenegen.data.datasets import read_style
from scenegen.data.exemplars.choose import Given, given, retrieved
from scenegen.data.labels import count_ids, outside_sentence
from scenegen.data.own_maps import Notice, Target, by, own_maps, require_shape, with_borders
from scenegen.data.pairs import Files
from scenegen.data.transforms import keeps_shape
from scenegen.networks.generators.hole_filler import HoleFiller, OverCoarse, completed_by
from scenegen.networks.generators.spade import require_sides
from scenegen.networks.interop import load_official
from scenegen.runs import released
from scenegen.runs.checkpoints import load, model_state, newest
from scenegen.runs.folder import CLASSES, CONFIG, WEIGHTS, find_run


@dataclass(frozen=True)
class Vocabulary:
    """Meaning of a model's input: the class list, and instance edges where they are part of it."""

    classes: ClassList
    has_instances: bool

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class TrainedRun:
    """A run ready to make pictures.

    Attributes:
        folder: the run's folder.
        config: its resolved config.
        vocabulary: classes and instances that the model was trained with.
        model: in eval mode, on the device asked for.
        step: of the checkpoint.
    """

    folder: Path
    config: dict[str, Any]
    vocabulary: Vocabulary
    model: SceneModel
    step: int

    def dataset(self, split: str) -> Any:
        """The pictures that the run was trained on, or its held-out ones.

        Raises:
            Refusal: where they are not there, or their classes are not the model's, as after scenegen.convert.
        """
        data = self._built(self.config, split)
        if data.classes.names != self.vocabulary.classes.names:
            raise Refusal(
                f"run {self.folder.name} paints {len(self.vocabulary)} classes, but the data of its config has "
                f"{len(data.classes)} others; give labels=FOLDER with label maps of its classes"
            )
        return data

    @property
    def takes_exemplars(self) -> bool:
        """True where the model paints with exemplars."""
        return "exemplar" in self.model.reads

    @property
    def device(self) -> torch.device:
        """Place of the model."""
        return next(self.model.parameters()).device

    def require_map(self, ids: np.ndarray) -> None:
        """Refuse a label map that the model does not paint as it is.

        Args:
            ids: should be (h, w) class ids of the run, of a size that the model paints.

        Raises:
            Refusal: another form, ids outside the classes, or a size that the model does not paint.
        """
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise Refusal(f"a label map is (h, w) whole numbers, and this array has the shape {ids.shape} and the type "
                          f"{ids.dtype}; give class ids 0..{len(self.vocabulary) - 1}, as ids.astype(int) of one "
                          "channel makes them")  # fmt: skip
        if sentence := outside_sentence(count_ids(ids.astype(np.int64)), classes=self.vocabulary.classes, remap={},
                                        cure="give class ids of this run"):  # fmt: skip
            raise Refusal(sentence)
        self._require_size((ids.shape[0], ids.shape[1]))

    def require_alike(self, data: Any, *, option: str) -> None:
        """Refuse data whose classes or size this run does not paint.

        Args:
            data: the maps, at their size.
            option: that named the run, for the sentence.
        """
        cure = f"give a run of those, or leave {option} out"
        if data.classes.names != self.vocabulary.classes.names:
            raise Refusal(f"{option} paints {len(self.vocabulary)} classes, and the data have {len(data.classes)} "
                          f"others; {cure}")  # fmt: skip
        own, size = self.config["size"], (data.framing.height, data.framing.width)
        step = self.model.size_step
        if size != (own["height"], own["width"]) and (step is None or any(side % step for side in size)):
            raise Refusal(f"{option} does not paint the {by(size)} (width x height) of this run; {cure}")

    def inputs(
        self,
        *,
        labels: str | None = None,
        exemplars: str | None = None,
        instances: str | None = None,
        fit: Literal["refuse", "crop", "squash"] = "refuse",
        size: tuple[int, int] | Literal["training", "own"] = "training",
        notice: Notice = lambda _: None,
    ) -> Any:
        """The run's test maps, or a folder of label maps, with exemplars where the model takes them.

        Args:
            labels: folder of label maps of the run's classes; their exemplars are the training pictures with the most
                similar class shares.
            exemplars: folder of pictures and label maps to take in their place.
            instances: folder of the instance maps of `labels`.
            fit: for `labels` and `exemplars` of another shape than the run paints.
            size: (height, width) of the pictures, "training" for the run's, or "own" for that of each of `labels`.
            notice: receives a sentence about everything that is made to fit or taken in the place of something else.

        Raises:
            Refusal: exemplars or instances for a model that takes none, none to be had for one that needs exemplars, a
                shape that nobody chose to fit, or files that cannot be used.
        """
        self._require_asked(labels, exemplars, instances, size)
        if isinstance(size, tuple):
            self._require_size(size)
            sides = {"height": size[0], "width": size[1]}
            return replace(self, config={**self.config, "size": sides}).inputs(
                labels=labels, exemplars=exemplars, instances=instances, fit=fit, notice=notice
            )
        if labels is None:
            maps = self.dataset("test") if exemplars is None else self._plain("test")
            if "instance" in self.model.reads:
                maps = with_borders(maps, notice=notice)
        else:
            maps = own_maps(
                labels,
                classes=self.vocabulary.classes,
                target=self.target(fit, own=size == "own"),
                remap=self._unknown,
                edges="instance" in self.model.reads,
                instances=instances,
                notice=notice,
            )
        if exemplars is not None:
            return self._given(maps, exemplars, fit=fit if labels is not None else maps.framing.fit, notice=notice)
        return self._ranked(maps) if self.takes_exemplars and labels is not None else maps

    @property
    def fills_holes(self) -> bool:
        """True where the model reads a picture with a hole."""
        return "hole" in self.model.reads

    def style(self, path: str, *, fit: Literal["refuse", "crop", "squash"], notice: Notice) -> Tensor:
        """A style picture, (1, 3, h, w) in [-1, 1]; a model with a VAE reads it at the shape that it was trained with.

        Raises:
            Refusal: a file that cannot be read, or another shape without a fit.
        """
        size = self.config["size"]["height"], self.config["size"]["width"]
        photo = read_style(path)
        shape = photo.shape[-2], photo.shape[-1]
        if keeps_shape(shape, size):
            return photo
        if fit == "refuse":
            raise Refusal(f"style={path}: its shape {by(shape)} is not that of the {by(size)} (width x height) that "
                          "this run paints; choose fit=crop (the middle) or fit=squash (stretched)")  # fmt: skip
        done = "its middle counts" if fit == "crop" else "it is stretched"
        notice(f"style={path}: {done} (fit={fit}, {by(shape)} to {by(size)})")
        return read_style(path, height=size[0], width=size[1]) if fit == "crop" else photo

    def _require_asked(self, labels: str | None, exemplars: str | None, instances: str | None, size: object) -> None:
        """Refuse options that this run or this choice of maps does not have."""
        run = f"the model of run {self.folder.name}"
        if exemplars is not None and not self.takes_exemplars:
            raise Refusal(f"exemplars={exemplars}: {run} paints without exemplars; leave "
                          "it out, or train an exemplar model (model=cocosnetv1, cocosnetv2 or unite)")  # fmt: skip
        if instances is not None and "instance" not in self.model.reads:
            raise Refusal(f"instances={instances}: {run} sees no instance edges; leave it out")
        if labels is not None and self.fills_holes:
            raise Refusal(f"labels={labels}: {run} fills holes in pictures; give pictures=FOLDER masks=FOLDER, or "
                          "leave both out for the run's test pictures")  # fmt: skip
        if labels is not None and "logits" in self.model.offers:
            raise Refusal(f"labels={labels}: {run} reads label maps off photographs and paints none; leave it out")
        if labels is None:
            named = {f"instances={instances}": instances is not None, "size=own": size == "own"}
            if asked := next((option for option, given in named.items() if given), None):
                raise Refusal(f"{asked} is about label maps of your own; give labels=FOLDER with them, or leave it out")

    def _require_size(self, size: tuple[int, int] | None) -> None:
        """Refuse a size (None: the maps' own) that the model does not paint."""
        own, step = (self.config["size"]["height"], self.config["size"]["width"]), self.model.size_step
        if size == own:
            return
        if step is None:
            reason = (
                "matches exemplars at that size"
                if self.takes_exemplars
                else "fills a start grid of that size from its style (model.vae=false in training avoids that)"
            )
            asked = "size=own" if size is None else f"size.height={size[0]} size.width={size[1]}"
            raise Refusal(
                f"{asked}: the model of run {self.folder.name} paints {by(own)} (width x height) alone, because it "
                f"{reason}; leave size out, and give fit=crop or fit=squash for label maps of another shape"
            )
        if size is not None:
            require_sides(*size, family=f"the model of run {self.folder.name}", step=step, smallest=step)

    def target(self, fit: Literal["refuse", "crop", "squash"], *, own: bool) -> Target:
        """The size of the pictures, and the way there."""
        size, step = self.config["size"], self.model.size_step
        if own:
            self._require_size(None)
        return Target(
            height=size["height"],
            width=size["width"],
            fit=fit,
            otherwise=self.config["data"].get("fit", "crop"),
            step=step if own else None,
            own="" if step is None else ", or size=own (each map at its own size)",
        )

    def _given(self, maps: Any, exemplars: str, *, fit: Literal["refuse", "crop", "squash"], notice: Notice) -> Any:
        """Maps with exemplars out of a folder, whose shape is looked at."""
        found = given(maps, exemplars, remap=self._unknown)
        chosen = found.exemplars
        assert isinstance(chosen, Given)
        assert isinstance(chosen.source, Files)
        target = Target(height=maps.framing.height, width=maps.framing.width, fit=fit)
        require_shape(chosen.source, target=target, option=f"exemplars={exemplars}", things="exemplars", notice=notice)
        return found

    @property
    def _unknown(self) -> dict[int, int] | None:
        return self.vocabulary.classes.remap_of_maps

    def _plain(self, split: str) -> Any:
        return self._built({**self.config, "exemplar": None}, split)

    def _built(self, config: dict[str, Any], split: str) -> Any:
        """A split of the run's data; a Refusal about it is put into the words of the commands that open runs."""
        try:
            return build.dataset(config, split=split)
        except Refusal as refusal:
            raise Refusal(
                f"the data that run {self.folder.name} was trained on cannot be opened here ({refusal}); give "
                f"labels=FOLDER with label maps of its classes{' and exemplars=DIR' * self.takes_exemplars}"
            ) from refusal

    def _ranked(self, maps: Any) -> Any:
        try:
            gallery = build.dataset({**self.config, "exemplar": None}, split="train")
            return retrieved(data=maps, gallery=gallery, **ALWAYS_THE_FIRST)
        except Refusal as refusal:
            raise Refusal(
                "this model paints with exemplars, and the run's training pictures cannot give them "
                f"({refusal}); give exemplars=DIR with images/ and labels/"
            ) from refusal


ALWAYS_THE_FIRST: dict[str, Any] = {
    "index": None,
    "test_index": None,
    "hard_reference_probability": 0.0,
    "real_reference_probability": 1.0,
}
"""Exemplars of a folder of label maps: the most similar training picture of each."""


def note_vocabulary(folder: Path, data: Any) -> None:
    """Write down the meaning of the ids, so that a run can be used where its training data is not."""
    write_json(folder / CLASSES, {**asdict(data.classes), "has_instances": data.has_instances})


def open_run(name: str, *, checkpoint: str | None = None, device: str = "cpu") -> TrainedRun:
    """Open a run by name or folder.

    Args:
        name: name under runs/, or a folder.
        checkpoint: a .ckpt to read instead of the run's newest.
        device: where the model goes.

    Raises:
        Refusal: no such run, no checkpoint, a checkpoint of another model, or one that is no safe checkpoint.
    """
    folder, place = find_run(name), usable(device)
    config = _read_plan(folder)
    vocabulary = _read_vocabulary(folder)
    model = build.model(config, vocabulary)
    if checkpoint is None and released.is_released(folder):
        path, (state, step) = folder / WEIGHTS, released.read(folder)
        state |= {name: value for name, value in model.state_dict().items() if not value.is_floating_point()}
    else:
        path = Path(checkpoint) if checkpoint else newest(folder)
        content = load(path)
        state, step = model_state(content, path=path), int(content["state_dict"]["clock"])
    try:
        load_official(model, state, options=False)  # the run's config has them all
    except Refusal as refusal:
        raise Refusal(f"{path} is not a checkpoint of run {folder.name}: {refusal}") from refusal
    model.to(place)
    hand_over_coarse(model)
    return TrainedRun(folder, config, vocabulary, model.eval(), step)


def hand_over_coarse(model: SceneModel) -> str | None:
    """Open the run whose completions a model paints over, where it names one, and hand them over.

    Args:
        model: any.

    Returns:
        Sentence about the run, or None.

    Raises:
        Refusal: no such run, one that fills no holes, or one of another size.
    """
    if not isinstance(model, OverCoarse) or model.coarse is None:
        return None
    try:
        run = open_run(model.coarse)
    except Refusal as refusal:
        raise Refusal(f"model.coarse={model.coarse}: {refusal}") from refusal
    inner, size = run.model, (run.config["size"]["height"], run.config["size"]["width"])
    if not isinstance(inner, HoleFiller) or inner.reads != HoleFiller.reads:
        raise Refusal(f"model.coarse={model.coarse}: its model reads {', '.join(sorted(inner.reads))}, but the coarse "
                      "completion comes from a run that fills holes; name one of model=pconv or picnet")  # fmt: skip
    if size != model.size:
        raise Refusal(f"model.coarse={model.coarse} fills pictures of {by(size)}, but this run paints {by(model.size)} "
                      f"(width x height); use size.height={size[0]} size.width={size[1]}")  # fmt: skip
    model.fill = partial(completed_by, inner.requires_grad_(False))
    return f"coarse completions: run {run.folder.name}, step {run.step}"


def _read_plan(folder: Path) -> dict[str, Any]:
    """Checked config of a run; a sentence about it names the file."""
    stored, cure = read_config(folder), "take the file as the training wrote it"
    for group in ("model", "data", "size"):
        if not isinstance(stored.get(group), dict):
            raise Refusal(f"the run's config {folder / CONFIG} has no {group}; {cure}")
    try:
        return plan(OmegaConf.create(stored)).config
    except (Refusal, OmegaConfBaseException) as error:
        raise Refusal(f"the run's config {folder / CONFIG}: {error}") from error


def _read_vocabulary(folder: Path) -> Vocabulary:
    path = folder / CLASSES
    if not path.is_file():
        raise Refusal(
            f"{folder} has no {CLASSES}, so what its label ids mean is unknown; was it made by scenegen.train?"
        )
    what, cure = "the run's class list", "copy it from the run as it was trained"
    content: _Written = read_json(path, what=what, cure=cure, shape=_Written)
    try:
        classes = ClassList(names=content.names, colours=content.colours, ignore=content.ignore, stored=content.stored)
    except Refusal as refusal:
        raise Refusal(f"{what} {path}: {refusal}; {cure}") from refusal
    return Vocabulary(classes, content.has_instances)


@dataclass(frozen=True)
class _Written:
    """Content of a run's classes.json, as note_vocabulary writes it; runs before 0.3 have nothing stored."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    ignore: int | None
    has_instances: bool
    stored: tuple[tuple[int, int], ...] = ()
