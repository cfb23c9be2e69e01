"""Pixels as parameters: an Objective on a free picture, with the best picture kept, a curve, and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scenegen.base.console import bar
from scenegen.base.files import whole
from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.base.tensors import fault_of, require_stored
from scenegen.losses.objective import Objective

LEVELS = 127.5
"""Grey levels per unit of [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """The way down.

    Attributes:
        optimiser: "adam" or "lbfgs" (no line search).
        iterations: steps.
        learning_rate: of Adam in grey levels, of L-BFGS in its own steps.
        beta1, beta2, eps: of Adam; L-BFGS has none.
        eps_corrected: false adds eps to the root before the bias correction, as TensorFlow's Adam does; true after it.
        history: pairs of steps and gradients that L-BFGS remembers.
        checkpoint_every: iterations between two checkpoints, where there is a folder for them; 0: none.
    """

    optimiser: Literal["adam", "lbfgs"]
    iterations: int
    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    eps_corrected: bool
    history: int
    checkpoint_every: int

    def __post_init__(self) -> None:
        if self.optimiser not in ("adam", "lbfgs"):
            raise Refusal(f"optimiser={self.optimiser} of a post is not one of adam, lbfgs")
        for name, least in (("iterations", 1), ("history", 1), ("checkpoint_every", 0)):
            if getattr(self, name) < least:
                raise Refusal(f"{name}={getattr(self, name)} of a post must be {least} or more")
        if not 0 < self.learning_rate < math.inf or not 0 < self.eps < math.inf:
            raise Refusal(f"learning_rate={self.learning_rate} and eps={self.eps} of a post must be above 0 and finite")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise Refusal(f"beta1={self.beta1} and beta2={self.beta2} of a post must lie in [0, 1)")

    def over(self, levels: Tensor) -> torch.optim.Optimizer:
        """The optimiser of a picture's grey levels."""
        if self.optimiser == "adam":
            betas = (self.beta1, self.beta2)
            return torch.optim.Adam([levels], lr=self.learning_rate, betas=betas, eps=self.eps)
        # one iteration a call: its state goes on from call to call, and every loss and picture can be looked at
        return torch.optim.LBFGS([levels], lr=self.learning_rate, max_iter=1, history_size=self.history,
                                 tolerance_grad=-1, tolerance_change=-1)  # fmt: skip

    def prepare(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Adam's eps of a step, 1 for the first: torch adds it after the correction of the root, TensorFlow before."""
        if self.optimiser == "adam" and not self.eps_corrected:
            optimiser.param_groups[0]["eps"] = self.eps / math.sqrt(1 - self.beta2**step)


@dataclass
class Progress:
    """Place on the way down.

    Attributes:
        levels: (b, 3, h, w) grey levels; neither clipped nor rounded on the way.
        step: iterations done.
        best, least: the picture of the least total after any iteration, and that total.
        curve: per look, the iteration, "total" and each term, weighted.
    """

    levels: Tensor
    step: int = 0
    best: Tensor | None = None
    least: float = math.inf
    curve: list[dict[str, float]] = field(default_factory=list)

    def look(self, total: Tensor, parts: dict[str, float]) -> None:
        """Note the losses of the present picture, and keep it where it is the best one."""
        value = float(total.detach())
        if not math.isfinite(value):
            raise Refusal(f"the loss of the optimised picture is {value} after {self.step} iterations; give a smaller "
                          "learning_rate, or optimiser=adam")  # fmt: skip
        self.curve.append({"iteration": self.step, "total": value, **parts})
        if self.step > 0 and value < self.least:
            self.least, self.best = value, self.levels.detach().clone()


def minimise(
    objective: Objective,
    batch: Batch,
    *,
    start: Tensor,
    descent: Descent,
    checkpoint: Path | None,
    choice: str,
    description: str,
) -> Progress:
    """Optimise a picture's pixels.

    Args:
        objective: what is minimised; it sees the picture in [-1, 1].
        batch: its other input.
        start: (b, 3, h, w) grey levels.
        descent: optimiser and length.
        checkpoint: file of the state, read where it is there; None keeps none.
        choice: name of everything that decides the result; a checkpoint of another one is refused.
        description: of the progress bar.

    Returns:
        The whole way, with the best picture after the first iteration or later.

    Raises:
        Refusal: a checkpoint of another choice, or a loss that is not finite.
    """
    levels = start.clone(memory_format=torch.contiguous_format).requires_grad_()  # L-BFGS views it flat
    way, optimiser = Progress(levels), descent.over(levels)
    if checkpoint is not None and checkpoint.exists():
        restore(checkpoint, way, optimiser, choice=choice)

    def closure() -> float:
        optimiser.zero_grad()
        total, parts = _measured(objective, batch, levels)
        way.look(total, parts)
        total.backward()
        return float(total.detach())

    with torch.enable_grad():
        for step in bar(range(way.step, descent.iterations), description):
            descent.prepare(optimiser, step + 1)
            optimiser.step(closure)
            way.step = step + 1
            due = descent.checkpoint_every and way.step % descent.checkpoint_every == 0
            if checkpoint is not None and due and way.step < descent.iterations:
                save(checkpoint, way, optimiser, choice=choice)
    if not way.curve or way.curve[-1]["iteration"] < way.step:
        with torch.no_grad():
            way.look(*_measured(objective, batch, levels))
        if checkpoint is not None and descent.checkpoint_every:
            save(checkpoint, way, None, choice=choice)
    return way


def _measured(objective: Objective, batch: Batch, levels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The total, and each term's weighted value."""
    total, values = objective.generator(batch=batch, synthesis=Synthesis(image=levels / LEVELS - 1))
    return total, {name: objective.weights[name] * float(value) for name, value in values.items()}


def save(path: Path, way: Progress, optimiser: torch.optim.Optimizer | None, *, choice: str) -> None:
    """Write the state of a descent, whole or not at all; a finished one without its optimiser."""
    best = way.best if way.best is not None else way.levels.detach()
    content = {"choice": choice, "step": way.step, "least": way.least, "best": best, "curve": way.curve,
               "levels": way.levels.detach(), "optimiser": optimiser.state_dict() if optimiser else None}  # fmt: skip
    with whole(path) as part:
        torch.save(content, part)


def restore(path: Path, way: Progress, optimiser: torch.optim.Optimizer, *, choice: str) -> None:
    """Go on from a checkpoint; no code that the file may carry is run.

    Raises:
        Refusal: a damaged file, or the descent of another picture or of other options.
    """
    cure = "delete it, or give another out="
    require_stored(path, cure=cure)
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found, step, least, curve = (content[name] for name in ("choice", "step", "least", "curve"))
        wrong = next((fault for name in ("levels", "best") if (fault := fault_of(content[name]))), "")
        if (fits := found == choice and not wrong and content["levels"].shape == way.levels.shape) and step:
            with torch.no_grad():
                way.levels.copy_(content["levels"])
            way.step, way.least, way.curve = int(step), float(least), list(curve)
            way.best = content["best"].to(way.levels)
            if content["optimiser"] is not None:
                optimiser.load_state_dict(content["optimiser"])
    except Exception as error:  # a foreign file can raise anything
        raise Refusal(f"{path} is no checkpoint of an optimised picture ({type(error).__name__}); {cure}") from error
    if not fits:
        raise Refusal(f"{path} holds the way of another picture, style or option{f' ({wrong})' * bool(wrong)}; {cure}")


def series(curve: list[dict[str, float]]) -> Iterator[tuple[str, list[float], list[float]]]:
    """Name, iterations and values of every line of a curve; values of 0 have no place on a logarithmic axis."""
    for name in [key for key in (curve[0] if curve else {}) if key != "iteration"]:
        points = [(row["iteration"], row[name]) for row in curve if row[name] > 0]
        yield name, [x for x, _ in points], [y for _, y in points]


def draw_curve(curve: list[dict[str, float]], out: Path) -> None:
    """The total and its weighted terms over the iterations, on a logarithmic axis, as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, steps, values in series(curve):
        axes.semilogy(steps, values, label=name, linewidth=2.2 if name == "total" else 1.3,
                      color="0.3" if name == "total" else None)  # fmt: skip
    axes.set_xlabel("iteration")
    axes.set_ylabel("weighted loss")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with whole(out) as part:
        figure.savefig(part, dpi=110, format="png")
