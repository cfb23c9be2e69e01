"""The objective: weighted terms that compose by name, checked against what the model offers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Refusal, Synthesis
from scenegen.losses.features import FeatureBank, Features, full_precision
from scenegen.losses.schedule import Schedule
from scenegen.networks.frozen.extractors import Extractor

CURES = {
    "mu": "use model.vae=true (gaugan, sasame)",
    "logvar": "use model.vae=true (gaugan, sasame)",
    "z": "use model.vae=true (gaugan, sasame)",
    "encode": "use model.vae=true (gaugan, sasame)",
    "again": "use model.vae=true (gaugan, sasame)",
    "exemplar": "use exemplar=retrieved",
    "warped": "use a model that warps an exemplar, such as model=cocosnetv1",
    "warped_back": "use model=cocosnetv1 or unite with model.cycle=true, or model=cocosnetv2",
    "returned": "use model=cocosnetv1 or unite with model.two_cycle=true",
    "warped_label": "use model=cocosnetv1 or unite with model.warped_label=direct",
    "aligned": "use a model that warps an exemplar, such as model=cocosnetv1",
    "judgement": "use an adversarial loss of scores such as loss=hinge, with discriminator=patch or sesame,",
    "real_judgement": "use an adversarial loss of scores such as loss=hinge, with discriminator=patch or sesame,",
    "segmentation": "use loss=oasis with discriminator=oasis",
}


@dataclass(frozen=True)
class Evidence:
    """What a generator's step knows when its loss is taken.

    Attributes:
        batch: what the data gave.
        synthesis: what the generator made of it.
        fake, real: the discriminator on both, or None: without one, and `real` where no term needs it.
        features: frozen features of the pictures, computed when asked for.
        replicas: number of processes whose gradients are averaged afterwards.
        seed: of this step, for terms that draw; equal on a resumed run.
        again: the same labels painted from other noise, for terms that need "again".
        encode: the model's encode(picture, frozen=...) -> (mu, logvar), for terms that need "encode".
    """

    batch: Batch
    synthesis: Synthesis
    fake: Judgement | None
    real: Judgement | None
    features: Features
    replicas: int = 1
    seed: int = 0
    again: Synthesis | None = None
    encode: Callable[..., tuple[Tensor, Tensor]] | None = None

    def picture(self, which: str) -> Tensor:
        """The "fake", "real" or "exemplar" picture, (b, 3, h, w) in [-1, 1], float32 or wider."""
        found = {"fake": self.synthesis.image, "real": self.batch.image, "exemplar": self.batch.exemplar}[which]
        if found is None:
            raise Refusal(f"a loss term compares with the {which} picture, but the batch has none")
        return full_precision(found)

    def judgement(self) -> Judgement:
        """The discriminator on the generated pictures."""
        if self.fake is None:
            raise Refusal("a loss term needs the discriminator's judgement, but the step has none")
        return self.fake

    def judgements(self) -> tuple[Judgement, Judgement]:
        """The discriminator on the generated and on the real pictures, for terms that need "real_judgement"."""
        if self.real is None:
            raise Refusal("a loss term needs the judgement of the real pictures too, but the step has none")
        return self.judgement(), self.real

    def repetition(self) -> Synthesis:
        """The same labels painted from other noise."""
        if self.again is None:
            raise Refusal("a loss term needs the same labels painted again, but the step has that picture once only")
        return self.again


class Objective(nn.Module):
    """A weighted sum of terms.

    A term is a module with `needs` (fields of Synthesis, "judgement", "real_judgement", "exemplar", "again",
    "encode"), `reads` (extractor -> layers) and `forward(evidence) -> scalar`; the adversarial one, named `gan`,
    also has `discriminator(fake, real)`. A penalty has `penalty(judge, fake, real, seed=..., judged=...)` in place
    of `forward` and joins the discriminator's loss. A term that learns has `fit(extractors)`, which sizes its
    networks. Weights balance the generator's terms and the penalties; D_fake and D_real have none.

    Args:
        terms: name -> term; those with weight 0 are dropped.
        weights: name -> finite weight >= 0.
        extractors: name -> frozen extractor; those that no term reads are not kept.
        offers: what the model, its discriminator and the data give; "judgement" stands for "real_judgement" too.
        schedules: name -> schedule whose value is the weight at a step, in place of the one in `weights`.

    Attributes:
        terms: the terms that are left.
        weights: their weights where no schedule says otherwise.
        penalties: those of them that are penalties, by name.
        needs: the union of their needs.
        bank: the extractors that they read.

    Raises:
        Refusal: for a bad weight, a need that is not offered, an unknown extractor or layer, or no term at all.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        extractors: Mapping[str, Extractor],
        offers: Collection[str],
        schedules: Mapping[str, Schedule] | None = None,
    ) -> None:
        super().__init__()
        kept = active(terms, weights)
        offered = {*offers, "real_judgement"} if "judgement" in offers else set(offers)
        for name, term in kept.items():
            _refuse_unmet(name, term, offered)
            try:
                FeatureBank(extractors, [term.reads])
            except Refusal as refusal:
                raise Refusal(f"loss.{name}: {refusal}") from None
            if hasattr(term, "fit"):
                term.fit(extractors)
        self.terms = nn.ModuleDict(kept)
        self.weights = {name: float(weights[name]) for name in kept}
        self.schedules = {name: schedule for name, schedule in (schedules or {}).items() if name in kept}
        self.penalties: tuple[str, ...] = tuple(name for name, term in kept.items() if hasattr(term, "penalty"))
        self.needs = frozenset[str]().union(*(term.needs for term in kept.values()))
        self.bank = FeatureBank(extractors, [term.reads for term in kept.values()])

    @property
    def adversarial(self) -> bool:
        """Whether there is a discriminator to be trained."""
        return "gan" in self.terms

    def weight(self, name: str, step: int) -> float:
        """A term's weight at a step."""
        return self.schedules[name](step) if name in self.schedules else self.weights[name]

    def generator(
        self,
        *,
        batch: Batch,
        synthesis: Synthesis,
        fake: Judgement | None = None,
        real: Judgement | None = None,
        replicas: int = 1,
        seed: int = 0,
        again: Synthesis | None = None,
        encode: Callable[..., tuple[Tensor, Tensor]] | None = None,
        step: int = 0,
        slopes: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss; see `Evidence` for the other arguments.

        Args:
            step: of the clock, for schedules; a term whose weight is 0 at this step is not computed.
            slopes: also tell each term's weight and the norm of its gradient at the generated picture.

        Returns:
            The weighted total, and each term's unweighted value without its graph; beside them "weight/<term>"
            of scheduled terms, and with `slopes` that of all and "grad/<term>", unweighted.
        """
        pictures = {"fake": synthesis.image, "real": batch.image}
        if batch.exemplar is not None:
            pictures["exemplar"] = batch.exemplar
        evidence = Evidence(
            batch=batch,
            synthesis=synthesis,
            fake=fake,
            real=real,
            features=self.bank.open(pictures),
            replicas=replicas,
            seed=seed,
            again=again,
            encode=encode,
        )
        weights = {name: self.weight(name, step) for name in self.terms if name not in self.penalties}
        values = {name: self.terms[name](evidence) for name, weight in weights.items() if weight > 0}
        # without any term the picture's own zero keeps a graph to go back through
        weighted = [weights[name] * value for name, value in values.items()] or [0 * synthesis.image.sum()]
        told = {name: value.detach() for name, value in values.items()}
        shown = weights if slopes else self.schedules.keys() & weights.keys()
        told |= {f"weight/{name}": torch.tensor(weights[name]) for name in weights if name in shown}
        if slopes:
            told |= {f"grad/{name}": slope(value, synthesis.image) for name, value in values.items()}
        return torch.stack(weighted).sum(), told

    def discriminator(self, fake: Judgement, real: Judgement) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss.

        Args:
            fake, real: its judgement of generated (detached) and of real pictures.

        Returns:
            The total, and its parts "D_fake" and "D_real" without their graph.
        """
        if not self.adversarial:
            raise Refusal("there is no adversarial term to train a discriminator with; add loss=hinge or lsgan")
        gan: Any = self.terms["gan"]
        values: dict[str, Tensor] = gan.discriminator(fake, real)
        return torch.stack(list(values.values())).sum(), {name: value.detach() for name, value in values.items()}

    def penalty(
        self,
        judge: Callable[[Tensor], Judgement],
        *,
        fake: Tensor,
        real: Tensor,
        judged: tuple[Judgement, Judgement],
        seed: int = 0,
        step: int = 0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the penalties that are due at a step add to the discriminator's loss.

        Args:
            judge: the discriminator under the batch's semantics.
            fake, real: (b, 3, h, w) generated and real pictures.
            judged: what it said of both in this step, with graph.
            seed: of this step, for penalties that draw.
            step: of the clock; a penalty that comes every n-th step counts n times there.

        Returns:
            The weighted total, and each due penalty's unweighted value without its graph.
        """
        terms: dict[str, Any] = {name: self.terms[name] for name in self.penalties}
        counts = {name: term.every * self.weight(name, step) for name, term in terms.items() if step % term.every == 0}
        due = [name for name, count in counts.items() if count > 0]
        values = {name: terms[name].penalty(judge, fake, real, seed=seed, judged=judged) for name in due}
        total = torch.stack([real.new_zeros(()), *(counts[name] * value for name, value in values.items())]).sum()
        return total, {name: value.detach() for name, value in values.items()}


def slope(value: Tensor, image: Tensor) -> Tensor:
    """L2 norm of a value's gradient at a picture; 0 where the picture is not looked at. The graph stays."""
    (found,) = (
        torch.autograd.grad(value, image, retain_graph=True, allow_unused=True) if value.requires_grad else (None,)
    )
    return value.new_zeros(()) if found is None else full_precision(found).norm()


def active(terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> dict[str, Any]:
    """The terms whose weight is not 0.

    Raises:
        Refusal: for a missing, negative or non-finite weight, or when no term is left.
    """
    for name in terms:
        weight = weights.get(name)
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight < math.inf:  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
            raise Refusal(f"loss.{name}.weight={weight} is not a number >= 0; 0 removes the term")
    kept = {name: term for name, term in terms.items() if weights[name] > 0}
    if not kept:
        named = f"all of {', '.join(terms)} have weight 0" if terms else "no term was chosen"
        raise Refusal(f"the objective is empty: {named}; add a term, e.g. loss=hinge")
    return kept


def extractors_read(terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> frozenset[str]:
    """Names of the extractors that the active terms read, so that no other needs to be built."""
    return frozenset(name for term in active(terms, weights).values() for name in term.reads)


def _refuse_unmet(name: str, term: Any, offers: Collection[str]) -> None:
    missing = sorted(set(term.needs) - set(offers), key=lambda need: (need != "mu", need))
    if missing:
        cures = dict.fromkeys(CURES.get(need, "use a model that offers it") for need in missing)
        raise Refusal(
            f"loss.{name} needs {', '.join(missing)}, which the model does not offer; "
            f"{' and '.join(cures)} or loss.{name}.weight=0"
        )
