"""SceneNet, the project's own small net: a VGG-shaped trunk for losses and a segmenter for scores.

Two separately seeded nets are shipped, so that a score is never read by the net that a loss has seen:
`assets/scenenet_trunk.safetensors` (losses) and `assets/scenenet_scorer.safetensors` (scores). Both were
trained by `python -m scenegen.train model=scenenet` on the procedural world; the exact command is in each header.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base import halves
from scenegen.base.records import Refusal
from scenegen.networks.frozen import netfile, shipped
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Extractor

WIDTHS = (16, 32, 64, 128, 192)
FEATURE_LAYERS = (2, 3, 4)  # relu3_2, relu4_2, relu5_2 describe a picture


class ConvRelu(nn.Module):
    """3x3 convolution, batch norm while training (files hold it folded away), ReLU."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that equals convolution and norm in eval mode."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            assert self.conv.bias is not None
            return self.conv.weight.detach(), self.conv.bias.detach()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = self.conv.weight * gain[:, None, None, None]
        return weight.detach(), (norm.bias - norm.running_mean * gain).detach()


def trunk(widths: Sequence[int] = WIDTHS, *, norm: bool) -> nn.Sequential:
    """Five stages of two convolutions named like VGG's: relu1_1 ... relu5_2 at strides 1, 2, 4, 8, 16.

    It takes pictures in [-1, 1] of any size; stage n has the size ceil(h / stride), ceil(w / stride).
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for stage, width in enumerate(widths, start=1):
        if stage > 1:
            blocks[f"pool{stage - 1}"] = nn.MaxPool2d(2, ceil_mode=True)  # ceil: no row of an odd size is lost
        blocks[f"relu{stage}_1"] = ConvRelu(inputs, width, norm=norm)
        blocks[f"relu{stage}_2"] = ConvRelu(width, width, norm=norm)
        inputs = width
    return nn.Sequential(blocks)


class SceneNet(nn.Module):
    """The trunk and a light top-down decoder (lateral sums, as in a feature pyramid) to class logits.

    Args:
        classes: number of classes.
        widths: channels of the five stages.
        norm: batch norm after each 3x3 convolution; False for a folded net.
    """

    def __init__(self, *, classes: int, widths: Sequence[int] = WIDTHS, norm: bool = True) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.trunk = trunk(widths, norm=norm)
        carried = [min(w, 64) for w in widths]
        carried[0] = max(24, carried[0])  # the last sum is at full resolution and tells all classes apart
        self.lateral = nn.ModuleList(nn.Conv2d(w, c, 1) for w, c in zip(widths, carried, strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(deeper, c, 1, bias=False) for c, deeper in pairwise(carried))
        # None at full resolution: it would cost as much as a whole stage of the trunk.
        self.mix = nn.ModuleList(ConvRelu(c, c, norm=norm) for c in carried[1:-1])
        self.head = nn.Conv2d(carried[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Class logits of a picture.

        Args:
            image: (b, 3, h, w) in [-1, 1], any h and w.

        Returns:
            (b, classes, h, w) logits.
        """
        return self.decode(self.stages(image))

    def stages(self, image: Tensor) -> list[Tensor]:
        """relu1_2 ... relu5_2, each (b, widths[i], ceil(h / 2**i), ceil(w / 2**i))."""
        found, x = [], image
        for name, block in self.trunk.named_children():
            x = block(x)
            if name.endswith("_2"):
                found.append(x)
        return found

    def decode(self, stages: Sequence[Tensor]) -> Tensor:
        """Logits (b, classes, h, w) from the five stages."""
        x = self.lateral[4](stages[4])
        for i in (3, 2, 1, 0):
            h, w = stages[i].shape[-2:]
            # Doubled and cut, not resized to (h, w): pixels of odd sizes stay where they are.
            coarse = F.interpolate(self.narrow[i](x), scale_factor=2.0, mode="bilinear")[..., :h, :w]
            x = F.relu(self.lateral[i](stages[i]) + coarse)
            if i > 0:
                x = self.mix[i - 1](x)
        return self.head(x)

    def folded(self) -> SceneNet:
        """The same function in eval mode without norms, frozen: what files hold and losses run."""
        classes = self.head.out_channels
        plain = SceneNet(classes=classes, widths=self.widths, norm=False).to(self.head.weight.device)
        own = self.state_dict()
        state = {name: own[name] for name in plain.state_dict() if name in own}
        for name, module in self.named_modules():
            if isinstance(module, ConvRelu):
                state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = module.folded()
        plain.load_state_dict(state)
        return plain.requires_grad_(False).eval()


class SceneNetTrunk(Extractor):
    """SceneNet's trunk as a perceptual network; layers "image", "relu1_1" ... "relu5_2".

    It takes [-1, 1] as it is: the pictures are neither shifted nor scaled.

    Args:
        weights: "published" (the shipped file, or the folder's) or "random" (seeded, stamped as such).
        folder: where `scenenet_<name>.safetensors` is looked for first; None is the shipped one.
        name: "trunk", or the path of a file that `python -m scenegen.train model=scenenet model.role=trunk` wrote.
    """

    def __init__(self, *, weights: str, folder: str | Path | None, name: str) -> None:
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        if weights == "random":
            features, stamp = trunk(norm=False), f"scenenet {pinned.RANDOM_STAMP}"
            pinned.randomise(features)
        else:
            file = netfile.read(find(name, folder=folder))
            if file.role != "trunk":
                raise Refusal(
                    f"{file.path} holds a net of role {file.role}; a loss that reads the net that scores would "
                    "train for the score: use one of python -m scenegen.train model=scenenet model.role=trunk"
                )
            features, stamp = rebuild(file).trunk, f"scenenet-trunk:{file.digest[:12]}"
        taps = {n: i for i, (n, _) in enumerate(features.named_children()) if n.startswith("relu")}
        super().__init__(features, taps=taps, stamp=stamp, mean=None, std=None)


