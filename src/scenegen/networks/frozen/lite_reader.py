"""Reader of label maps off photographs: a small decoder on the frozen stages of EfficientNet-Lite2.

Lite2 judges and no loss reads it, so neither may a loss read this net. Source of the form: the feature pyramid of Lin
et al., CVPR 2017 (laterals and top-down sums), with a learned bias per height, since landscapes are ordered from top
to bottom.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base import halves
from scenegen.base.kinds import trained_on
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

DEEP = 2
"""Index of the first of the deep maps, at strides 16 and 32."""

HEADS = 4
"""Of a layer of attention."""


class Attention(nn.Module):
    """Every place of a map looks at every other: a layer of a transformer, norms in front (Xiong et al., ICML 2020).

    What it adds begins at zero, so that a decoder starts as the one without it.

    Args:
        width: channels of the map, a multiple of `HEADS`.
        dropout: share of what the two steps add that training leaves out.
    """

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        for last in (self.out, self.outer):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> (b, width, h, w)."""
        rows = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm1(rows)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        rows = rows + F.dropout(self.out(seen), self.dropout, self.training)
        step = self.outer(F.gelu(self.inner(self.norm2(rows))))
        rows = rows + F.dropout(step, self.dropout, self.training)
        return rows.transpose(1, 2).unflatten(2, x.shape[-2:])


class LiteDecoder(nn.Module):
    """Class scores at stride 4 from the maps at strides 4, 8, 16 and 32; 0.47 M parameters for 29 classes.

    Each map loses its mean and deviation, which are stored, and is brought to the decoder's width; from the deepest to
    the finest the sums of map, deeper result and bias per height pass a 3x3 convolution. The deepest sum sees the mean
    of the whole picture as well; with `attention` (0.67 M parameters) each place of the two deepest sums sees all
    others.

    Args:
        classes: number of classes.
        dropout: share of the channels of the two deepest sums, and of the last map, that training leaves out.
        attention: a layer of attention in the two deepest sums.
        norm: batch norms for training; False for a folded net.
    """

    def __init__(self, *, classes: int, dropout: float, attention: bool, norm: bool = True) -> None:
        super().__init__()
        self.dropout, self.attention = dropout, attention
        # Without gain and bias: nothing but the running mean and deviation of each frozen map.
        self.standard = nn.ModuleList(nn.BatchNorm2d(c, affine=False) if norm else nn.Identity() for c in CHANNELS)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(CHANNELS, WIDTHS, strict=True))
        self.whole = nn.Conv2d(CHANNELS[-1], WIDTHS[-1], 1, bias=False)
        self.height = nn.ParameterList(torch.zeros(1, w, rows, 1) for w, rows in zip(WIDTHS, ROWS, strict=True))
        narrower = (WIDTHS[0], *WIDTHS)
        self.mix = nn.ModuleList(ConvRelu(w, out, norm=norm) for out, w in pairwise(narrower))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        deep = WIDTHS[DEEP:] if attention else ()
        self.attend = nn.ModuleList(Attention(width, dropout=dropout) for width in deep)

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
            if self.attention and i >= DEEP:
                y = self.attend[i - DEEP](y)
            x = self.mix[i](F.dropout2d(F.relu(y), self.dropout, self.training and i >= DEEP))
        assert x is not None
        return self.head(F.dropout2d(x, self.dropout, self.training))

    def folded(self) -> LiteDecoder:
        """The same function in eval mode without norms, frozen: what files hold and judges run."""
        classes, attention = self.head.out_channels, self.attention
        plain = LiteDecoder(classes=classes, dropout=self.dropout, attention=attention, norm=False)
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
        weights, folder: of Lite2, see `lite2`.

    Attributes:
        trunk_stamp: name and weights of the frozen net.
    """

    def __init__(self, decoder: nn.Module, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        self.trunk = lite2(weights=weights, folder=folder)
        self.trunk_stamp = self.trunk.stamp
        self.decoder = decoder

    def scores(self, image: Tensor) -> Tensor:
        """Class scores (b, classes, h / 4, w / 4) of pictures (b, 3, h, w) in [-1, 1], h and w rounded up."""
        return self.decoder(maps_of(self.trunk, image))

    def forward(self, image: Tensor) -> Tensor:
        """Class scores (b, classes, h, w) of pictures (b, 3, h, w) in [-1, 1]: `scores`, bilinear."""
        return F.interpolate(self.scores(image), size=image.shape[-2:], mode="bilinear")


def lite2(*, weights: str, folder: str | Path | None) -> Extractor:
    """The frozen net that decoders read, which judges and which no loss reads.

    Args:
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first; None is the installed package alone.
    """
    net, taps, stamp = efficientnet.load("lite2", weights=weights, folder=folder)
    trunk = efficientnet.folded(net[: taps[MAPS[-1]] + 1]).to(memory_format=torch.channels_last)
    # An Extractor keeps its trunk out of state dicts, optimizers and .train().
    return Extractor(
        trunk, taps={name: taps[name] for name in MAPS}, stamp=stamp, treatment=efficientnet.ToTensorFlow()
    )


def maps_of(trunk: Extractor, image: Tensor) -> list[Tensor]:
    """The maps of `MAPS` of pictures (b, 3, h, w) in [-1, 1]."""
    maps = trunk(image.contiguous(memory_format=torch.channels_last), MAPS)
    return [maps[name] for name in MAPS]


class Reading(nn.Module):
    """Frozen readers with their class names: read label maps off photographs, the mean of what each says.

    Args:
        names: of each "landscapes" (shipped), or the path of a file that `scenegen.train model=lite_reader` wrote.
        weights, folder: see `lite2`; a shipped file is also looked for in the folder first.
        mirror: read the mirrored picture too, and take the mean: twice the time.

    Attributes:
        classes: class names in id order.
        facts: the first file's header: command, data, terms and held-out figures of its training.
        ranks: kinds of pictures that all of them were trained on.
        stamp: files, frozen net and manner of reading, for the protocol of a number.

    Raises:
        Refusal: when there is no such file, it is damaged, or it knows other classes than the first.
    """

    def __init__(self, names: Sequence[str | Path], *, weights: str, folder: str | Path | None, mirror: bool) -> None:
        super().__init__()
        files = [halves.read(find(name, folder=folder), kind=KIND) for name in names]
        self.classes, self.facts, self.mirror = files[0].names("classes"), files[0].header, mirror
        for file in files[1:]:
            if file.names("classes") != self.classes:
                raise Refusal(
                    f"{file.path} reads other classes than {files[0].path}, and their mean would mean nothing; give "
                    "segmenter.name= readers that were trained on data of the same classes"
                )
        self.ranks = frozenset.intersection(*(trained_on(file.header) for file in files))
        self.decoders = nn.ModuleList(_decoder(file, classes=len(self.classes)) for file in files).eval()
        self.trunk = lite2(weights=weights, folder=folder)
        sizes = [halves.numbers("[" + f.header.get("size", "").replace("x", ",") + "]", count=2) for f in files]
        self._pixels = [int(height * width) for height, width in sizes]
        self.stamp = _stamp([file.digest[:12] for file in files], sizes, on=self.trunk.stamp, mirror=mirror)

    def train(self, mode: bool = True) -> Reading:
        """No change: the nets stay in eval mode."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Class scores of pictures of any size, read at about the size that each net was trained at.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            (b, classes, h, w) scores; of several readings logarithms of probabilities.
        """
        return F.interpolate(_mean(list(self._each(image))), size=image.shape[-2:], mode="bilinear")

    def _each(self, image: Tensor) -> Iterator[Tensor]:
        """Scores of each decoder at stride 4 of its size; decoders of one size share Lite2's maps."""
        for pixels in dict.fromkeys(self._pixels):
            x = at_size(image, pixels=pixels)
            maps = maps_of(self.trunk, x)
            turned = maps_of(self.trunk, x.flip(-1)) if self.mirror else None
            for decoder, own in zip(self.decoders, self._pixels, strict=True):
                if own == pixels:
                    yield _mean([decoder(maps), *([decoder(turned).flip(-1)] if turned is not None else [])])


