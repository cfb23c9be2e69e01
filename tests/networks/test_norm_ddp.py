"""Two gloo processes must equal one process at the same global batch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from scenegen.networks.generators.spade import SpadeGenerator
from scenegen.networks.layers.norm import GlobalBatchNorm

SHARES = {"even": (2, 2), "uneven": (1, 3)}


def a_run(rows: slice, *, total: int) -> dict[str, Tensor]:
    """Forward and backward of one share; the loss is a sum, so that gradients of shares add up."""
    draw = torch.Generator().manual_seed(0)
    x = (3 + 2 * torch.randn(total, 5, 6, 7, generator=draw, dtype=torch.float64))[rows].requires_grad_()
    pull = torch.randn(total, 5, 6, 7, generator=draw, dtype=torch.float64)[rows]
    norm = GlobalBatchNorm(5, affine=True).double()
    y = norm(x)
    (y * pull).sum().backward()
    assert x.grad is not None
    assert norm.weight is not None
    assert norm.weight.grad is not None
    return {"y": y.detach(), "grad": x.grad, "sum/weight": norm.weight.grad, **norm.state_dict()}


def a_generator_run(rows: slice, *, total: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    net = SpadeGenerator(semantic_channels=3, height=32, width=32, ngf=2, hidden=4, norm="batch").double()
    draw = torch.Generator().manual_seed(1)
    label = torch.randint(0, 3, (total, 1, 32, 32), generator=draw)
    planes = torch.zeros(total, 3, 32, 32, dtype=torch.float64).scatter_(1, label, 1.0)[rows]
    pull = torch.randn(total, 3, 32, 32, generator=draw, dtype=torch.float64)[rows]
    net(planes)
    y = net(planes)
    (y * pull).sum().backward()
    grads = {f"sum/{name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"y": y.detach(), **grads, **{k: v for k, v in net.state_dict().items() if "running" in k}}


RUNS = {"norm": a_run, "generator": a_generator_run}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for share, counts in SHARES.items():
        rows = slice(0, counts[0]) if rank == 0 else slice(counts[0], sum(counts))
        found = {name: run(rows, total=sum(counts)) for name, run in RUNS.items()}
        torch.save(found, Path(folder) / f"{share}{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Findings of both processes; one start of two processes, by forks, serves every case."""
    path = tmp_path_factory.mktemp("gloo")
    mp.start_processes(worker, args=(str(path),), nprocs=2, start_method="fork")
    return path


@pytest.mark.parametrize("name", ["norm", "generator"])
@pytest.mark.parametrize("share", ["even", "uneven"])
def test_two_processes_equal_one(folder: Path, share: str, name: str) -> None:
    parts = [torch.load(folder / f"{share}{rank}.pt")[name] for rank in range(2)]
    total = sum(SHARES[share])
    one = RUNS[name](slice(0, total), total=total)
    assert {"y", "running_mean"} <= {key.rsplit(".", 1)[-1] for key in one}
    for key, want in one.items():
        first, second = (part[key] for part in parts)
        if key in ("y", "grad"):
            got = torch.cat([first, second])
        elif key.startswith("sum/"):
            got = first + second
        else:
            got = first
            assert torch.equal(first, second), key
        assert torch.allclose(got, want, rtol=1e-9, atol=1e-11), key


def test_counter_stays_zero() -> None:
    norm = GlobalBatchNorm(3)
    norm(torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert norm.state_dict()["num_batches_tracked"] == 0
