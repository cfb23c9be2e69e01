"""Weights of the official releases: files read without trust, and loaded without renaming by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.base.tensors import require_stored, require_tensors

WRAPPER = "module."
PARTS = {"G": "generator", "E": "encoder", "D": "discriminator", "Corr": "correspondence", "F": "heads",
         "G_A": "there", "G_B": "back", "D_A": "of_target", "D_B": "of_source",
         "D_rec": "of_reconstructed", "DE": "decoder"}  # fmt: skip
"""Official file letters (latest_net_G.pth, ...) and the submodules of ours that they fill."""

JUDGES = ("D", "D_A", "D_B", "D_rec")
"""Letters of a discriminator's files, which may be missing."""

HEADS = "F"
"""Letter of the projections that only CUT's training reads, which may be missing."""

AVERAGE = "EMA"

WRAPPED = ("state_dict", "params_ema", "params", "net")
"""Keys below which a file may hold its tensors, the first wins; Real-ESRGAN's hold an average before the weights."""

VERSION_ONLY = "num_batches_tracked"

BLOCKS = "model.blocks"

CURE = re.compile("[:,] (?:set|check) ")
"""What stands in a hint between the difference and the option to set."""

FEW = 12
"""Number of faults listed for a file of another family; for the same family all are listed."""