def _decoder(file: halves.Halves, *, classes: int) -> LiteDecoder:
    """The frozen decoder that a file holds."""
    attention = any(name.startswith("attend.") for name in file.tensors)
    decoder = LiteDecoder(classes=classes, dropout=0.0, attention=attention, norm=False)
    try:
        decoder.load_state_dict(file.tensors)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise Refusal(f"{file.path} does not hold the net that its header describes: {first}") from error
    return decoder.requires_grad_(False)


def _mean(scores: Sequence[Tensor]) -> Tensor:
    """One score as it is; of several the logarithm of the mean of their probabilities, at the finest one's size."""
    if len(scores) == 1:
        return scores[0]
    finest = max(s.shape[-2:] for s in scores)
    even = [F.interpolate(s.softmax(1), size=finest, mode="bilinear") for s in scores]
    return torch.stack(even).mean(0).clamp(min=1e-12).log()


def _stamp(digests: Sequence[str], sizes: Sequence[tuple[float, ...]], *, on: str, mirror: bool) -> str:
    """Files, frozen net and manner of reading."""
    at = [f"{height:.0f}x{width:.0f}" for height, width in sizes]
    turned = ", mirrored too" if mirror else ""
    if len(digests) == 1:
        return f"lite-reader:{digests[0]} on {on}, read at {at[0]}{turned}"
    each = ", ".join(f"lite-reader:{digest} at {size}" for digest, size in zip(digests, at, strict=True))
    return f"mean of {each}, on {on}{turned}"


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
