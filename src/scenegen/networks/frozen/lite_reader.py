"""Reader of label maps off photographs: a small decoder on the frozen stages of EfficientNet-Lite2.

Lite2 judges and no loss reads it, so neither may a loss read this net. Source of the form: the feature pyramid of Lin
et al., CVPR 2017 (laterals and top-down sums), with a learned bias per height, since landscapes are ordered from top
to bottom.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base import halves
from scenegen.base.records import Refusal
from scenegen.networks.frozen import efficientnet, shipped
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.scenenet import ConvRelu
from scenegen.networks.frozen.smp import at_size

KIND = halves.Kind("scenegen.lite_reader/1", "a reader on EfficientNet-Lite", "scenegen.train model=lite_reader")
MAPS = ("bottleneck_s4", "bottleneck_s8", "bottleneck_s16", "bottleneck_s32")
CHANNELS = (24, 48, 120, 352)
"""Of Lite2's maps at strides 4, 8, 16 and 32."""

WIDTHS = (64, 96, 128, 128)
"""Of the decoder at the same strides."""

ROWS = (64, 32, 16, 8)
"""Heights that a bias is learned for, at the same strides; other heights get them interpolated."""


class LiteDecoder(nn.Module):
    """Class scores at stride 4 from the maps at strides 4, 8, 16 and 32; 0.47 M parameters for 29 classes.

    Each map loses its mean and deviation, which are stored, and is brought to the decoder's width; from the deepest to
    the finest the sums of map, deeper result and bias per height pass a 3x3 convolution. The deepest sum sees the mean
    of the whole picture as well.

    Args:
        classes: number of classes.
        dropout: share of the channels of the two deepest sums, and of the last map, that training leaves out.
        norm: batch norms for training; False for a folded net.
    """

    def __init__(self, *, classes: int, dropout: float, norm: bool = True) -> None:
        super().__init__()
        self.dropout = dropout
        # Without gain and bias: nothing but the running mean and deviation of each frozen map.
        self.standard = nn.ModuleList(nn.BatchNorm2d(c, affine=False) if norm else nn.Identity() for c in CHANNELS)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(CHANNELS, WIDTHS, strict=True))
        self.whole = nn.Conv2d(CHANNELS[-1], WIDTHS[-1], 1, bias=False)
        self.height = nn.ParameterList(torch.zeros(1, w, rows, 1) for w, rows in zip(WIDTHS, ROWS, strict=True))
        narrower = (WIDTHS[0], *WIDTHS)
        self.mix = nn.ModuleList(ConvRelu(w, out, norm=norm) for out, w in pairwise(narrower))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Class scores (b, classes, h / 4, w / 4) from the maps of `MAPS`."""
        x = None
        for i in reversed(range(len(maps))):
            standard = self.standard[i](maps[i])
            y = self.lateral[i](standard)
            if x is None:
                y = y + self.whole(standard.mean((2, 3), keepdim=True))
            else:
                y = y + F.interpolate(x, size=y.shape[-2:], mode="bilinear")
            y = y + F.interpolate(self.height[i], size=(y.shape[-2], 1), mode="bilinear")
            x = self.mix[i](F.dropout2d(F.relu(y), self.dropout, self.training and i > 1))
        assert x is not None
        return self.head(F.dropout2d(x, self.dropout, self.training))

    def folded(self) -> LiteDecoder:
        """The same function in eval mode without norms, frozen: what files hold and judges run."""
        plain = LiteDecoder(classes=self.head.out_channels, dropout=self.dropout, norm=False)
        own = self.state_dict()
        state = {name: own[name] for name in plain.state_dict() if name in own}
        for name, module in self.named_modules():
            if isinstance(module, ConvRelu):
                state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = module.folded()
        for i, norm in enumerate(self.standard):
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                deviation = (norm.running_var + norm.eps).sqrt()
                deepest = ("whole",) if i == len(MAPS) - 1 else ()  # its mean passes the same norm
                for name in (f"lateral.{i}", *deepest):
                    state[f"{name}.weight"] = own[f"{name}.weight"] / deviation[:, None, None]
                    moved = state[f"{name}.weight"][..., 0, 0] @ norm.running_mean
                    state[f"lateral.{i}.bias"] = state[f"lateral.{i}.bias"] - moved
        plain.load_state_dict(state)
        return plain.to(self.head.weight.device).requires_grad_(False).eval()


class LiteReader(nn.Module):
    """EfficientNet-Lite2, which never learns and is in no state dict, and a decoder on its maps.

    Args:
        decoder: class scores from the maps.
        weights: of Lite2: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where Lite2's weight file is looked for first; None is the installed package alone.

    Attributes:
        trunk_stamp: name and weights of the frozen net.
    """

    def __init__(self, decoder: nn.Module, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        net, taps, self.trunk_stamp = efficientnet.load("lite2", weights=weights, folder=folder)
        deepest = taps[MAPS[-1]]
        trunk = efficientnet.folded(net[: deepest + 1]).to(memory_format=torch.channels_last)
        # An Extractor keeps its trunk out of state dicts, optimizers and .train().
        self.trunk = Extractor(
            trunk,
            taps={name: taps[name] for name in MAPS},
            stamp=self.trunk_stamp,
            treatment=efficientnet.ToTensorFlow(),
        )
        self.decoder = decoder

    def scores(self, image: Tensor) -> Tensor:
        """Class scores (b, classes, h / 4, w / 4) of pictures (b, 3, h, w) in [-1, 1], h and w rounded up."""
        maps = self.trunk(image.contiguous(memory_format=torch.channels_last), MAPS)
        return self.decoder([maps[name] for name in MAPS])

    def forward(self, image: Tensor) -> Tensor:
        """Class scores (b, classes, h, w) of pictures (b, 3, h, w) in [-1, 1]: `scores`, bilinear."""
        return F.interpolate(self.scores(image), size=image.shape[-2:], mode="bilinear")


class Reading(nn.Module):
    """A frozen reader with its class names: reads label maps off photographs.

    Args:
        name: "landscapes" (shipped), or the path of a file that `scenegen.train model=lite_reader` wrote.
        weights, folder: see `LiteReader`; a shipped file is also looked for in the folder first.
        mirror: read the mirrored picture too, and take the mean: twice the time.

    Attributes:
        classes: class names in id order.
        facts: the file's header: command, data, terms and held-out figures of its training.
        stamp: file, frozen net and manner of reading, for the protocol of a number.

    Raises:
        Refusal: when there is no such file, or it is damaged.
    """

    def __init__(self, name: str | Path, *, weights: str, folder: str | Path | None, mirror: bool) -> None:
        super().__init__()
        file = halves.read(find(name, folder=folder), kind=KIND)
        self.classes, self.facts = file.names("classes"), file.header
        decoder = LiteDecoder(classes=len(self.classes), dropout=0.0, norm=False)
        try:
            decoder.load_state_dict(file.tensors)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise Refusal(f"{file.path} does not hold the net that its header describes: {first}") from error
        self.net = LiteReader(decoder.requires_grad_(False), weights=weights, folder=folder).eval()
        height, width = halves.numbers("[" + file.header.get("size", "").replace("x", ",") + "]", count=2)
        self._pixels, self.mirror = int(height * width), mirror
        manner = f"read at {height:.0f}x{width:.0f}{', mirrored too' if mirror else ''}"
        self.stamp = f"lite-reader:{file.digest[:12]} on {self.net.trunk_stamp}, {manner}"

    def train(self, mode: bool = True) -> Reading:
        """No change: the net stays in eval mode."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Class scores of pictures of any size, read at about the size that the net was trained at.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            (b, classes, h, w) scores; with `mirror` logarithms of probabilities.
        """
        x = at_size(image, pixels=self._pixels)
        scores = self.net.scores(x)
        if self.mirror:
            both = torch.stack([scores, self.net.scores(x.flip(-1)).flip(-1)])
            scores = both.softmax(2).mean(0).clamp(min=1e-12).log()
        return F.interpolate(scores, size=image.shape[-2:], mode="bilinear")


def write(decoder: LiteDecoder, path: Path, *, classes: Sequence[str], facts: Mapping[str, str]) -> str:
    """Write a decoder's file in half precision, whole or not at all.

    Args:
        decoder: trained.
        path: the file to write.
        classes: class names in id order.
        facts: further header entries: trunk, size, command, held-out figures.

    Returns:
        The first 12 digits of the file's sha256.
    """
    halves.write(decoder.state_dict(), path, kind=KIND, header={**facts, "classes": json.dumps(list(classes))})
    return halves.read(path, kind=KIND).digest[:12]


def find(name: str | Path, *, folder: str | Path | None = None) -> Path:
    """The file of a reader: a path as it is, a name in the folder if it is there, else among the shipped ones."""
    return shipped.find(name, kind="lite_reader", what="reader", folder=folder)