@runtime_checkable
class Renaming(Protocol):
    """A network whose official files name its parameters otherwise, in one way or several."""

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The file's tensors under the network's names."""
        ...


def read_official(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a .pth or .safetensors file, without running any code in it.

    Args:
        path: the file; .safetensors by its suffix, anything else by torch.load(weights_only=True).

    Returns:
        Key -> tensor, on the CPU.

    Raises:
        Refusal: when the file is missing, unreadable, holds more than tensors, or is no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise Refusal(f"there is no file {path}; give the path of a .pth or .safetensors state dict")
    cure = "only plain tensors are accepted, so save `state_dict()` again, best as .safetensors"
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            require_stored(path, cure=cure, legacy=True)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Refusal:
        raise
    except Exception as error:  # a foreign file can raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if path.suffix != ".safetensors" and not isinstance(error, OSError):  # torch advises to read it unsafely
            reason = "torch.save did not write it whole, or it holds more than tensors"
        raise Refusal(f"{path} cannot be read as weights ({reason[:160]}); {cure}") from error
    wrapped = (state[key] for key in WRAPPED if isinstance(state, Mapping) and isinstance(state.get(key), Mapping))
    state = next(wrapped, state)
    return require_tensors(state, what=str(path), cure=cure)


def find_files(files: str | Mapping[str, str], *, epoch: str = "latest") -> dict[str, Path]:
    """The official files of one model by their letters; OASIS' average, EMA, stands for G.

    Args:
        files: letter -> file; a file, which is G's; or the folder where <epoch>_net_G.pth, <epoch>_net_E.pth, ... lie
            (OASIS writes <epoch>_EMA.pth).
        epoch: the first part of the file names, "latest", "best" or a number.

    Raises:
        Refusal: for an unknown letter, a missing file, or a folder without a generator of that epoch.
    """
    letters = (*PARTS, AVERAGE)
    if isinstance(files, str) and Path(files).is_file():
        return {"G": Path(files)}
    if isinstance(files, str):
        names = {letter: (f"{epoch}_net_{letter}.pth", f"{epoch}_{letter}.pth") for letter in letters}
        found = {k: path for k, both in names.items() for n in both if (path := Path(files) / n).is_file()}
        if not found.keys() & {"G", "G_A", AVERAGE}:
            raise Refusal(f"{files} holds no {epoch}_net_G.pth and no {epoch}_{AVERAGE}.pth; give another epoch=, or "
                          "each file by its letter: files='{G: one.pth, E: two.pth}'")  # fmt: skip
    else:
        found = {letter: Path(path) for letter, path in files.items()}
        if strange := sorted(found.keys() - set(letters)):
            raise Refusal(f"files: the letter {strange[0]} is unknown; known are {', '.join(letters)}")
        if absent := [str(path) for path in found.values() if not path.is_file()]:
            raise Refusal(f"there is no file {', '.join(absent)}; check files=")
    if AVERAGE in found:
        found["G"] = found.pop(AVERAGE)
    return found


def load_official(
    module: nn.Module, state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]], *, options: bool = True
) -> None:
    """Load official weights strictly; nothing is changed when anything does not fit.

    Args:
        module: a network of ours with the official keys, or a model whose submodules are `generator`,
            `encoder` or `discriminator`.
        state: one state dict, or for a model one per official letter: {"G": ..., "E": ...}. The prefix
            `module.` of DataParallel is taken off, and version metadata is not needed.
        options: whether the reader can set options, so that a likely reason says which.

    Raises:
        Refusal: with every missing key, unexpected key and differing shape (the first of them where the file is of
            another family), and what seems to be the reason.
    """
    loads = []
    hints: list[str] = []
    faults: list[str] = []
    theirs, ours, common = 0, 0, 0
    for name, part, given in _parts(module, state):
        given = _without_statistics(part, _unwrap(given))
        given = part.own_names(given) if isinstance(part, Renaming) else given
        own = part.state_dict()
        theirs, ours, common = theirs + len(given), ours + len(own), common + len(given.keys() & own.keys())
        # batch norms of old files have no counter, and it is never read
        fill = {k: v for k, v in own.items() if k.endswith(VERSION_ONLY) and k not in given}
        faults += [f"missing {name}{key}" for key in own if key not in given and key not in fill]
        faults += [f"unexpected {name}{key}" for key in given if key not in own]
        faults += [
            f"{name}{key} is {_shape(given[key])} in the file, {_shape(own[key])} in the model"
            for key in own
            if key in given and given[key].shape != own[key].shape
        ]
        faults += [
            f"{name}{key} is {given[key].dtype} in the file, {own[key].dtype} in the model"
            for key in own
            if key in given and given[key].is_floating_point() != own[key].is_floating_point()
        ]
        # in a whole model the keys that give hints lie below its generator
        views = [(given, own)] if name else [(given, own), (_below(given, "generator"), _below(own, "generator"))]
        hints += [hint for view in views for hint in _hints(*view)] if faults else []
        loads.append((part, {**fill, **given}))
    if faults and 3 * common < 2 * max(theirs, ours):
        # not the same network with more or fewer layers
        if common < min(theirs, ours) and not any(hint.startswith(BLOCKS) for hint in hints):
            hints = [f"the file is of another family: {theirs} names there, {ours} in the model, {common} in common"]
        faults = [*faults[:FEW], *([f"and {len(faults) - FEW} more"] if len(faults) > FEW else [])]
    if faults:
        if not options:
            hints = [CURE.split(hint)[0] for hint in hints]
        reason = f" (likely reason: {'; '.join(dict.fromkeys(hints))})" if hints else ""
        raise Refusal(f"the weights do not fit {type(module).__name__}{reason}: " + "; ".join(faults))
    for part, given in loads:
        part.load_state_dict(given, strict=True)


def _parts(module: nn.Module, state: Mapping) -> list[tuple[str, nn.Module, Mapping[str, Tensor]]]:
    """(prefix for messages, submodule, its state dict) for each part of the file set."""
    children = dict(module.named_children())
    if not state or not all(isinstance(v, Mapping) for v in state.values()):
        if "generator" in children and not any(_strip(k).startswith("generator.") for k in state):
            state = {"G": state}  # a model and one plain file: its generator
        elif children.keys() & set(PARTS.values()) and all(
            key.partition(".")[0] in children for key in map(_strip, state)
        ):
            own = {_strip(key): value for key, value in state.items()}
            return [(f"{name}.", child, _below(own, name)) for name, child in children.items()]  # ours, whole
        else:
            return [("", module, state)]
    wanted = {letter: name for letter, name in PARTS.items() if name in children}
    if "G" in state and "G_A" in wanted:  # the file of one direction, as the authors' test model reads it
        state = {"G_A" if letter == "G" else letter: given for letter, given in state.items()}
    if HEADS not in state:
        wanted.pop(HEADS, None)
    if set(state) != set(wanted):
        raise Refusal(
            f"{type(module).__name__} takes the files {', '.join(wanted) or 'of no letter'}, got "
            f"{', '.join(map(str, state))}; G is the generator, E the encoder (model.vae=true only), Corr the "
            "correspondence, D the discriminator, G_A and G_B the generators there and back (model.both_ways=false "
            "takes one of them alone), F the heads"
        )
    return [(f"{letter}/", children[name], state[letter]) for letter, name in wanted.items()]


def _below(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _strip(key: str) -> str:
    while key.startswith(WRAPPER):
        key = key[len(WRAPPER) :]
    return key


def _unwrap(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys without DataParallel's prefix, and the spectral norms of torch 0.4 brought up to date."""
    new = {_strip(key): value for key, value in state.items()}
    for key in [key for key in new if key.endswith("weight_orig")]:
        weight, u, v = (key.removesuffix("_orig") + end for end in ("", "_u", "_v"))
        if v not in new and weight in new and u in new:
            new[v] = _right_vector(new[key], new.pop(weight), new[u])
    return new


