"""This project's own SceneNet as a judge: it reads label maps off pictures, and describes them for a distance."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from scenegen.base.kinds import trained_on
from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.scenenet import Segmenter


class SceneNetSegmenter(nn.Module):
    """This project's own segmenter, in place of the contest's, which was never published.

    Args:
        classes: the class list of the label maps.
        name: "scorer" (shipped, of the rendered world), "photographs" (shipped, of photographs), or a file
            that `python -m scenegen.train model=scenenet model.role=scorer` wrote.
        folder: where another scenenet_<name>.safetensors is looked for first.

    Raises:
        Refusal: the segmenter was trained for other classes.
    """

    stand_in = True

    def __init__(self, *, classes: ClassList, name: str, folder: str | None) -> None:
        super().__init__()
        self.name = shown_name(name)
        self.net = Segmenter.load(name, folder=folder)
        self.stamp = self.net.stamp
        self.ranks = trained_on(self.net.facts)
        require_classes(self.net.classes, classes, stamp=self.stamp)

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        return self.net(image.float().div(127.5).sub(1)).argmax(1)


class SceneNetFeatures(nn.Module):
    """Pooled features of the scoring SceneNet: a Frechet distance of its own, `FID(scenenet)`, never plain FID.

    That of the net of photographs is `FID(scenenet-photographs)`.

    Args:
        name: "scorer" (shipped, of the rendered world), "photographs" (shipped, of photographs), or a file
            that `python -m scenegen.train model=scenenet model.role=scorer` wrote.
        folder: where another scenenet_<name>.safetensors is looked for first.
    """

    stand_in = True
    resize = "none"

    def __init__(self, *, name: str, folder: str | None) -> None:
        super().__init__()
        self.name = shown_name(name)
        self.title = f"FID({self.name})"
        self.net = Segmenter.load(name, folder=folder)
        self.stamp = self.net.stamp
        self.ranks = trained_on(self.net.facts)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, d) features."""
        return self.net.features(image.float().div(127.5).sub(1))


class SceneNetStages(Extractor):
    """The trunk of the scoring SceneNet for measures that compare features; layers "image", "relu1_1" ... "relu5_2".

    Args:
        name: "scorer" (shipped, of the rendered world), "photographs" (shipped, of photographs), or a file
            that `python -m scenegen.train model=scenenet model.role=scorer` wrote.
        folder: where another scenenet_<name>.safetensors is looked for first.
    """

    def __init__(self, *, name: str, folder: str | None) -> None:
        net = Segmenter.load(name, folder=folder)
        trunk = net.net.trunk
        taps = {layer: i for i, (layer, _) in enumerate(trunk.named_children()) if layer.startswith("relu")}
        super().__init__(trunk, taps=taps, stamp=net.stamp, mean=None, std=None)


def shown_name(name: str) -> str:
    """The name of a judge in tables: scenenet, or scenenet-NAME for a shipped net beside the usual one."""
    return "scenenet" if name == "scorer" or Path(name).suffix else f"scenenet-{name}"


class OtherClasses(Refusal):
    """A segmenter that was trained for other classes than the label maps have."""


def require_classes(
    reads: tuple[str, ...], classes: ClassList, *, stamp: str, command: str = "train model=scenenet model.role=scorer"
) -> None:
    """Refuse a segmenter that was trained for other classes than the label maps have, naming both lists.

    A class that is ignored and stands last is nothing to read: its pixels count in no measure.

    Raises:
        OtherClasses: the lists differ in a name or an id of a class that counts.
    """
    if not classes.read_by(reads):
        raise OtherClasses(
            f"the segmenter {stamp} reads {len(reads)} classes ({', '.join(reads)}) but the label maps have "
            f"{len(classes)} ({', '.join(classes.names)}); train one for them with python -m "
            f"scenegen.{command} data=... and give it as segmenter.name=FILE.safetensors, "
            "or score without mask_acc: segmenter=none"
        )
