"""Official files load as they are, and whatever does not fit is told in one sentence with every key."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.interop import load_official, read_official
from scenegen.networks.layers.init import initialise
from tests.options import INIT_GAIN, built

NARROW: dict[str, Any] = {
    "num_classes": 3,
    "height": 256,
    "width": 256,
    "ngf": 1,
    "hidden": 4,
    "latent": 8,
    "vae": True,
}


def official_conv(*args: Any, **kwargs: Any) -> nn.Module:
    return torch.nn.utils.spectral_norm(nn.Conv2d(*args, **kwargs))


def official_encoder() -> nn.ModuleDict:
    """The encoder as the specification's table 4 lists it, made of torch's own layers and hook."""
    net = nn.ModuleDict()
    widths = [3, 1, 2, 4, 8, 8, 8]
    for i in range(6):
        conv = official_conv(widths[i], widths[i + 1], 3, stride=2, padding=1, bias=False)
        net[f"layer{i + 1}"] = nn.Sequential(conv, nn.InstanceNorm2d(widths[i + 1], affine=False))
    net["fc_mu"], net["fc_var"] = nn.Linear(128, 8), nn.Linear(128, 8)
    return net.eval()


def run_official_encoder(net: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
    for i in range(6):
        x = net[f"layer{i + 1}"](x if i == 0 else nn.functional.leaky_relu(x, 0.2))
    x = nn.functional.leaky_relu(x, 0.2).flatten(1)
    return net["fc_mu"](x), net["fc_var"](x)


def narrow(seed: int, **changes: Any) -> GauGAN:
    model = built("model/gaugan", **{"edges": False, "vae": False, **NARROW, **changes})
    initialise(model, gain=INIT_GAIN, generator=torch.Generator().manual_seed(seed))
    return model.eval()


def wrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As DataParallel saves it, and without the version metadata of spectral norm."""
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_official_files_load_without_renaming(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    source, target, encoder = narrow(1), narrow(2), official_encoder()
    files = {"G": source.generator.state_dict(), "E": encoder.state_dict()}
    for letter, state in files.items():
        path = tmp_path / f"latest_net_{letter}{suffix}"
        if suffix == ".pth":
            torch.save(wrapped(state), path)
        else:
            save_file({k: v.contiguous() for k, v in wrapped(state).items()}, path)
    load_official(target, {k: read_official(tmp_path / f"latest_net_{k}{suffix}") for k in files})
    draw = torch.Generator().manual_seed(3)
    style = torch.rand(1, 3, 256, 256, generator=draw) * 2 - 1
    batch = Batch(label=torch.randint(0, 3, (1, 64, 64), generator=draw), exemplar=style)
    painted = target.sample(batch)
    mu, logvar = run_official_encoder(encoder, style)
    assert painted.posterior is not None
    assert painted.posterior.mu is not None
    assert painted.posterior.logvar is not None
    assert torch.allclose(painted.posterior.mu, mu, atol=1e-5)
    assert torch.allclose(painted.posterior.logvar, logvar, atol=1e-5)
    assert torch.equal(painted.image, source.generator(source.condition(batch), painted.posterior.mu))


def test_a_plain_file_is_the_generator() -> None:
    source, target = narrow(1, vae=False), narrow(2, vae=False)
    state = source.generator.state_dict()
    load_official(target, {k: v for k, v in state.items() if "num_batches_tracked" not in k})
    assert all(torch.equal(a, b) for a, b in zip(state.values(), target.generator.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"num_classes": 5}, "semantic channels.*5 in the file, 3 in the model"),
        ({"ngf": 2}, "16 ngf: 32 in the file, 16 in the model"),
        ({"vae": False}, "vae=false"),
        ({"upsampling": "most"}, "upsampling=most"),
        ({"upsampling": "more"}, "start grid"),
        ({"hidden": 8}, "hidden width"),
    ],
)
def test_generator_of_another_model(changes: dict[str, Any], hint: str) -> None:
    target = narrow(2)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(Refusal, match=hint):
        load_official(target.generator, narrow(1, **changes).generator.state_dict())
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"blocks": 6}, "likely reason: model.blocks: 6 in the file, 1 in the model"),
        ({"ngf": 6}, "likely reason: ngf: 6 in the file, 4 in the model"),
        ({"ngf": 6, "blocks": 4}, "ngf: 6 in the file, 4 in the model; model.blocks: 4 in the file, 1 in the model"),
    ],
)
def test_residual_generator_of_another_model(changes: dict[str, int], hint: str) -> None:
    arguments = {"num_classes": 0, "edges": False, "height": 32, "width": 32, "ngf": 4, "blocks": 1}
    own, other = (built("model/cyclegan", **{**arguments, **more}) for more in ({}, changes))
    with pytest.raises(Refusal, match=hint):
        load_official(own, {"G_A": other.there.state_dict(), "G_B": other.back.state_dict()})


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"semantic_channels": 4}, "semantic channels.*4 in the file, 3 in the model"),
        ({"ndf": 8}, "ndf: 8 in the file, 4 in the model"),
        ({"scales": 3}, "scales"),
        ({"layers": 5}, "layers"),
    ],
)
def test_discriminator_of_another_model(changes: dict[str, Any], hint: str) -> None:
    arguments: dict[str, Any] = {"semantic_channels": 3, "ndf": 4}
    judge, other = (built("discriminator/patch", **{**arguments, **more}) for more in ({}, changes))
    with pytest.raises(Refusal, match=hint):
        load_official(judge, other.state_dict())


def test_every_fault_is_listed() -> None:
    model = narrow(1)
    state = model.generator.state_dict()
    gone = [key for key in state if key.startswith("up_2.")]
    for key in gone:
        del state[key]
    state["extra.weight"] = torch.zeros(2)
    state["conv_img.bias"] = torch.zeros(4)
    with pytest.raises(Refusal) as refusal:
        load_official(model.generator, state)
    needed = [key for key in gone if "num_batches_tracked" not in key]
    assert all(f"missing {key}" in str(refusal.value) for key in needed)
    assert "unexpected extra.weight" in str(refusal.value)
    assert "conv_img.bias is 4 in the file, 3 in the model" in str(refusal.value)


def test_files_of_other_letters() -> None:
    model = narrow(1)
    generator = model.generator.state_dict()
    with pytest.raises(Refusal, match="takes the files G, E"):
        load_official(model, {"G": generator})
    with pytest.raises(Refusal, match="takes the files G"):
        load_official(narrow(1, vae=False), {"G": generator, "E": {"a": torch.zeros(1)}})


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("open('/dev/full')",)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a file of weights", pickle.dumps(Hostile()), pickle.dumps({"a": 1})],
    ids=["empty", "text", "hostile", "numbers"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_unreadable_files(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"latest_net_G{suffix}"
    path.write_bytes(content)
    with pytest.raises(Refusal, match="latest_net_G"):
        read_official(path)


def test_hostile_and_foreign_torch_files(tmp_path: Path) -> None:
    for name, what in (("hostile", Hostile()), ("numbers", {"a": 1.0}), ("list", [torch.zeros(2)]), ("none", {})):
        torch.save(what, tmp_path / f"{name}.pth")
        with pytest.raises(Refusal, match=name):
            read_official(tmp_path / f"{name}.pth")
    with pytest.raises(Refusal, match="no file"):
        read_official(tmp_path / "absent.pth")


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(narrow(1).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(Refusal, match=r"cut\.pth"):
        read_official(path)
