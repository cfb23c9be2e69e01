"""A trained run opened for use: its model with the newest weights, its classes, its data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from scenegen.base.files import write_json
from scenegen.base.records import Refusal, SceneModel
from scenegen.config import build
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.data.classes import ClassList
from scenegen.data.datasets import label_maps
from scenegen.data.exemplars.choose import given, retrieved
from scenegen.networks.interop import load_official
from scenegen.runs.checkpoints import load, model_state, newest
from scenegen.runs.folder import CLASSES, find_run


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
            Refusal: where their classes are not the model's, as after scenegen.convert.
        """
        data = build.dataset(self.config, split=split)
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

    def inputs(self, *, labels: str | None = None, exemplars: str | None = None) -> Any:
        """The run's test maps, or a folder of label maps, with exemplars where the model takes them.

        Args:
            labels: folder of label maps of the run's classes; their exemplars are the training pictures with the most
                similar class shares.
            exemplars: folder of pictures and label maps to take in their place.

        Raises:
            Refusal: exemplars for a model that takes none, or none to be had for one that does.
        """
        if exemplars is not None and not self.takes_exemplars:
            raise Refusal(f"exemplars={exemplars}: the model of run {self.folder.name} paints without exemplars; leave "
                          "it out, or train an exemplar model (model=cocosnetv1, cocosnetv2 or unite)")  # fmt: skip
        if labels is None and exemplars is None:
            return self.dataset("test")
        maps = self._plain("test") if labels is None else self.label_maps(labels)
        if exemplars is not None:
            return given(maps, exemplars, remap=self._unknown)
        return self._ranked(maps) if self.takes_exemplars else maps

    def label_maps(self, root: str) -> Any:
        """A folder of label maps of the run's classes; 255 means "unknown" where the classes have such an id."""
        classes, size = self.vocabulary.classes, self.config["size"]
        return label_maps(root, classes=classes, height=size["height"], width=size["width"], remap=self._unknown)

    @property
    def _unknown(self) -> dict[int, int] | None:
        return self.vocabulary.classes.remap_of_maps

    def _plain(self, split: str) -> Any:
        return build.dataset({**self.config, "exemplar": None}, split=split)

    def _ranked(self, maps: Any) -> Any:
        try:
            return retrieved(data=maps, gallery=self._plain("train"), **ALWAYS_THE_FIRST)
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
    folder = find_run(name)
    config = plan(OmegaConf.create(read_config(folder))).config
    vocabulary = _read_vocabulary(folder)
    path = Path(checkpoint) if checkpoint else newest(folder)
    content = load(path)
    model = build.model(config, vocabulary)
    try:
        load_official(model, model_state(content, path=path))
    except Refusal as refusal:
        raise Refusal(f"{path} is not a checkpoint of run {folder.name}: {refusal}") from refusal
    try:
        model.to(torch.device(device))
    except RuntimeError as error:
        raise Refusal(f"device={device} cannot be used here ({str(error).splitlines()[0]}); use device=cpu") from error
    step = int(content["state_dict"]["clock"])
    return TrainedRun(folder, config, vocabulary, model.eval(), step)


def _read_vocabulary(folder: Path) -> Vocabulary:
    path = folder / CLASSES
    if not path.is_file():
        raise Refusal(
            f"{folder} has no {CLASSES}, so what its label ids mean is unknown; was it made by scenegen.train?"
        )
    content = json.loads(path.read_text())
    colours = tuple((int(r), int(g), int(b)) for r, g, b in content["colours"])
    stored = tuple((int(i), int(place)) for i, place in content.get("stored", ()))  # runs before 0.3 have none
    classes = ClassList(names=tuple(content["names"]), colours=colours, ignore=content["ignore"], stored=stored)
    return Vocabulary(classes, content["has_instances"])