def _right_vector(original: Tensor, normalised: Tensor, u: Tensor) -> Tensor:
    """The v that torch 0.4 did not store: u = W v up to length, and u W v is the sigma that made `normalised`."""
    matrix = original.flatten(1)
    v = torch.linalg.lstsq(matrix.double(), u.double()[:, None]).solution[:, 0]
    sigma = (original.double().norm() / normalised.double().norm()).item()
    return (v * sigma / torch.dot(u.double(), matrix.double() @ v)).to(original.dtype)


def _without_statistics(part: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the statistics that instance norms of torch 0.3 stored and never read."""
    bare = {name for name, m in part.named_modules() if isinstance(m, nn.InstanceNorm2d) and not m.track_running_stats}
    ends = ("running_mean", "running_var", VERSION_ONLY)
    return {key: t for key, t in given.items() if not (key.endswith(ends) and key.rpartition(".")[0] in bare)}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _hints(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Options that the user probably set differently, read off the shapes that depend on them."""
    hints = []
    for key, axis, extra, what in (
        ("head_0.norm_0.mlp_shared.0.weight", 1, 0, "semantic channels (num_classes, edges)"),
        ("discriminator_0.model0.0.weight", 1, 3, "semantic channels (num_classes, edges)"),
        ("fc.weight", 1, 0, "channels that condition the start (num_classes, edges, latent)"),
        ("G_middle_0.conv_0.weight_orig", 0, 0, "channels at the start, which is 16 ngf"),
        ("body.0.conv_0.weight_orig", 0, 0, "channels at the start, which is 16 ngf"),
        ("layer_up_last.weight", 0, 1, "classes (num_classes)"),
        ("layer1.0.weight_orig", 0, 0, "ngf"),
        ("model.1.weight", 0, 0, "ngf"),
        ("discriminator_0.model0.0.weight", 0, 0, "ndf"),
        ("head_0.norm_0.mlp_shared.0.weight", 0, 0, "hidden width of SPADE"),
        ("body.0.norm_0.mlp_shared.0.weight", 0, 0, "hidden width of SPADE"),
        ("fc_mu.weight", 0, 0, "latent"),
        ("conv_first.weight", 1, 0, "input channels (3 is model.scale=4, 12 is model.scale=2, 48 is model.scale=1)"),
        ("conv_first.weight", 0, 0, "model.channels"),
        ("body.0.rdb1.conv1.weight", 0, 0, "model.growth"),
    ):
        if key in given and key in own and given[key].ndim == own[key].ndim:
            theirs, ours = given[key].shape[axis] - extra, own[key].shape[axis] - extra
            if theirs != ours:
                hints.append(f"{what}: {theirs} in the file, {ours} in the model")
    return hints + _structure_hints(given, own)


def _structure_hints(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    hints = []
    ends = (".rdb1.conv1.weight", ".conv_block.1.weight")
    theirs, ours = (sum(key.endswith(ends) for key in state) for state in (given, own))
    if theirs and ours and theirs != ours:
        hints.append(f"{BLOCKS}: {theirs} in the file, {ours} in the model")
    if any(key.startswith("encoder.") for key in given.keys() ^ own.keys()):
        where, vae = ("file", "true") if any(key.startswith("encoder.") for key in given) else ("model", "false")
        hints.append(f"only the {where} has the encoder of a VAE: set vae={vae}")
    if "fc.weight" in given and "fc.weight" in own:
        theirs, ours = given["fc.weight"], own["fc.weight"]
        if theirs.ndim != ours.ndim:
            hints.append("the file is of a VAE generator, set vae=true" if theirs.ndim == 2 else
                         "the file is of a generator without VAE, set vae=false")  # fmt: skip
        elif theirs.ndim == 2 and theirs.shape[0] != ours.shape[0] and not hints:
            hints.append("the start grid or ngf differs: check height, width, upsampling")
    for key, cure in (
        ("up_4.conv_0.bias", "upsampling=most"),
        ("layer6.0.weight_orig", "pictures of 256 pixels or more (six encoder layers)"),
        ("discriminator_2.model0.0.weight", "scales of the discriminator"),
        ("discriminator_0.model5.0.weight", "layers of the discriminator"),
    ):
        if (key in given) != (key in own):
            where = "file" if key in given else "model"
            hints.append(f"only the {where} has {key.rsplit('.', 2)[0]}: check {cure}")
    return hints
