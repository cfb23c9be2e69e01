"""The objective: weighted terms that compose by name, checked against what the model offers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Posterior, Refusal, Synthesis, Warp, require_offered
from scenegen.losses.features import FeatureBank, Features, full_precision
from scenegen.losses.schedule import Schedule
from scenegen.networks.frozen.extractors import Extractor

Judge = Callable[[Tensor], Judgement]
"""Pictures -> the discriminator's judgement of them under the batch's condition."""

Judged = tuple[Judgement, Judgement]
"""The discriminator's judgements of the step's generated and real pictures, with graph."""

CURES = {
    "posterior.mu": "use model.vae=true (gaugan, sasame)",
    "posterior.logvar": "use model.vae=true (gaugan, sasame)",
    "posterior.z": "use model.vae=true (gaugan, sasame)",
    "encode": "use model.vae=true (gaugan, sasame)",
    "again": "use model.vae=true (gaugan, sasame)",
    "exemplar": "use exemplar=retrieved",
    "exemplar_label": "use exemplar=retrieved",
    "self_reference": "use exemplar=retrieved",
    "image": "use data with pictures, such as data=folder",
    "label": "use data with label maps, such as data=folder",
    "warp": "use a model that warps an exemplar, such as model=cocosnetv1",
    "warp.back": "use model=cocosnetv1 or unite with model.cycle=true, or model=cocosnetv2",
    "warp.returned": "use model=cocosnetv1 or unite with model.two_cycle=true",
    "warp.label": "use model=cocosnetv1 or unite with model.warped_label=direct",
    "warp.aligned": "use a model that warps an exemplar, such as model=cocosnetv1",
    "coarse": "use planes=prior, trick=grow or multi_scale_gradient",
    "judgement": "use an adversarial loss of scores such as loss=hinge, with discriminator=patch or sesame,",
    "real_judgement": "use an adversarial loss of scores such as loss=hinge, with discriminator=patch or sesame,",
    "judgement.features": "use discriminator=patch or sesame with an adversarial loss of scores such as loss=hinge, or "
    "discriminator=segmenting with loss=oasis,",
    "average": "use trick=ema",
    "branches.content": "use model=cncl or cncl_unet",
    "branches.noise": "use model=cncl or cncl_unet",
    "cycle.there_and_back": "use model=cyclegan",
    "cycle.back_and_there": "use model=cyclegan",
    "cycle.same": "use model=cyclegan with model.identity=true",
    "cycle.same_back": "use model=cyclegan with model.identity=true",
    "contrast": "use model=cut or fastcut",
    "source": "use data with given pictures, such as data=unpaired or degrade=smaller",
    "hole": "use data with holes, such as degrade=holes",
    "completion.generated": "use model=picnet",
    "completion.reconstructed": "use model=picnet",
    "completion.prior": "use model=picnet",
    "completion.posterior": "use model=picnet",
    "completion.raw": "use a model that fills holes, such as model=picnet",
    "completion.other": "use model=pdgan or picnet_spdnorm",
    "completion.others": "use model=picnet_spdnorm",
    "completion.maps": "use model=picnet_spdnorm",
    "logits": "use a model that reads label maps, such as model=scenenet",
    "segmentation": "use loss=oasis with discriminator=oasis or segmenting",
}
"""Need of a term -> the option that offers it."""

IMPLIED = {"judgement": ("real_judgement", "judgement.features"), "segmentation": ("real_judgement",)}
"""Offer of a discriminator -> what comes with it."""

JUDGED = frozenset(IMPLIED).union(*IMPLIED.values())
"""Needs that the discriminator fills."""


class Classes(Protocol):
    """A class list: names in id order, and the id of unknown."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def ignore(self) -> int | None: ...

    def read_by(self, names: Sequence[str]) -> bool:
        """True where a net of these classes reads the label maps."""
        ...


