"""Options of `encoder=`: another network in the place of the one with which a VAE reads styles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scenegen.base.records import Refusal, SceneModel
from scenegen.networks.discriminators.stages import FrozenStages
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.timm_trunk import TimmTrunk
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.layers.backbone_encoder import BackboneEncoder


class Backbone:
    """Base of the group's options; a kind supplies both methods."""

    def into_model(self, model: SceneModel) -> None:
        """Put the encoder into a freshly built model."""
        raise NotImplementedError  # every kind has its own

    def start(self, model: SceneModel, *, seed: int) -> str:
        """Give the encoder the weights from which it starts; what they are, for the record of the run."""
        raise NotImplementedError  # every kind has its own


class FrozenBackbone(Backbone):
    """Layers of a network that never learns, and is no part of a checkpoint.

    Args:
        backbone: a frozen feature network of the house.
        layers, deviations: see `FrozenStages`.
    """

    def __init__(self, *, backbone: Extractor, layers: Sequence[str], deviations: str | Sequence[float] | None) -> None:
        self.stages = FrozenStages(backbone, layers=layers, deviations=deviations)

    def into_model(self, model: SceneModel) -> None:
        vae, side, latent = _vae(model)
        self.stages.refuse_small(side, side)
        vae.encoder = BackboneEncoder(self.stages, channels=self.stages.channels, side=side, latent=latent)

    def start(self, model: SceneModel, *, seed: int) -> str:
        return self.stages.backbone.stamp


class TimmBackbone(Backbone):
    """A network of timm, trained along or frozen; its weights are in the checkpoint.

    Args:
        name: of timm's list.
        frozen: train only the maps to mean and variance.
        weights: "published" or "random".
        folder: where NAME.safetensors is looked for first.
    """

    def __init__(self, *, name: str, frozen: bool, weights: str, folder: str | Path | None) -> None:
        if frozen and weights == "random":
            raise Refusal("encoder.frozen=true with encoder.weights=random reads styles with noise that never learns; "
                          "use encoder.frozen=false, or published weights")  # fmt: skip
        self.name, self.frozen, self.weights, self.folder = name, frozen, weights, folder

    def into_model(self, model: SceneModel) -> None:
        vae, side, latent = _vae(model)
        trunk = TimmTrunk(name=self.name, side=side, frozen=self.frozen)
        vae.encoder = BackboneEncoder(trunk, channels=[trunk.channels], side=side, latent=latent)

    def start(self, model: SceneModel, *, seed: int) -> str:
        encoder = _vae(model)[0].encoder
        assert isinstance(encoder, BackboneEncoder)
        assert isinstance(encoder.backbone, TimmTrunk)
        return encoder.backbone.fill(policy=self.weights, folder=self.folder, seed=seed)


def _vae(model: SceneModel) -> tuple[GauGAN, int, int]:
    """The model, the side of its encoder's input, and the length of its latent."""
    if not isinstance(model, GauGAN) or model.encoder is None or model.noise_shape is None:
        raise Refusal("encoder= reads the styles of a VAE, and this model has none; use model=gaugan model.vae=true, "
                      "or encoder=own")  # fmt: skip
    return model, model.encoder.side, model.noise_shape[0]
