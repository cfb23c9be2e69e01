"""Quality mark of photographs: a small head on statistics of EfficientNet-Lite2's frozen maps.

It learned to rank distortions of photographs (noise, blur, JPEG, blocks, plaid, colour casts), so it needs no people's
marks and knows nothing of beauty. Lite2 judges and no loss reads it, so neither may a loss read this head. Source of
the form: ranking of distortions as a teacher, Liu et al., RankIQA, ICCV 2017; statistics of the maps in place of its
fine-tuned network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from scenegen.base import halves
from scenegen.base.records import Refusal
from scenegen.networks.frozen import efficientnet, shipped
from scenegen.networks.frozen.extractors import Extractor

KIND = halves.Kind("scenegen.quality/1", "a quality head on EfficientNet-Lite2", "scenegen")
MAPS = ("bottleneck_s2", "bottleneck_s4", "bottleneck_s8", "bottleneck_s16", "bottleneck_s32")
CHANNELS = (16, 24, 48, 120, 352)
"""Of Lite2's maps at strides 2, 4, 8, 16 and 32."""

SMALLEST = 32
"""Least side of a picture, in pixels."""


class LiteStatistics(nn.Module):
    """Mean, and logarithm of the deviation, of every channel of Lite2's maps over the picture.

    Args:
        weights: of Lite2: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where Lite2's weight file is looked for first; None is the installed package alone.

    Attributes:
        stamp: name and weights of the frozen net.
    """

    def __init__(self, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        net, taps, self.stamp = efficientnet.load("lite2", weights=weights, folder=folder)
        trunk = efficientnet.folded(net[: taps[MAPS[-1]] + 1]).to(memory_format=torch.channels_last)
        read = {name: taps[name] for name in MAPS}
        self.trunk = Extractor(trunk, taps=read, stamp=self.stamp, treatment=efficientnet.ToTensorFlow())

    def forward(self, image: Tensor) -> Tensor:
        """Statistics (b, 1120) of pictures (b, 3, h, w) in [-1, 1]."""
        maps = self.trunk(image.contiguous(memory_format=torch.channels_last), MAPS)
        found = []
        for name in MAPS:
            x = maps[name].flatten(2)  # (b, c, h w)
            found += [x.mean(2), (x.std(2, unbiased=False) + 0.01).log()]  # (b, c) each
        return torch.cat(found, 1)  # (b, 1120)


class QualityHead(nn.Module):
    """Score of a picture from its statistics; files hold it with the statistics' mean and deviation folded in.

    Args:
        hidden: width.
    """

    def __init__(self, *, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * sum(CHANNELS), hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, statistics: Tensor) -> Tensor:
        """(b, 1120) -> (b,), the higher the better; a mark is 10 times its sigmoid."""
        return self.score(self.hidden(statistics).relu())[:, 0]


class Quality(nn.Module):
    """A frozen head on Lite2: marks pictures 0..10.

    Args:
        name: "landscapes" (shipped), or the path of a file that benchmarks/judges/train_quality.py wrote.
        weights, folder: see `LiteStatistics`; a shipped file is also looked for in the folder first.

    Attributes:
        facts: the file's header: command, data, terms and figures of its training.
        stamp: file and frozen net.

    Raises:
        Refusal: when there is no such file, or it is damaged.
    """

    def __init__(self, name: str | Path, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        file = halves.read(find(name, folder=folder), kind=KIND)
        self.facts = file.header
        head = QualityHead(hidden=len(file.tensors.get("score.weight", torch.zeros(1, 1))[0]))
        try:
            head.load_state_dict(file.tensors)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise Refusal(f"{file.path} does not hold the head that its header describes: {first}") from error
        self.head = head.requires_grad_(False)
        self.statistics = LiteStatistics(weights=weights, folder=folder)
        self.stamp = f"quality:{file.digest[:12]} on {self.statistics.stamp}"
        self.eval()

    def train(self, mode: bool = True) -> Quality:
        """No change: the net stays in eval mode."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Marks (b,) in [0, 10] of pictures (b, 3, h, w) in [-1, 1], read at their own size."""
        return 10 * self.head(self.statistics(image)).sigmoid()


def write(head: QualityHead, path: Path, *, mean: Tensor, deviation: Tensor, facts: Mapping[str, str]) -> str:
    """Write a head in half precision, whole or not at all.

    Args:
        head: trained on statistics less `mean`, over `deviation`.
        path: the file to write.
        mean, deviation: (1120,) of the statistics.
        facts: header entries: data, terms, command, figures.

    Returns:
        The first 12 digits of the file's sha256.
    """
    state = head.state_dict()
    state["hidden.weight"] = state["hidden.weight"] / deviation
    state["hidden.bias"] = state["hidden.bias"] - state["hidden.weight"] @ mean
    halves.write(state, path, kind=KIND, header=facts)
    return halves.read(path, kind=KIND).digest[:12]


def find(name: str | Path, *, folder: str | Path | None = None) -> Path:
    """The file of a head: a path as it is, a name in the folder if it is there, else among the shipped ones."""
    return shipped.find(name, kind="quality", what="quality head", folder=folder)
