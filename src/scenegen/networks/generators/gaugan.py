"""GauGAN: the SPADE generator, with or without the VAE that reads a style from a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from scenegen.base.records import Batch, Posterior, Refusal, Synthesis
from scenegen.networks.generators.painter import Painter
from scenegen.networks.generators.spade import DOUBLINGS, SpadeGenerator
from scenegen.networks.layers.backbone_encoder import BackboneEncoder
from scenegen.networks.layers.encoder import ImageEncoder
from scenegen.networks.layers.semantics import batch_semantics
from scenegen.networks.planes import Planes, Prior


class GauGAN(Painter):
    """Label maps to pictures; with `vae` also a style latent, learnt by encoding the photographs.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures; divisible by 32 (upsampling normal), 64 (more) or 128 (most).
        ngf: base width of generator and encoder.
        hidden: width inside each SPADE layer.
        latent: length of the style latent (used with `vae`).
        vae: learn a style posterior from the photographs.
        edges: add the instance-edge channel; batches must then hold instance ids.
        upsampling: "normal", "more" or "most".
        norm: under the modulation: "batch", "instance" or "per_process_batch".
        spectral: spectral norm on the blocks' convolutions.
        kernel: of the SPADE convolutions.
        encoder_norm: in the encoder: "instance", "batch", "per_process_batch" or "none".
        planes: further planes that the generator sees beside the labels, and the discriminator does not.

    Attributes:
        edges: the model reads instance ids.

    Source: Park et al. 2019, Semantic image synthesis with spatially-adaptive normalization.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        latent: int,
        vae: bool,
        edges: bool,
        upsampling: str,
        norm: str,
        spectral: bool,
        kernel: int,
        encoder_norm: str,
        planes: Sequence[Planes] = (),
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise Refusal(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.edges = edges
        self.condition_channels = num_classes + edges
        self.planes = nn.ModuleList(planes)
        further = [field for one in planes for field in one.reads]
        self.reads = frozenset({"label", *(["instance"] if edges else []), *(["image"] if vae else []), *further})
        latents = {"posterior.mu", "posterior.logvar", "posterior.z", "encode", "again"}
        coarse = {"coarse"} if any(one.is_picture for one in planes) else set[str]()
        self.offers = frozenset(coarse | latents if vae else coarse)
        self.noise_shape = (latent,) if vae else None
        self.generator = SpadeGenerator(
            semantic_channels=self.condition_channels + sum(one.channels for one in planes),
            height=height,
            width=width,
            ngf=ngf,
            hidden=hidden,
            latent=latent if vae else None,
            upsampling=upsampling,
            norm=norm,
            spectral=spectral,
            kernel=kernel,
        )
        self.size_step = None if vae else 2 ** DOUBLINGS[upsampling]
        self.encoder: ImageEncoder | BackboneEncoder | None = (
            ImageEncoder(height=height, width=width, ngf=ngf, latent=latent, norm=encoder_norm) if vae else None
        )

    def condition(self, batch: Batch) -> Tensor:
        """One-hot labels, with the edge channel where instances are read.

        Raises:
            Refusal: for ids outside the classes, or when edges are wanted and the batch has no instances.
        """
        dtype = self.generator.conv_img.weight.dtype
        return batch_semantics(batch, num_classes=self.num_classes, edges=self.edges, dtype=dtype)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Training: paint the batch; the VAE takes the style of its photographs.

        Args:
            batch: labels (and photographs, with VAE).
            noise: (b, latent) standard normal, with VAE; None without.

        Returns:
            The picture and, with VAE, mu, logvar and z = mu + noise * exp(logvar / 2).

        Raises:
            Refusal: when noise is missing or not wanted.
        """
        if self.encoder is not None and noise is None:
            raise Refusal("training the VAE needs noise of shape (b, latent); draw it from a seeded generator")
        return self._paint(batch, noise=noise, style=batch.image if self.encoder is not None else None)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Paint labels without their photographs.

        Args:
            batch: labels; with VAE also a style picture: an `exemplar` (b, 3, h, w) or (1, 3, h, w) of any size that
                comes without a label map of its own.
            noise: (b, latent) or (1, latent) standard normal.

        Returns:
            Without VAE the picture. With VAE also z: the noise itself, or with a style its mu
            (+ noise * exp(logvar / 2) when noise is given), beside mu and logvar.

        Raises:
            Refusal: with VAE and neither noise nor style, without VAE and either, or for other batch sizes.
        """
        return self._paint(batch, noise=noise, style=batch.exemplar if batch.exemplar_label is None else None)

    def _paint(self, batch: Batch, *, noise: Tensor | None, style: Tensor | None) -> Synthesis:
        planes = self.condition(batch)
        further = [one(batch) for one in self.planes]
        enlarged = [F.interpolate(part.to(planes.dtype), size=planes.shape[-2:], mode="bilinear") for part in further]
        planes = torch.cat([planes, *enlarged], dim=1)  # (b, num_classes + edges + further, h, w)
        with self.drawn(planes, noise) as own:
            made = self._painted(planes, noise=own, style=style)
        pictures = [part for one, part in zip(self.planes, further, strict=True) if isinstance(one, Prior)]
        made = replace(made, coarse=pictures[0]) if pictures else made
        return made if self.generator.small is None else self.generator.small.beside(made)

    def _painted(self, planes: Tensor, *, noise: Tensor | None, style: Tensor | None) -> Synthesis:
        if self.encoder is None:
            if noise is not None or style is not None:
                raise Refusal("this model has no VAE, so noise and style do nothing; leave them out or set vae=true")
            return Synthesis(image=self.generator(planes, size=planes.shape[-2:]))
        if noise is None and style is None:
            raise Refusal("sampling the VAE needs noise (b, latent) or a style picture; give one of them")
        if noise is not None:
            noise = self._for_each(noise, planes.shape[0], "noise")
        mu = logvar = None
        z = noise
        if style is not None:
            mu, logvar = (self._for_each(t, planes.shape[0], "style") for t in self.encoder(style))
            z = mu if noise is None else torch.addcmul(mu, noise.to(mu.dtype), torch.exp(0.5 * logvar))
        assert z is not None
        return Synthesis(image=self.generator(planes, z), posterior=Posterior(z=z, mu=mu, logvar=logvar))

    def encode(self, image: Tensor, *, frozen: bool = False) -> tuple[Tensor, Tensor]:
        """The posterior of a picture's style, for losses that look at generated pictures.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            frozen: let gradients through to the picture, but not into the encoder.

        Returns:
            mu and logvar, each (b, latent).

        Raises:
            Refusal: without VAE.
        """
        if self.encoder is None:
            raise Refusal("this model has no VAE, so there is nothing to encode with; set vae=true")
        if not frozen:
            return self.encoder(image)
        weights = {name: parameter.detach() for name, parameter in self.encoder.named_parameters()}
        return functional_call(self.encoder, weights, (image,))

    def _for_each(self, rows: Tensor, count: int, what: str) -> Tensor:
        if rows.ndim != 2 or rows.shape[0] not in (1, count) or (rows.shape[1:] != self.noise_shape):
            raise Refusal(
                f"{what} gives latents {tuple(rows.shape)} for {count} label maps; "
                f"give 1 or {count} of shape {self.noise_shape}"
            )
        return rows.expand(count, -1)
