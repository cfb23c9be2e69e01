"""A second stage: a new run that starts from the trained networks of another one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.interop import load_official
from scenegen.runs.checkpoints import load, newest
from scenegen.training.rounds import Rounds


def take_over(module: Rounds, run: Path) -> str:
    """Load a run's model, its average and, where it is of the same kind, its discriminator.

    Optimizers, clock and seed are the new run's own. Without an average in the old run the new one starts at the
    model.

    Args:
        module: freshly built.
        run: folder of the run to start from; its newest checkpoint is read.

    Returns:
        What was taken over and what was not, in one sentence.

    Raises:
        Refusal: when the model does not fit, with every key that differs.
    """
    path = newest(run)
    state: dict[str, Tensor] = load(path)["state_dict"]
    model = _below(state, "model")
    _fill(module.model, model, path=path, name="model")
    taken = [f"model ({len(model)} tensors)"]
    if module.ema is not None:
        average = _below(state, "ema.average")
        _fill(module.ema.average, average or model, path=path, name="ema")
        taken.append("its average" if average else "the average, from the model")
    judge, theirs = module.discriminator, _below(state, "discriminator")
    if judge is None:
        taken.append("no discriminator, since the objective has no adversarial term")
    elif theirs and _shapes(theirs) == _shapes(judge.state_dict()):
        judge.load_state_dict(theirs)
        taken.append(f"discriminator ({len(theirs)} tensors)")
    else:
        taken.append(f"not the discriminator: {_difference(theirs, judge)}, so it starts anew")
    return f"taken over from {path}: {'; '.join(taken)}"


def _fill(network: object, state: dict[str, Tensor], *, path: Path, name: str) -> None:
    try:
        load_official(cast(nn.Module, network), state)
    except Refusal as refusal:
        raise Refusal(f"start_from: the {name} of {path} is another one: {refusal}") from None


def _below(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _difference(theirs: dict[str, Tensor], judge: nn.Module) -> str:
    if not theirs:
        return "the run kept none"
    ours, own = _shapes(theirs), _shapes(judge.state_dict())
    common = ours.keys() & own.keys()
    differing = sum(ours[key] != own[key] for key in common)
    return (
        f"{len(ours)} tensors there, {len(own)} in {type(judge).__name__}, "
        f"{len(common)} names in common, {differing} of them of other shapes"
    )
