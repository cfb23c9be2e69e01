"""Aesthetic marks of pictures, 0..10: LAION's linear head on CLIP ViT-L/14."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.extractors import Normalise
from scenegen.scoring.judges.protocols import BOTH, require_uint8

CLIP = "openai/clip-vit-large-patch14"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
SIDE = 224
NETWORK = "laion-aesthetics-v1"
FILE = "sa_0_4_vit_l_14_linear.pth"
"""The head; its publisher names no hash of it, so the stamp carries the hash of the file that was read."""
URL = f"https://github.com/LAION-AI/aesthetic-predictor/raw/main/{FILE}"


class Laion(nn.Module):
    """LAION-Aesthetics V1: one linear layer on the normalised CLIP ViT-L/14 picture embedding.

    It is the single linear layer of V1 (`weight` (1, 768), `bias` (1,)), not the layers of the improved predictor
    (sac+logos+ava1-l14-linearMSE). Pictures come to 224 x 224 as CLIP takes them: bicubic, then the middle square.

    Args:
        weights: "published" or "random" (seeded, stamped as such).
        folder: where the head's file and a folder clip-vit-large-patch14 lie; None is the libraries' caches.

    Attributes:
        name, stamp: for the score table and the protocol.
        stand_in: False, a published aesthetic model.

    Source: Schuhmann, LAION-Aesthetics (2022), predictor V1; Radford et al., Learning transferable visual models
        from natural language supervision (2021).
    """

    name = "laion"
    stand_in = False
    ranks = BOTH

    def __init__(self, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        transformers = pinned.extra("transformers", choice="aesthetic=laion")  # nosec B610  # no database
        model = transformers.CLIPVisionModelWithProjection
        if weights == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.clip = model(_config(transformers))
                self.head = nn.Linear(self.clip.config.projection_dim, 1)
            self.stamp = f"{NETWORK} {pinned.RANDOM_STAMP}"
        else:
            self.head, digest = _read_head(_locate_head(folder))
            without = "aesthetic=nima or aesthetic=standin"
            self.clip = pinned.from_hub(model.from_pretrained, CLIP, folder=folder, without=without)
            self.stamp = f"{NETWORK}-{digest}, clip-vit-l-14:{pinned.state_digest(self.clip)}"
        self.normalise = Normalise(CLIP_MEAN, CLIP_STD)
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        """Mark of every picture.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b,) float in [0, 10].

        Raises:
            Refusal: not uint8.
        """
        require_uint8(image, what="an aesthetic mark")
        embedding = self.clip(pixel_values=self.normalise(middle_square(image) * 2 - 1)).image_embeds
        return self.head(F.normalize(embedding.float(), dim=1)).flatten().clamp(0, 10)


def middle_square(image: Tensor, side: int = SIDE) -> Tensor:
    """CLIP's view of a picture: the shorter side to `side`, bicubic, then the middle.

    Args:
        image: (b, 3, h, w) uint8.
        side: of the square.

    Returns:
        (b, 3, side, side) in [0, 1].
    """
    h, w = image.shape[-2:]
    size = (side, round(side * w / h)) if h <= w else (round(side * h / w), side)
    x = F.interpolate(image.float() / 255, size=size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return x[..., top : top + side, left : left + side]


def _config(transformers):
    """CLIP ViT-L/14's vision tower, for random weights."""
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    return transformers.CLIPVisionConfig(**sizes, image_size=SIDE, patch_size=14, projection_dim=768)


def _locate_head(folder: str | Path | None) -> Path:
    path = pinned.cache_folder(folder) / FILE
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), progress=False)
        except (OSError, RuntimeError) as error:  # URLError is an OSError
            raise Refusal(
                f"the weights of {NETWORK} cannot be had ({getattr(error, 'reason', None) or error}): download "
                f"{URL} elsewhere and put the file {FILE} into {path.parent} (or set weights.dir to its "
                "folder), or do without: aesthetic=nima, or aesthetic=standin, which needs none"
            ) from error
    return path


def _read_head(path: Path) -> tuple[nn.Linear, str]:
    """The linear layer, and 8 hex digits of the file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        head = nn.Linear(768, 1)
        head.load_state_dict(state)
    except Exception as error:  # a foreign file can raise anything
        raise Refusal(
            f"{path} is no head of LAION-Aesthetics V1, which holds weight (1, 768) and bias (1,); delete it and get "
            f"it again from {URL}"
        ) from error
    return head, hashlib.sha256(path.read_bytes()).hexdigest()[:8]