@dataclass(frozen=True)
class Evidence:
    """Inputs of the generator's loss at one step.

    Attributes:
        batch: what the data gave.
        synthesis: what the generator made of it.
        fake, real: the discriminator on both, or None: without one, and `real` where no term needs it.
        features: frozen features of the pictures, computed when asked for.
        replicas: number of processes whose gradients are averaged afterwards.
        seed: of this step, for terms that draw; equal on a resumed run.
        again: the same labels painted from other noise, for terms that need "again".
        encode: the model's encode(picture, frozen=...) -> (mu, logvar), for terms that need "encode".
        average: the model's average on a batch, without a graph, for terms that need "average".
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
    average: Callable[[Batch], Synthesis] | None = None

    def picture(self, which: str) -> Tensor:
        """The "fake" picture or one of the batch, "real", "exemplar" or "source", or "coarse", float32 or wider."""
        found = pictures(self.batch, self.synthesis).get(which)
        if found is None:
            raise Refusal(f"a loss term compares with the {which} picture, but the batch has none")
        return full_precision(found)

    def label(self) -> Tensor:
        """(b, h, w) the label map, for terms that need "label"."""
        if self.batch.label is None:
            raise Refusal("a loss term reads the label map, but the batch has none; use data with label maps")
        return self.batch.label

    def posterior(self) -> Posterior:
        """The style latent, for terms that need a part of it."""
        if self.synthesis.posterior is None:
            raise Refusal("a loss term needs the style latent, which the model did not give; use model.vae=true")
        return self.synthesis.posterior

    def warp(self) -> Warp:
        """The warped exemplar, for terms that need a part of it."""
        if self.synthesis.warp is None:
            raise Refusal("a loss term needs the warped exemplar, which the model did not give; use model=cocosnetv1")
        return self.synthesis.warp

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


class Part(nn.Module):
    """Base of an objective's terms and penalties.

    Attributes:
        needs: paths of Synthesis ("posterior.mu", "warp.label"), fields of Batch ("exemplar", "label"), "judgement",
            "real_judgement", "judgement.features", "segmentation", "again", "encode" or "average".
        reads: extractor -> the layers that it is read at.
        target: the picture that the generated one is compared with: "real", "exemplar" or "source"; "" for none.
    """

    needs: frozenset[str] = frozenset()
    target: str = ""
    reads: Mapping[str, tuple[str, ...]] = {}

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Look at the extractors and the data's class list once, before training: size own networks, refuse misfits.

        Args:
            extractors: name -> extractor, all that the objective has.
            classes: of the data; None where they are not known yet.
        """


class Term(Part):
    """A summand of the generator's loss."""

    def forward(self, evidence: Evidence) -> Tensor:
        """The unweighted value, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")  # abstract; a stub need not have it


class AdversarialTerm(Term):
    """The term that trains a discriminator beside the generator; an objective has at most one.

    Attributes:
        targets_label: real scores have a label as their target, `real_label`, which may be smoothed.
        real_label: 1, or less.
    """

    targets_label: ClassVar[bool] = False
    real_label: float = 1.0

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss, "D_fake" and "D_real", of detached generated and of real pictures."""
        raise NotImplementedError(f"{type(self).__name__} has no discriminator()")  # abstract; a stub need not have it


