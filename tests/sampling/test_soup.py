"""Soups: closed forms of the mean, the greedy choice and the renewed statistics; the command on a run of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, SceneModel, Synthesis
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralLinear
from scenegen.sampling.soup import chosen, mean_state, mixed_state, renew
from tests.cli.command_line import DATA, TINY, run


def test_the_mean_of_weights_and_the_first_one_s_counters() -> None:
    states = {name: {"w": torch.full((2,), value), "n": torch.tensor(count)}
              for name, value, count in (("a", 1.0, 5), ("b", 2.0, 7), ("c", 6.0, 9))}  # fmt: skip
    found = mean_state(states)
    assert found["w"].tolist() == [3.0, 3.0]
    assert found["w"].dtype == torch.float32
    assert found["n"] == 5


@pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"w": torch.zeros(2), "v": torch.zeros(1)}, {}])
def test_unlike_checkpoints_are_refused(other: dict[str, Tensor]) -> None:
    with pytest.raises(Refusal, match="b/1 and a/1 are checkpoints of unlike models"):
        mean_state({"a/1": {"w": torch.zeros(2)}, "b/1": other})


def test_the_greedy_soup_keeps_what_brings_it_nearer() -> None:
    """Numbers on a line with the goal 0: 1 alone, 1 and -2 nearer (-0.5), 4 farther, -3 not with them, 1.5 nearer."""
    value = {"a": 1.0, "d": 1.5, "b": -2.0, "e": -3.0, "c": 4.0}
    tried: list[tuple[str, ...]] = []

    def distance(names) -> float:
        tried.append(tuple(names))
        return abs(sum(value[name] for name in names) / len(names))

    alone = {name: abs(v) for name, v in value.items()}
    kept, best = chosen(list(value), distance, alone=alone)
    assert kept == ["a", "b"]
    assert best == 0.5
    assert tried == [("a", "d"), ("a", "b"), ("a", "b", "e"), ("a", "b", "c")]


class Net(SceneModel):
    """A normalisation behind a spectrally normalised map."""

    noise_shape = (3,)

    def __init__(self) -> None:
        super().__init__()
        self.map = SpectralLinear(3, 2)
        self.norm = GlobalBatchNorm(2)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        assert noise is not None
        return Synthesis(image=self.norm(self.map(noise)[:, :, None, None]))


def test_renewed_statistics_are_the_mean_over_the_batches() -> None:
    torch.manual_seed(0)
    net = Net()
    nn.init.normal_(net.norm.running_mean, 100.0)
    batches = [Batch(image=torch.zeros(64, 3, 1, 1)), Batch(image=torch.zeros(64, 3, 1, 1))]
    renew(net, batches, seed=3)
    assert not net.training
    assert net.norm.momentum == 0.1
    largest = torch.linalg.matrix_norm(net.map.weight_orig, ord=2)
    torch.testing.assert_close(net.map.sigma(), largest, rtol=1e-4, atol=1e-5)
    renew(net, batches[:1], seed=3)
    one = net.norm.running_mean.clone()
    renew(net, batches, seed=3)
    assert not torch.allclose(net.norm.running_mean, one)
    assert net.map.bias is not None
    assert (net.norm.running_mean - net.map.bias).abs().max() < 0.5, "noise has mean 0"
    assert 0.05 < net.norm.running_var.min() < net.norm.running_var.max() < 2


@pytest.mark.slow
def test_the_command_makes_a_run_of_the_kept_checkpoints(tmp_path: Path) -> None:
    trained = run("train", *TINY, "name=a", "steps=4", "checkpoint_every=1", "keep_checkpoints=4", "evaluate=false",
                  "grid_every=100", "trick=ema", cwd=tmp_path)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    done = run("soup", "runs=[a]", "name=b", "count=4", "batches=2", "batch_size=2", "weights=random", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a/") == 4
    assert "soup of" in done.stdout
    sampled = run("sample", "run=b", "out=made", cwd=tmp_path)
    assert sampled.returncode == 0, sampled.stderr
    assert len(list((tmp_path / "made").glob("*.png"))) == 4
    scored = run("score", "generated=made", *DATA, cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert "2 of 4 maps chose the checkpoints of this model, which flatters it" in " ".join(scored.stdout.split())
    again = run("soup", "runs=[a]", "name=b", cwd=tmp_path)
    assert again.returncode == 1
    assert "holds a run already" in again.stderr


@pytest.mark.parametrize("shares", [[0.5], [0.7, 0.7], [1.5, -0.5]])
def test_shares_that_do_not_fit_are_refused(shares: list[float]) -> None:
    states = {name: {"w": torch.zeros(2)} for name in "ab"}
    with pytest.raises(Refusal, match=r"one number of 0 or more for each of the 2 runs, and sum to 1"):
        mixed_state(states, shares)


def test_a_mix_takes_statistics_too_and_the_first_one_s_counters() -> None:
    states = {name: {"running_mean": torch.full((2,), value), "n": torch.tensor(count)}
              for name, value, count in (("a", 1.0, 5), ("b", 2.0, 7))}  # fmt: skip
    found = mixed_state(states, [0.75, 0.25])
    assert found["running_mean"].tolist() == [1.25, 1.25]
    assert found["n"] == 5
