"""Networks of timm as backbones: built by name, their weights published or random by name, never by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Normalise

WITHOUT = "encoder=efficientnet reads a pip package, encoder=own is the model's, weights=random uses random weights"


class TimmTrunk(nn.Module):
    """The last map of a network of timm.

    Args:
        name: of timm's list.
        side: of the pictures, for transformers, whose positions depend on it.
        frozen: never trained, and always in eval mode.

    Attributes:
        channels: of the map.

    Raises:
        Refusal: the library is not installed, or has no such network.
    """

    def __init__(self, *, name: str, side: int, frozen: bool) -> None:
        super().__init__()
        self.name, self.side, self.frozen = name, side, frozen
        self.net = self._made()
        described: dict[str, Any] = self.net.pretrained_cfg
        self.normalise = Normalise(tuple(described["mean"]), tuple(described["std"]))
        self.channels = int(self.net.num_features)
        if frozen:
            self.requires_grad_(False)
        self.train()

    def _made(self, **options: Any) -> Any:
        timm = pinned.extra("timm", choice=f"encoder.name={self.name}")  # nosec B610  # no database
        for sized in ({"img_size": self.side}, {}):  # convolutions take any size and know no such option
            try:
                found = timm.create_model(self.name, num_classes=0, **sized, **options)
                self.sized = sized
                return found
            except TypeError:
                continue
            except (RuntimeError, ValueError, AssertionError) as error:
                said = " ".join(str(error).split())[:160]
                raise Refusal(
                    f"timm has no {self.name} of {self.side} pixels a side ({said}); choose another encoder.name="
                ) from error
        raise Refusal(f"timm makes no {self.name} without further options; choose another encoder.name=")

    def fill(self, *, policy: str, folder: str | Path | None, seed: int) -> str:
        """Give the network its weights.

        Args:
            policy: "published" or "random".
            folder: where NAME.safetensors is looked for first.
            seed: of random weights.

        Returns:
            The stamp: name and digest of the weights, or name and "RANDOM WEIGHTS".

        Raises:
            Refusal: weights that cannot be had, or are another network's.
        """
        if policy == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.net.load_state_dict(self._made().state_dict())
            return f"{self.name} {pinned.RANDOM_STAMP}"
        if policy != "published":
            raise Refusal(f"encoder.weights={policy} is not a policy; use published or random")
        file = None if folder is None else Path(folder).expanduser() / f"{self.name}.safetensors"
        self.net.load_state_dict(self._published(file).state_dict())
        return f"{self.name}-{pinned.state_digest(self.net)}"

    def _published(self, file: Path | None) -> Any:
        timm = pinned.extra("timm", choice=f"encoder.name={self.name}")  # nosec B610  # no database
        local = {"pretrained_cfg_overlay": {"file": str(file)}} if file is not None and file.is_file() else {}
        try:
            if not local:
                pinned.require_hub()
            return timm.create_model(self.name, pretrained=True, num_classes=0, **self.sized, **local)
        except Exception as error:  # no network: the hub's client raises kinds of its own
            place = f"{self.name}.safetensors in weights.dir" if file is None else str(file)
            read, them = (f" from {file}", "the published ones") if local else ("", "them")
            raise Refusal(f"the weights of {self.name} cannot be had{read} ({' '.join(str(error).split())[:160]}): put "
                          f"{them} as {place}, or do without: {WITHOUT}") from error  # fmt: skip

    def forward(self, image: Tensor) -> list[Tensor]:
        """(b, 3, side, side) in [-1, 1] to one map (b, channels, h', w')."""
        x = self.normalise(image)
        return self.net.forward_intermediates(x, indices=1, output_fmt="NCHW", intermediates_only=True)

    def train(self, mode: bool = True) -> TimmTrunk:
        """Stay in eval mode where it is frozen."""
        return super().train(mode and not self.frozen)