class Segmenter(nn.Module):
    """A frozen SceneNet with its class names: reads label maps off pictures and describes pictures for FID.

    Attributes:
        classes: class names in id order.
        ignore: the id that the training never looked at, or None.
        stamp: "scenenet-scorer:<first 12 digits of the file's sha256>", for the protocol of a number.
        facts: the file's header: the command, seed and held-out figures of its training.
    """

    def __init__(self, net: SceneNet, *, classes: Sequence[str], stamp: str, facts: dict[str, str]) -> None:
        super().__init__()
        self.net = net.folded()
        self.classes = tuple(classes)
        self.stamp = stamp
        self.facts = dict(facts)
        self.ignore = int(facts["ignore"]) if facts.get("ignore") else None
        height, width = halves.numbers("[" + facts.get("size", "0x0").replace("x", ",") + "]", count=2)
        self._pixels = height * width
        self._scale = halves.numbers(facts.get("feature_scale", "[1, 1, 1]"), count=len(FEATURE_LAYERS))

    @classmethod
    def load(cls, name: str | Path = "scorer", *, folder: str | Path | None = None) -> Segmenter:
        """The shipped scorer, or the file of another one.

        Args:
            name: "scorer", or the path of a file that `scenegen.train model=scenenet model.role=scorer` wrote.
            folder: where `scenenet_<name>.safetensors` is looked for first; None is the shipped one.

        Raises:
            Refusal: when there is no such file, it is damaged, or it is a net that losses read.
        """
        file = netfile.read(find(name, folder=folder))
        if file.role != "scorer":
            raise Refusal(
                f"{file.path} holds a net of role {file.role}, which losses read, so its score would be biased; "
                "use one of python -m scenegen.train model=scenenet model.role=scorer"
            )
        stamp = f"scenenet-scorer:{file.digest[:12]}"
        return cls(rebuild(file), classes=file.classes, stamp=stamp, facts=file.header)

    def train(self, mode: bool = True) -> Segmenter:
        """No change: the net stays in eval mode."""
        return super().train(False)

    def require(self, classes: Sequence[str]) -> None:
        """Refuse to read label maps of other classes than the net was trained for."""
        if tuple(classes) != self.classes:
            theirs, ours = _listed(classes), _listed(self.classes)
            raise Refusal(
                f"{self.stamp} reads {ours}, but the data has {theirs}; train one for these classes: "
                "python -m scenegen.train model=scenenet model.role=scorer data=..."
            )

    def forward(self, image: Tensor) -> Tensor:
        """Class logits of pictures of any size, read at about the size that the net was trained at.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            (b, classes, h, w) logits.
        """
        logits = self.net(self._at_trained_size(image))
        if logits.shape[-2:] == image.shape[-2:]:
            return logits
        return F.interpolate(logits, size=image.shape[-2:], mode="bilinear")

    def features(self, image: Tensor) -> Tensor:
        """Descriptions of pictures for Frechet distances, one row per picture.

        The means over the picture of relu3_2, relu4_2 and relu5_2, each stage scaled so that held-out
        pictures have a total variance of 50 in it: three stages of equal say, and distances in the
        order of magnitude that Inception's have.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            (b, widths[2] + widths[3] + widths[4]).
        """
        stages = self.net.stages(self._at_trained_size(image))
        means = [stages[i].mean(dim=(2, 3)) * s for i, s in zip(FEATURE_LAYERS, self._scale, strict=True)]
        return torch.cat(means, dim=1)

    def _at_trained_size(self, image: Tensor) -> Tensor:
        # A net of 96x128 gets 0.57 of the pixels of 384x512 pictures right as they are, and 0.81 this way.
        h, w = image.shape[-2:]
        factor = math.sqrt(self._pixels / (h * w))
        if self._pixels == 0 or abs(factor - 1) < 0.1:
            return image
        size = (max(1, round(h * factor)), max(1, round(w * factor)))
        return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def find(name: str | Path, *, folder: str | Path | None = None) -> Path:
    """The file of a net: a path as it is, a name in the folder if it is there, else among the shipped ones."""
    return shipped.find(name, kind="scenenet", what="net", folder=folder)


def rebuild(file: netfile.NetFile) -> SceneNet:
    """The frozen net of a file.

    Raises:
        Refusal: when the tensors are not those of the net that the header describes.
    """
    net = SceneNet(classes=len(file.classes), widths=file.widths, norm=False)
    try:
        net.load_state_dict(file.tensors)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise Refusal(f"{file.path} does not hold the net that its header describes: {first}") from error
    return net.requires_grad_(False).eval()


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} classes ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
