"""Checkpoints of a run, read without running any code that they may carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal
from scenegen.base.tensors import fault_of, require_stored, require_tensors
from scenegen.runs.folder import CHECKPOINTS, checkpoint_path, checkpoints_of

CURE = "use a file written by scenegen.train"

LAST_STEP = 10**9
"""Step beyond which no run goes."""


def write_weights(run: Path, networks: Mapping[str, nn.Module]) -> Path:
    """Write networks that were not trained here as a run's checkpoint of step 0.

    Args:
        run: the run's folder.
        networks: "model", and "discriminator" where there is one.
    """
    state = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    path = checkpoint_path(run, 0)
    with whole(path) as part:
        torch.save({"state_dict": {"clock": torch.zeros((), dtype=torch.long), **state}}, part)
    return path


def newest(run: Path) -> Path:
    """Newest checkpoint of a run folder; a Refusal where there is none."""
    found = checkpoints_of(run)
    if not found:
        raise Refusal(
            f"{run} holds no checkpoint (looked for {CHECKPOINTS}/step_*.ckpt); train it first, or name another run"
        )
    return found[-1]


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code that it may carry.

    Returns:
        Its content; `state_dict` holds plain tensors of finite numbers, among them `clock`, the step.

    Raises:
        Refusal: no such file, no checkpoint, or another content.
    """
    require_stored(path, cure=CURE)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign file can raise anything
        raise Refusal(
            f"{path} is not a checkpoint that can be read safely ({first_line(error)}); it is damaged, or a pickle "
            f"that would run code: {CURE}"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise Refusal(f"{path} holds no scenegen model (no state_dict in it); {CURE}")
    state = require_tensors(content["state_dict"], what=str(path), cure=CURE)
    clock = state.get("clock")
    if clock is None or clock.numel() != 1 or clock.is_floating_point() or not 0 <= int(clock) <= LAST_STEP:
        said = "none" if clock is None else str(clock.flatten()[:4].tolist())
        raise Refusal(
            f"{path} holds no step (its clock is {said}, and should be one number of 0 to {LAST_STEP}); {CURE}"
        )
    return {**content, "state_dict": state}


def require_resumable(content: Mapping[str, Any], *, path: Path) -> None:
    """Look at what training goes on with beside the weights: optimizers, random numbers, Lightning's counters.

    Args:
        content: of `load`.
        path: the checkpoint.

    Raises:
        Refusal: a part that is missing or of another shape.
    """
    shapes = {
        "epoch": int,
        "global_step": int,
        "pytorch-lightning_version": str,
        "optimizer_states": list,
        "lr_schedulers": list,
        "loops": dict,
        "rng": torch.Tensor,
    }
    wrong = [key for key, kind in shapes.items() if type(content.get(key)) is not kind]
    if not wrong and not isinstance(content.get("callbacks", {}), dict):
        wrong = ["callbacks"]
    if not wrong and content["global_step"] != int(content["state_dict"]["clock"]):
        wrong = ["global_step"]
    if not wrong and not _counts(content["loops"]):
        wrong = ["loops"]
    if not wrong and not all(_is_optimizer(state) for state in content["optimizer_states"]):
        wrong = ["optimizer_states"]
    if not wrong and (content["rng"].dtype is not torch.uint8 or content["rng"].shape != torch.get_rng_state().shape):
        wrong = ["rng"]
    if wrong:
        raise Refusal(
            f"{path} cannot be resumed: {', '.join(wrong)} in it is missing or not as scenegen.train writes it; its "
            "weights may begin a new run: start_from=RUN in place of resume=RUN"
        )


def _counts(node: Any, depth: int = 0) -> bool:
    """True for Lightning's counters: whole numbers in mappings of names, not many and not deep."""
    if isinstance(node, dict):
        return len(node) < 64 and depth < 8 and all(
            isinstance(key, str) and _counts(value, depth + 1) for key, value in node.items()
        )  # fmt: skip
    return isinstance(node, bool) or (isinstance(node, int) and 0 <= node <= LAST_STEP)


def _is_optimizer(state: Any) -> bool:
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict):
        return False
    groups = state.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, dict) and "params" in group for group in groups):
        return False
    return all(
        isinstance(kept, dict)
        and not any(isinstance(value, torch.Tensor) and fault_of(value) for value in kept.values())
        for kept in state["state"].values()
    )


def model_state(checkpoint: dict[str, Any], *, path: Path) -> dict[str, torch.Tensor]:
    """Weights to sample with: the average where the run kept one, else the trained model."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not any(key.startswith("model.") for key in state):
        raise Refusal(
            f"{path} holds no scenegen model (no state_dict with model.* in it); give a checkpoint of scenegen.train"
        )
    prefix = "ema.average." if any(key.startswith("ema.average.") for key in state) else "model."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def first_line(error: BaseException) -> str:
    """First line of an error's text, its kind where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
