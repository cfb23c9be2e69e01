"""SceneNet's trunk with its decoder, as an extractor whose layer "logits" losses may read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from torch import Tensor

from scenegen.base.kinds import trained_on
from scenegen.base.records import Refusal
from scenegen.networks.frozen import netfile
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.scenenet import SceneNet, find, rebuild

STAGES = tuple(f"relu{stage}_2" for stage in range(1, 6))


class SceneNetLogits(Extractor):
    """A frozen SceneNet; layers "image", "relu1_1" ... "relu5_2", and "logits" (b, classes, h, w).

    Args:
        weights: "published" (the shipped file, or the folder's) or "random" (seeded, stamped as such).
        folder: where `scenenet_<name>.safetensors` is looked for first; None is the shipped one.
        name: "trunk", or the path of a file that `python -m scenegen.train model=scenenet model.role=trunk` wrote.

    Attributes:
        classes: class names in id order.
        kinds: of pictures that it was trained on.

    Raises:
        Refusal: for the net that scores, which a loss must not read.
    """

    def __init__(self, *, weights: str, folder: str | Path | None, name: str) -> None:
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        file = netfile.read(find(name, folder=folder))
        if file.role != "trunk":
            raise Refusal(
                f"{file.path} holds a net of role {file.role}; a loss that reads the net that scores would "
                "train for the score: use one of python -m scenegen.train model=scenenet model.role=trunk"
            )
        net, stamp = rebuild(file), f"scenenet-segmenter:{file.digest[:12]}"
        if weights == "random":
            pinned.randomise(net)
            stamp = f"scenenet segmenter {pinned.RANDOM_STAMP}"
        taps = {n: i for i, (n, _) in enumerate(net.trunk.named_children()) if n.startswith("relu")}
        super().__init__(net.trunk, taps=taps, stamp=stamp, mean=None, std=None)
        self.layers = (*self.layers, "logits")
        self.classes = file.classes
        self.kinds = trained_on(file.header)
        self._net = (net,)  # a tuple, as in Extractor: not registered as a submodule

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Run the trunk as deep as asked, and the decoder where "logits" are; see `Extractor.forward`."""
        self.require(layers)
        trunk_layers = {layer for layer in layers if layer != "logits"}
        if "logits" not in layers:
            return super().forward(image, trunk_layers)
        found = super().forward(image, trunk_layers | set(STAGES))
        net: SceneNet = self._net[0]
        logits = net.decode([found[stage] for stage in STAGES])
        return {**{layer: found[layer] for layer in trunk_layers}, "logits": logits}

    def _apply(self, fn, recurse: bool = True) -> SceneNetLogits:
        super()._apply(fn, recurse)
        self._net[0]._apply(fn, recurse)
        return self
