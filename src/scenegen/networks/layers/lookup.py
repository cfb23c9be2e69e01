"""A trained generator of SPADE layers made fast for sampling: modulations looked up, weights divided.

A pixel's gamma and beta depend on the few labels around it, so they are computed once per distinct window of labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal, SceneModel
from scenegen.networks.layers.filtering import Filtered, is_plain, toom_cook
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralConv2d
from scenegen.networks.layers.spade import SPADE, nearest
from scenegen.networks.layers.windows import Survey, modulated, table

ROWS = 1024
"""Pixels that are modulated at a time, so that their scales and shifts stay in the cache."""
WINOGRAD = toom_cook((0, 1, -1), taps=3)
"""2 pixels from 4 by 4 products, F(2, 3): as near to float64 as the direct sums."""
WIDE = 256
"""Channels in and out from which the saved products weigh more than the sums around them: at 1024 channels and 16x16
the direct convolution's time is 2.6 times as long, at 256 and 64x64 1.4 times."""


class LookupSPADE(nn.Module):
    """A trained SPADE for sampling: gamma and beta are computed once per distinct window of the condition.

    Equal to the SPADE up to the order of summation.

    Args:
        spade: in eval mode, padded with zeros.
        survey: shared by the layers of one generator.
    """

    def __init__(self, spade: SPADE, *, survey: Survey) -> None:
        super().__init__()
        self.spade = spade
        self.survey = survey
        self.norm = spade.get_submodule(spade.norm_name)
        weights = table(spade.mlp_shared[0], spade.mlp_gamma, spade.mlp_beta)
        self.shared, self.shared_bias, self.both, self.bias = (
            nn.Buffer(part.detach().contiguous(), persistent=False) for part in weights
        )

    @torch.no_grad()
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """See `SPADE.forward`."""
        condition = nearest(condition, x.shape[-2:])
        windows = self.survey.of(condition)
        if windows is None:
            return self.spade(x, condition)
        with torch.autocast(x.device.type, enabled=False):
            scale_shift = modulated(windows, self.shared, self.shared_bias, self.both, self.bias)
        if self.spade.noise is not None:
            x = self.spade.noise(x)
        if isinstance(self.norm, GlobalBatchNorm | nn.BatchNorm2d):
            _fold(scale_shift, self.norm)
        else:
            x = self.norm(x)
        scale, shift = (part.to(x.dtype).contiguous() for part in scale_shift.chunk(2, dim=1))
        b, c, h, w = x.shape
        given = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).view(-1, c)
        result = torch.empty_like(given)
        for row, made, index in zip(given.split(ROWS), result.split(ROWS), windows.index.split(ROWS), strict=True):
            torch.addcmul(shift.index_select(0, index), row, scale.index_select(0, index), out=made)
        return result.view(b, h, w, c).permute(0, 3, 1, 2)


def looks_up(model: SceneModel) -> bool:
    """True when `look_up` speeds a model up: its generator has SPADE layers, padded with zeros or edge pixels."""
    borders = {
        layer.mlp_gamma.padding_mode if isinstance(layer.pad, nn.Identity) else "own" for layer in _spades(model)
    }
    return borders in ({"zeros"}, {"replicate"})


def look_up(model: SceneModel, *, wide: bool = True) -> None:
    """Replace the SPADE layers of a trained model's generator by look-up tables, in place and for sampling only.

    Spectrally normalised weights are divided for good, and wide convolutions on a CPU are Winograd's; the state dict
    is another one afterwards. Pictures are those of the model as it was up to the order of summation: 1.2e-5 was
    measured in [-1, 1], where the model and its published formulation are 1.6e-5 apart.

    Args:
        model: in eval mode, a model that `looks_up`.
        wide: let wide convolutions be Winograd's, which are for float32; autocast's are direct.

    Raises:
        Refusal: for other models, and in training mode, where weights would change under the tables.
    """
    _require_spades(model, option="lookup")
    if model.training:
        raise Refusal("modulations are looked up in trained models only; call eval() first")
    survey = _survey(_spades(model)[0])
    generator = _generator(model)
    for parent in list(generator.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SPADE):
                setattr(parent, name, LookupSPADE(child, survey=survey))
            elif isinstance(child, nn.Conv2d):
                setattr(parent, name, quickened(child, wide=wide))
    generator.register_forward_hook(survey.forget, always_call=True)


def tabulate(model: SceneModel) -> None:
    """Let the SPADE layers of a model's generator compute each distinct window once, forward and backward, in place.

    Values and gradients are those of the model as it was up to the order of summation; the state dict stays.

    Args:
        model: a model that `looks_up`.

    Raises:
        Refusal: for other models.
    """
    _require_spades(model, option="trainer.lookup")
    survey = _survey(_spades(model)[0])
    for layer in _spades(model):
        layer.survey = survey
    _generator(model).register_forward_hook(survey.forget, always_call=True)


def _survey(layer: SPADE) -> Survey:
    conv = layer.mlp_gamma
    return Survey(kernel=conv.kernel_size[0], replicate=conv.padding_mode == "replicate")


def _require_spades(model: SceneModel, *, option: str) -> None:
    if not looks_up(model):
        raise Refusal("this model's modulations depend on more than labels (pictures, or reflected borders), so "
                      f"there is nothing to look up; use {option}=false")  # fmt: skip


def _generator(model: SceneModel) -> nn.Module:
    return dict(model.named_children()).get("generator", nn.Identity())


def _spades(model: SceneModel) -> list[SPADE]:
    return [layer for layer in _generator(model).modules() if isinstance(layer, SPADE)]


def quickened(conv: nn.Conv2d, *, wide: bool) -> nn.Module:
    """A trained convolution for sampling: divided by its singular value for good, by Winograd's filters where wide."""
    plain = divided(conv) if isinstance(conv, SpectralConv2d) else conv
    return Filtered(plain, down=WINOGRAD, across=WINOGRAD, alone=True) if wide and suits(plain) else plain


def suits(conv: nn.Module) -> bool:
    """True for a plain convolution of 3x3 in memory of the CPU that is wide enough to gain."""
    if type(conv) is not nn.Conv2d or conv.weight.device.type != "cpu" or not is_plain(conv):
        return False
    return conv.kernel_size == (3, 3) and min(conv.in_channels, conv.out_channels) >= WIDE


@torch.no_grad()
def divided(conv: SpectralConv2d) -> nn.Conv2d:
    """A plain convolution whose weight is divided by its singular value once instead of in every call."""
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        kernel_size=(conv.kernel_size[0], conv.kernel_size[1]),
        padding=conv.padding,  # pyright: ignore[reportArgumentType]
        dilation=(conv.dilation[0], conv.dilation[1]),
        bias=False,
        padding_mode=conv.padding_mode,
        device="meta",
    )
    plain.weight = nn.Parameter(conv.weight_orig / conv.sigma())
    plain.bias = conv.bias
    return plain.eval()


def _fold(scale_shift: Tensor, norm: GlobalBatchNorm | nn.BatchNorm2d) -> None:
    """Fold the norm into the scales and shifts, in place, so that they apply to the features themselves."""
    scale, shift = scale_shift.chunk(2, dim=1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale *= (norm.running_var + norm.eps).rsqrt()
    shift.addcmul_(scale, norm.running_mean, value=-1)
