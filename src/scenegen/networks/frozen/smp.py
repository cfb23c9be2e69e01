"""Segmenters of segmentation_models.pytorch: built by name, and kept as safetensors with a JSON file beside them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.absent import absent
from scenegen.base.documents import read_json
from scenegen.base.files import whole
from scenegen.base.records import Refusal
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Normalise

FORMAT = "scenegen.smp/1"
STRIDE = 32
ONE_BY_ONE = threading.Lock()
"""Held by a pass of a net whose hooks keep its maps, as some encoders of timm do (xception, nasnet): passes of two
threads at once would take each other's maps."""


@dataclass(frozen=True)
class Card:
    """Description of a saved net: enough to build it again, and its history.

    Attributes:
        arch, encoder: names of segmentation_models.pytorch, e.g. "unet" and "resnet34".
        classes: class names in id order.
        height, width: of the pictures that it was trained on.
        facts: command, seed, held-out figures, versions.
        sha256: of the safetensors file; "" before it is written.
    """

    arch: str
    encoder: str
    classes: tuple[str, ...]
    height: int
    width: int
    facts: Mapping[str, str]
    sha256: str = ""


class SmpNet(nn.Module):
    """A net of segmentation_models.pytorch on pictures of any size.

    Args:
        arch, encoder: names of that library.
        classes: number of classes.
        encoder_weights: "imagenet" takes the encoder's published weights (a download), None starts from nothing.

    Raises:
        Refusal: the library is not installed, or has no such net.
    """

    def __init__(self, *, arch: str, encoder: str, classes: int, encoder_weights: str | None = None) -> None:
        super().__init__()
        with absent("wandb"):  # timm imports it for a table that it could write there
            smp = pinned.extra("segmentation_models_pytorch", choice="segmenter=smp")  # nosec B610  # no database
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        try:
            with torch.device("cpu"):  # its encoders read numbers off tensors while they are built, which meta has not
                self.net = smp.create_model(arch, encoder, encoder_weights, in_channels=3, classes=classes)
        except (KeyError, ValueError) as error:
            said = str(error.args[0] if error.args else error)
            raise Refusal(f"segmentation_models.pytorch has no {arch} on {encoder}: {said[:300]}") from error
        except Exception as error:  # no network: the hub's client raises kinds of its own
            raise Refusal(
                f"the {encoder_weights} weights of {encoder} cannot be had ({' '.join(str(error).split())[:160]}); "
                "train from nothing with encoder_weights=null, or fetch them where there is a network"
            ) from error

    def forward(self, image: Tensor) -> Tensor:
        """Class logits.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            (b, classes, h, w) logits.
        """
        h, w = image.shape[-2:]
        x = F.pad(self.normalise(image), (0, -w % STRIDE, 0, -h % STRIDE), mode="replicate")
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in self.net.modules())
        with ONE_BY_ONE if hooked else nullcontext():
            return self.net(x)[..., :h, :w]


def write(net: SmpNet, path: str | Path, card: Card) -> Card:
    """Write FILE.safetensors and FILE.json; both appear whole or nothing changes.

    Args:
        net: the trained net.
        path: the .safetensors file; its folder is made.
        card: what the JSON file says.

    Returns:
        The card with the file's hash.

    Raises:
        Refusal: another suffix, weights that are not finite, or the disk takes no more.
    """
    path = weights_file(path)
    tensors = {name: t.detach().cpu().contiguous() for name, t in net.net.state_dict().items()}
    if broken := [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]:
        raise Refusal(f"{broken[0]} is not finite, so {path} was not written; train with a smaller lr")
    data = safetensors.save(tensors, metadata={"format": FORMAT})
    card = Card(**{**vars(card), "sha256": hashlib.sha256(data).hexdigest()})
    text = json.dumps({"format": FORMAT, **asdict(card)}, indent=2) + "\n"
    try:
        for file, content in ((path, data), (path.with_suffix(".json"), text.encode())):
            with whole(file, several_writers=True) as part:
                part.write_bytes(content)
    except OSError as error:
        raise Refusal(f"{path} could not be written ({error.strerror}); free space or choose another out=") from error
    return card


def read(path: str | Path, *, sha256: str | None = None) -> tuple[SmpNet, Card]:
    """The frozen net of a file.

    Args:
        path: the .safetensors file; its .json lies beside it.
        sha256: the hash (or its beginning) that the file must have, or None.

    Raises:
        Refusal: a file is missing, damaged, not the one that was meant, or does not fit its card.
    """
    path = weights_file(path)
    card = _card(path.with_suffix(".json"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read ({error.strerror}); give the file that python -m scenegen.train model=smp wrote"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    for wanted, whose in ((card.sha256, f"{path.with_suffix('.json').name} says"), (sha256, "was asked for")):
        if wanted and not digest.startswith(wanted):
            raise Refusal(
                f"{path} is damaged or another file: its sha256 begins {digest[:12]}, {wanted[:12]} {whose}; "
                "make it anew with python -m scenegen.train model=smp"
            )
    net = SmpNet(arch=card.arch, encoder=card.encoder, classes=len(card.classes))
    try:
        net.net.load_state_dict(safetensors.load(data))
    except (SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise Refusal(f"{path} does not hold the {card.arch} on {card.encoder} that its card names: {said}") from error
    return net.requires_grad_(False).eval(), card


def weights_file(path: str | Path) -> Path:
    """The path of a net's weights, refused when it is no .safetensors file."""
    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise Refusal(f"{path} is no .safetensors file; give the one that python -m scenegen.train model=smp wrote")
    return path


def _card(path: Path) -> Card:
    cure = "it is written beside the weights by python -m scenegen.train model=smp"
    said = read_json(path, what="the card of a segmenter", cure=cure)
    if not isinstance(said, dict) or said.pop("format", None) != FORMAT:
        raise Refusal(f"{path} is not the card of a segmenter ({FORMAT}); give a file of scenegen.train model=smp")
    try:
        card = Card(**said)
        sound = _named(card.classes) and all(isinstance(side, int) and side > 0 for side in (card.height, card.width))
    except TypeError as error:
        raise Refusal(f"{path} is damaged ({error}); make it anew with scenegen.train model=smp") from error
    if not (sound and isinstance(card.arch, str) and isinstance(card.encoder, str) and isinstance(card.sha256, str)):
        raise Refusal(f"{path} is damaged: names, classes or sizes are not what they should be; make it anew")
    return Card(**{**vars(card), "classes": tuple(card.classes)})


def _named(classes: Sequence[str]) -> bool:
    return 0 < len(classes) <= 4096 and all(isinstance(name, str) for name in classes)


def at_size(image: Tensor, *, pixels: int) -> Tensor:
    """A picture brought to about so many pixels, or as it is when it has them within a tenth of the side.

    Args:
        image: (b, 3, h, w).
        pixels: height times width.

    Returns:
        (b, 3, h', w') of the same aspect.
    """
    h, w = image.shape[-2:]
    factor = (pixels / (h * w)) ** 0.5
    if abs(factor - 1) < 0.1:
        return image
    size = (max(1, round(h * factor)), max(1, round(w * factor)))
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def seeded(*, arch: str, encoder: str, classes: int, encoder_weights: str | None, seed: int) -> SmpNet:
    """A net with initial weights from a seed; the global generator stays where it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmpNet(arch=arch, encoder=encoder, classes=classes, encoder_weights=encoder_weights)
