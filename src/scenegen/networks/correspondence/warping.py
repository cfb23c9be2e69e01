"""Options of the warps: one record for all, more for CoCosNet and for UNITE, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.base.refusal import Refusal
from scenegen.networks.correspondence.similarity import CENTRES
from scenegen.networks.correspondence.transport import Released, Unbalanced

LABEL_WARPS = ("none", "direct", "cycle")
TRANSPORTS = ("released", "unbalanced")


@dataclass(frozen=True)
class Warping:
    """Options of an exemplar's way to the label map.

    Attributes:
        centre: matching features lose their mean over "channels" (published) or "positions", see `match`.
        bilinear: enlarge the warped exemplar so, not nearest.
        warped_label: "direct" warps the exemplar's labels, "cycle" sends the labels to the exemplar and back, or
            "none".
        cycle: also warp the warped exemplar back to the exemplar's frame.
        two_cycle: also send the photograph to the exemplar's frame and back.

    Raises:
        Refusal: for another centre or warped_label.
    """

    centre: str
    bilinear: bool
    warped_label: str
    cycle: bool
    two_cycle: bool

    def __post_init__(self) -> None:
        _require("centre", self.centre, CENTRES)
        _require("warped_label", self.warped_label, LABEL_WARPS)

    @property
    def offers(self) -> frozenset[str]:
        """Parts of Synthesis that the warps fill."""
        optional = {"label": self.warped_label != "none", "back": self.cycle, "returned": self.two_cycle}
        return frozenset({"warp", "warp.aligned", *(f"warp.{name}" for name, given in optional.items() if given)})


@dataclass(frozen=True)
class CoCosNetWarping(Warping):
    """The further options of CoCosNet.

    Attributes:
        temperature: of the softmax over exemplar positions.
        match_kernel: side of the patches that are matched, odd.
        patches: warp whole patches of stride x stride pixels, not their averages (`warp_patch`).

    Raises:
        Refusal: for patches with two_cycle.
    """

    temperature: float
    match_kernel: int
    patches: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.two_cycle and self.patches:
            raise Refusal("model.two_cycle=true sends averages to and fro, not patches; set model.patches=false")


@dataclass(frozen=True)
class TransportWarping(Warping):
    """The further options of UNITE.

    Attributes:
        transport: "released" or "unbalanced", as in the paper.
        reach: with "unbalanced": > 0; the smaller, the more the marginals may differ from the masses.
        per_sample_diameter: a sample's transport does not depend on its batch mates; false as released.

    Raises:
        Refusal: for another transport, and for a reach that the unbalanced one cannot have.
    """

    transport: str
    reach: float
    per_sample_diameter: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        _require("transport", self.transport, TRANSPORTS)
        self.planner()

    def planner(self) -> Released | Unbalanced:
        """The transport itself."""
        return Unbalanced(self.reach) if self.transport == "unbalanced" else Released()


def _require(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise Refusal(f"model.{name}={given} is not one of {', '.join(known)}")
