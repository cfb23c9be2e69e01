"""PieAPP: perceptual error as a network learned it from people's pairwise preferences.

Family: Features of a network
"""

from __future__ import annotations

from pathlib import Path

import torch
from piq.functional import crop_patches
from piq.pieapp import PieAPPModel
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import in_colour, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import clamped, unit_pair
from scenegen.networks.frozen import weights as pinned

PATCH = 64
FILE = pinned.WeightsFile(
    "pieapp",
    "PieAPPv0.1-0937b014.pth",
    "https://github.com/photosynthesis-team/piq/releases/download/v0.5.4/PieAPPv0.1.pth",
)


def pieapp(x: Tensor, y: Tensor, network: PieAPPModel, *, stride: int = 27) -> Tensor:
    """Weighted mean, over patches, of the error that the network sees in x.

    Args:
        x, y: (b, 3, h, w) in [0, 1] (clamped), the generated and the target picture, at least 64 pixels a side.
        network: piq's, in eval mode; no gradient flows into y.
        stride: distance of the 64-pixel patches; smaller sees more and costs more.

    Returns:
        A scalar; about 0 for equal pictures, larger for worse ones, not bounded below.

    Raises:
        Refusal: when the pictures differ in size or are too small.

    Source: Prashnani et al., CVPR 2018, eqs. 4-5.
    """
    refuse_unlike(x, y, term="pieapp", where="the pixels")
    h, w = x.shape[-2:]
    if min(h, w) < PATCH:
        raise Refusal(f"loss.pieapp looks at patches of {PATCH}x{PATCH} pixels, but has {h}x{w} pictures")
    with torch.autocast(x.device.type, enabled=False):
        error_x, weight_x = network(_patches(x, stride))
        with torch.no_grad():
            error_y, weight_y = network(_patches(y, stride))
        error, weight = network.compute_difference(error_y - error_x, weight_y - weight_x)
        error, weight = error.view(len(x), -1), weight.view(len(x), -1)  # (b, patches)
        return ((error * weight).sum(1) / weight.sum(1)).mean()


class PieApp(Term):
    """`pieapp` of pictures brought to [0, 1], on piq's network as it is.

    piq's own class fetches its file unchecked and, unless asked, computes without a graph: a loss that trains
    nothing, as perhaps in the log. The network is kept out of state dicts, optimizers and `.train()`.

    Args:
        weights: "published" (the authors', as piq keeps them) or "random" (seeded).
        folder: where the file lies; None is torch hub's cache.
        stride: see `pieapp`.
        target: "real" or "exemplar".

    Formula: weighted mean over patches of the network's error of x less that of y
    Range: pictures in [-1, 1], brought to [0, 1]; about 0 for equal pictures, unbounded
    """

    def __init__(
        self,
        *,
        weights: str,
        folder: str | Path | None,
        stride: int,
        target: str,
    ) -> None:
        super().__init__()
        if stride < 1:
            raise Refusal(f"loss.pieapp.stride={stride} is not a number of pixels >= 1; 27 is the paper's sparse one")
        self.needs = target_needs(target, term="pieapp")
        self.stride, self.target = stride, target
        self._network = (network(weights=weights, folder=folder),)  # a tuple: not registered as a submodule

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = (in_colour(picture) for picture in unit_pair(evidence, self.target, term="pieapp"))
        return pieapp(x, y, self._network[0], stride=self.stride)

    def _apply(self, fn, recurse: bool = True) -> PieApp:
        super()._apply(fn, recurse)
        self._network[0]._apply(fn, recurse)
        return self


def network(*, weights: str = "published", folder: str | Path | None = None) -> PieAPPModel:
    """piq's network, frozen, with the pinned weights.

    Raises:
        Refusal: for an unknown policy, or when the file cannot be had or is another one.
    """
    if weights not in ("published", "random"):
        raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
    with torch.device("meta"):  # 62 million numbers that are overwritten at once
        net = PieAPPModel()
    if weights == "random":
        net.to_empty(device="cpu")
        pinned.randomise(net)
    else:
        state: dict[str, Tensor] = torch.load(_file(folder), map_location="cpu", weights_only=True)
        name = "ref_score_subtract.weight"
        net.load_state_dict(state | {name: state[name].view(1, 1)}, assign=True)
    return net.requires_grad_(False).eval()


def _file(folder: str | Path | None) -> Path:
    try:
        return pinned.locate(FILE, folder)
    except Refusal as refusal:
        cause = refusal.__cause__
        if cause is None:
            raise  # the file is there, but another one
        raise Refusal(
            f"the weights of loss.pieapp cannot be had ({getattr(cause, 'reason', cause)}): download {FILE.url} "
            f"elsewhere and put it as {FILE.file} into {pinned.cache_folder(folder)} (or set weights.dir to its "
            f"folder), or do without: loss.pieapp.weight=0 leaves the term out, weights=random uses random weights"
        ) from refusal


def _patches(x: Tensor, stride: int) -> Tensor:
    return crop_patches(255 * clamped(x), size=PATCH, stride=stride)
