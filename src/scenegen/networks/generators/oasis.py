"""OASIS: a SPADE-like generator on labels and noise, the same noise vector at every pixel."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Posterior, Refusal, Synthesis
from scenegen.networks.generators.painter import Painter
from scenegen.networks.generators.spade import DOUBLINGS, start_grid
from scenegen.networks.layers.norm import PARAMETER_FREE, choose
from scenegen.networks.layers.precision import at_least_float32, autocast_dtype
from scenegen.networks.layers.semantics import batch_semantics
from scenegen.networks.layers.small_pictures import SmallPictures
from scenegen.networks.layers.spade import SPADE, Doubled, SPADEBlock, nearest

MULTIPLES = (16, 16, 16, 8, 4, 2, 1)
"""Widths around the six blocks, in units of ngf."""


class OasisSPADE(SPADE):
    """`SPADE` with the state dict keys of OASIS."""

    norm_name: ClassVar[str] = "first_norm"


class OasisGenerator(nn.Module):
    """A start grid doubled five times, every block modulated by noise and semantics.

    Args:
        semantic_channels: of the semantics.
        height, width: of the picture, divisible by 32.
        ngf: base width; the grid has 16 ngf channels, the last block ngf.
        hidden: width inside each SPADE layer, 128 as published.
        latent: length of the noise, 0 for none.
        norm: a key of PARAMETER_FREE.
        spectral: spectral norm on the blocks' convolutions.
        kernel: of the SPADE convolutions.

    Attributes:
        dual: a layer of the last block's input and result (DAGAN's gates); None as published.
        small: pictures of its maps (tricks grow and multi_scale_gradient); None as published.

    Source: Sushko et al., ICLR 2021 (OASIS), section 3.3 and appendix (table of the generator).
    """

    dual: nn.Module | None
    small: SmallPictures | None

    def __init__(
        self,
        *,
        semantic_channels: int,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        latent: int,
        norm: str,
        spectral: bool,
        kernel: int,
    ) -> None:
        super().__init__()
        self.grid = start_grid(height, width, upsampling="normal")
        self.semantic_channels = semantic_channels
        self.latent = latent
        if min(ngf, hidden, semantic_channels) < 1 or latent < 0:
            raise Refusal(
                "ngf, hidden and semantic_channels must be positive and latent not negative, "
                f"got {ngf}, {hidden}, {semantic_channels}, {latent}"
            )
        make = choose(norm, PARAMETER_FREE)
        inputs = latent + semantic_channels

        def modulation(channels: int) -> SPADE:
            return OasisSPADE(channels, condition_channels=inputs, norm=make(channels), hidden=hidden, kernel=kernel)

        widths = [ngf * m for m in MULTIPLES]
        self.conv_img = nn.Conv2d(ngf, 3, 3, padding=1)
        self.body = nn.ModuleList(
            SPADEBlock(a, out=b, modulation=modulation, spectral=spectral) for a, b in pairwise(widths)
        )
        self.fc = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.doubled = Doubled(widths[1:-1])
        self.register_module("dual", None)
        self.register_module("small", None)

    def forward(self, semantics: Tensor, z: Tensor | None = None, *, size: tuple[int, int] | None = None) -> Tensor:
        """Paint a picture.

        Args:
            semantics: (b, semantic_channels, h, w) at any size.
            z: (b, latent), or (b, latent, h, w) for noise of its own at every pixel (local editing); None
                exactly when latent is 0.
            size: (height, width) of the picture, both divisible by 32; None is the size it was built for.

        Returns:
            (b, 3, height, width) in [-1, 1], float32 also under autocast.

        Raises:
            Refusal: when z is missing, not wanted or of another shape, the channels differ, or the size cannot be had.
        """
        self._check(semantics, z)
        dtype = autocast_dtype(semantics) or semantics.dtype
        semantics = semantics.to(dtype)
        if z is not None:
            z = (z if z.ndim == 4 else z[:, :, None, None]).to(dtype)

        def condition(size: tuple[int, int] | torch.Size) -> Tensor:
            labels = nearest(semantics, size)
            if z is None:
                return labels
            noise = nearest(z, size) if z.shape[-2:] != (1, 1) else z.expand(-1, -1, *size)
            return torch.cat([noise, labels], dim=1)

        planes = condition(self.grid if size is None else start_grid(*size, upsampling="normal"))
        x = self.fc(planes)
        entering = x
        for i, block in enumerate(self.body):
            if i:
                if self.small is not None and (ended := self.small(x, i - 1)) is not None:
                    return ended
                x = self.doubled(x, i - 1)
                planes = condition(x.shape[-2:])
            entering, x = x, block(x, planes)
        if self.dual is not None:
            x = self.dual(entering, x)
        image = torch.tanh(at_least_float32(self.conv_img(F.leaky_relu(x, 0.2))))
        return image if self.small is None else self.small.whole(image)

    def _check(self, semantics: Tensor, z: Tensor | None) -> None:
        if semantics.ndim != 4 or semantics.shape[1] != self.semantic_channels:
            raise Refusal(
                f"the generator needs semantics (b, {self.semantic_channels}, h, w), got "
                f"{tuple(semantics.shape)}; num_classes must match the data"
            )
        if not self.latent and z is not None:
            raise Refusal("this generator takes no noise; leave z out, or build it with latent=64")
        if self.latent and (z is None or z.ndim not in (2, 4) or z.shape[:2] != (semantics.shape[0], self.latent)):
            got = "none" if z is None else f"{tuple(z.shape)}"
            raise Refusal(f"this generator needs z of shape ({len(semantics)}, {self.latent}), got {got}")


class Oasis(Painter):
    """Label maps and noise to pictures; trained against `OasisDiscriminator` alone.

    Args:
        num_classes: one-hot channels, a class for "unknown" included (the published data have it as id 0).
        height, width: of the pictures; divisible by 32.
        ngf: base width.
        hidden: width inside each SPADE layer.
        latent: length of the noise; 0 makes one picture per label map (the paper's "no 3D noise").
        norm: under the modulation: "batch", "instance" or "per_process_batch".
        spectral: spectral norm on the blocks' convolutions.
        kernel: of the SPADE convolutions.

    Attributes:
        xavier_everywhere: `initialise` draws the spectrally normalised weights as Xavier too, as published.

    Source: Sushko et al., ICLR 2021, You only need adversarial supervision for semantic image synthesis.
    """

    xavier_everywhere: ClassVar[bool] = True
    reads = frozenset({"label"})

    def __init__(
        self,
        *,
        num_classes: int,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        latent: int,
        norm: str,
        spectral: bool,
        kernel: int,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise Refusal(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.condition_channels = num_classes
        self.size_step = 2 ** DOUBLINGS["normal"]
        self.offers = frozenset({"posterior.z", "again"} if latent else ())
        self.noise_shape = (latent,) if latent else None
        self.generator = OasisGenerator(
            semantic_channels=num_classes,
            height=height,
            width=width,
            ngf=ngf,
            hidden=hidden,
            latent=latent,
            norm=norm,
            spectral=spectral,
            kernel=kernel,
        )

    def condition(self, batch: Batch) -> Tensor:
        """One-hot labels.

        Raises:
            Refusal: for ids outside the classes.
        """
        return batch_semantics(batch, num_classes=self.num_classes, dtype=self.generator.conv_img.weight.dtype)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Paint labels; training does the same.

        Args:
            batch: labels.
            noise: (b, latent) or (1, latent) standard normal; (b, latent, h, w) for noise of its own at every
                pixel. None exactly when latent is 0.

        Returns:
            The picture, and z, the noise itself.

        Raises:
            Refusal: for noise that is missing, not wanted or of another shape.
        """
        planes = self.condition(batch)
        if noise is not None and noise.shape[0] == 1:
            noise = noise.expand(planes.shape[0], *noise.shape[1:])
        with self.drawn(planes, noise) as z:
            image = self.generator(planes, z, size=planes.shape[-2:])
        made = Synthesis(image=image, posterior=None if z is None else Posterior(z=z))
        return made if self.generator.small is None else self.generator.small.beside(made)
