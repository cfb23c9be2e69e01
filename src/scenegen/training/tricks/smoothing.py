"""The slot `smoothing`: the discriminator's target of real pictures below 1."""

from __future__ import annotations

from scenegen.base.records import Refusal
from scenegen.losses.adversarial import checked_label
from scenegen.losses.objective import AdversarialTerm, Objective


def smooth_labels(*, objective: Objective, real_label: float) -> None:
    """Set the real target of an objective's adversarial term, whose generator's side keeps 1.

    Args:
        objective: changed in place.
        real_label: in (0.5, 1].

    Raises:
        Refusal: for another target, and for a term whose scores have no target: hinge, wgan, oasis.

    Source: Salimans et al., NIPS 2016, section 3.4.
    """
    gan = next((term for term in objective.terms.values() if isinstance(term, AdversarialTerm)), None)
    if gan is None or not gan.targets_label:
        raise Refusal(
            "trick=label_smoothing moves the target of real scores, and this objective's adversarial term has none; "
            "use loss=lsgan, nonsaturating, saturating, ragan or ralsgan, or leave it out"
        )
    gan.real_label = checked_label(real_label)