class Penalty(Part):
    """A summand of the discriminator's loss that looks at its gradient.

    Attributes:
        every: steps between two penalties, each then counted so many times.
    """

    every: int

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, a scalar.

        Args:
            judge: the discriminator under the batch's condition.
            fake, real: (b, c, h, w) generated and real pictures.
            seed: of this step, for penalties that draw.
            judged: the judgements of both in this step, with graph.
        """
        raise NotImplementedError(f"{type(self).__name__} has no penalty()")  # abstract; a stub need not have it


class Objective(nn.Module):
    """A weighted sum of terms; weights balance the generator's terms and the penalties, D_fake and D_real have none.

    Args:
        terms: name -> term; those with weight 0 are dropped.
        weights: name -> finite weight >= 0.
        extractors: name -> frozen extractor; those that no term reads are not kept.
        offers: of the model, its discriminator and the data; "judgement" and "segmentation" stand for what `IMPLIED`
            names too.
        schedules: name -> schedule whose value is the weight at a step, in place of the one in `weights`.
        classes: of the data; None where they are not known yet.

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
        terms: Mapping[str, Part],
        weights: Mapping[str, float],
        extractors: Mapping[str, Extractor],
        offers: Collection[str],
        schedules: Mapping[str, Schedule] | None = None,
        classes: Classes | None = None,
    ) -> None:
        super().__init__()
        kept = active(terms, weights)
        offered = frozenset(offers).union(*(also for name, also in IMPLIED.items() if name in offers))
        for name, term in kept.items():
            require_offered(f"loss.{name} needs", term.needs, offered, by="the model does", cures=CURES,
                            otherwise=f" or loss.{name}.weight=0")  # fmt: skip
            try:
                FeatureBank(extractors, [term.reads])
            except Refusal as refusal:
                raise Refusal(f"loss.{name}: {refusal}") from None
            term.prepare(extractors, classes)
        self.terms = nn.ModuleDict(kept)
        self.weights = {name: float(weights[name]) for name in kept}
        self.schedules = {name: schedule for name, schedule in (schedules or {}).items() if name in kept}
        self.penalties: tuple[str, ...] = tuple(name for name, term in kept.items() if isinstance(term, Penalty))
        self._judging = [name for name, term in kept.items() if isinstance(term, Term) and term.needs & JUDGED]
        self.needs = frozenset[str]().union(*(term.needs for term in kept.values()))
        self.bank = FeatureBank(extractors, [term.reads for term in kept.values()])

    @property
    def adversarial(self) -> bool:
        """True when a discriminator is trained."""
        return any(isinstance(term, AdversarialTerm) for term in self.terms.values())

    def judges(self, step: int) -> bool:
        """True where a term of the generator's loss reads the discriminator at a step."""
        return any(self.weight(name, step) > 0 for name in self._judging)

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
        average: Callable[[Batch], Synthesis] | None = None,
        step: int = 0,
        slopes: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss; see `Evidence` for the other arguments.

        Args:
            step: of the clock, for schedules; a term whose weight is 0 at this step is not computed.
            slopes: also return each term's weight and the norm of its gradient at the generated picture.

        Returns:
            The weighted total, and each term's unweighted value without its graph; beside them "weight/<term>"
            of scheduled terms, and with `slopes` that of all and "grad/<term>", unweighted.
        """
        evidence = Evidence(
            batch=batch,
            synthesis=synthesis,
            fake=fake,
            real=real,
            features=self.bank.open(pictures(batch, synthesis)),
            replicas=replicas,
            seed=seed,
            again=again,
            encode=encode,
            average=average,
        )
        weights = {name: self.weight(name, step) for name in self.terms if name not in self.penalties}
        values = {name: self.terms[name](evidence) for name, weight in weights.items() if weight > 0}
        # without any term the picture's own zero keeps a graph to go back through
        weighted = [weights[name] * value for name, value in values.items()] or [0 * synthesis.image.sum()]
        report = {name: value.detach() for name, value in values.items()}
        shown = weights if slopes else self.schedules.keys() & weights.keys()
        report |= {f"weight/{name}": torch.tensor(weights[name]) for name in weights if name in shown}
        if slopes:
            report |= {f"grad/{name}": slope(value, synthesis.image) for name, value in values.items()}
        return torch.stack(weighted).sum(), report

    def discriminator(self, fake: Judgement, real: Judgement) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss.

        Args:
            fake, real: its judgement of generated (detached) and of real pictures.

        Returns:
            The total, and its parts "D_fake" and "D_real" without their graph.
        """
        if not self.adversarial:
            raise Refusal("there is no adversarial term to train a discriminator with; add loss=hinge or lsgan")
        (gan,) = (term for term in self.terms.values() if isinstance(term, AdversarialTerm))
        values = gan.discriminator(fake, real)
        return torch.stack(list(values.values())).sum(), {name: value.detach() for name, value in values.items()}

    def penalty(
        self,
        judge: Judge,
        *,
        fake: Tensor,
        real: Tensor,
        judged: Judged,
        seed: int = 0,
        step: int = 0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Summand of the discriminator's loss: the penalties that are due at a step.

        Args:
            judge: the discriminator under the batch's condition.
            fake, real: (b, c, h, w) generated and real pictures.
            judged: its judgements of both in this step, with graph.
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


def pictures(batch: Batch, synthesis: Synthesis) -> dict[str, Tensor]:
    """The pictures that terms may compare, by the names of `target`; those of features.MADE have a graph."""
    found = {"fake": synthesis.image, "real": batch.image, "exemplar": batch.exemplar, "source": batch.source}
    found["coarse"] = synthesis.coarse
    if synthesis.completion is not None and synthesis.completion.other is not None:
        hole, other = batch.require("hole"), synthesis.completion.other
        found |= {"other": other, "fake_hole": synthesis.image * hole, "other_hole": other * hole}
    return {name: picture for name, picture in found.items() if picture is not None}


def slope(value: Tensor, image: Tensor) -> Tensor:
    """L2 norm of a value's gradient at a picture; 0 where the picture is not looked at. The graph stays."""
    looks = value.requires_grad and image.requires_grad
    (found,) = torch.autograd.grad(value, image, retain_graph=True, allow_unused=True) if looks else (None,)
    return value.new_zeros(()) if found is None else full_precision(found).norm()


def active(terms: Mapping[str, Part], weights: Mapping[str, float]) -> dict[str, Part]:
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


def extractors_read(terms: Mapping[str, Part], weights: Mapping[str, float]) -> frozenset[str]:
    """Names of the extractors that the active terms read, so that no other needs to be built."""
    return frozenset(name for term in active(terms, weights).values() for name in term.reads)
