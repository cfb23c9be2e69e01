"""The objective: one forward per extractor and picture, weights, and needs that are not met."""

from __future__ import annotations

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Batch, Judgement, Posterior, Refusal, Synthesis
from scenegen.losses.dists import PUBLISHED_LAYERS
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Objective, Part, Term, extractors_read

OFFERS = {"image", "posterior.mu", "posterior.logvar", "posterior.z", "judgement"}


def terms() -> dict[str, Part]:
    return {
        "gan": loss_term("hinge"),
        "feature_matching": FeatureMatching(),
        "kld": loss_term("kld"),
        "vgg": loss_term("vgg", extractor="vgg", layers={"relu1_1": 0.5, "relu4_1": 1.0}),
        "cx": loss_term("cx", pooling=None, extractor="vgg", layers={"relu3_2": 1.0}),
        "dists": loss_term("dists", layers=PUBLISHED_LAYERS, extractor="dists", coefficients="uniform"),
    }


WEIGHTS = {"gan": 1.0, "feature_matching": 10.0, "kld": 0.05, "vgg": 10.0, "cx": 2.5, "dists": 12.5}


def step(pictures, judge, **more):
    fake = pictures["fake"]
    batch = Batch(label=torch.zeros(fake.shape[0], *fake.shape[-2:], dtype=torch.long), image=pictures["real"])
    mu = fake.mean((2, 3))
    synthesis = Synthesis(image=fake, posterior=Posterior(z=mu, mu=mu, logvar=fake.amax((2, 3))))
    return {"batch": batch, "synthesis": synthesis, "fake": judge(fake), "real": judge(pictures["real"]), **more}


def test_one_forward_per_extractor_and_picture(extractors, pictures, judge):
    objective = Objective(terms=terms(), weights=WEIGHTS, extractors=extractors, offers=OFFERS)
    objective.generator(**step(pictures, judge))
    assert objective.bank.forwards == {(e, p): 1 for e in ("vgg", "dists") for p in ("fake", "real")}


def test_total_is_the_weighted_sum(extractors, pictures, judge):
    objective = Objective(terms=terms(), weights=WEIGHTS, extractors=extractors, offers=OFFERS)
    total, values = objective.generator(**step(pictures, judge))
    assert list(values) == list(WEIGHTS)
    torch.testing.assert_close(total, sum(WEIGHTS[k] * v for k, v in values.items()))
    for name in ("vgg", "dists"):  # a term's value does not depend on its company
        alone = Objective(terms={name: terms()[name]}, weights={name: 1}, extractors=extractors, offers=OFFERS)
        torch.testing.assert_close(alone.generator(**step(pictures, judge))[0], values[name])


def test_unread_extractors_stay_out(extractors):
    chosen = {"vgg": terms()["vgg"], "dists": terms()["dists"]}
    weights = {"vgg": 1.0, "dists": 0.0}
    assert extractors_read(chosen, weights) == {"vgg"}
    objective = Objective(terms=chosen, weights=weights, extractors=extractors, offers=OFFERS)
    assert list(objective.bank.extractors) == ["vgg"]
    assert not objective.adversarial
    with pytest.raises(Refusal, match="no adversarial term"):
        objective.discriminator(Judgement(logits=()), Judgement(logits=()))


def test_nothing_frozen_is_saved_or_trained(extractors):
    objective = Objective(terms=terms(), weights=WEIGHTS, extractors=extractors, offers=OFFERS)
    assert not objective.state_dict()
    assert not list(objective.parameters())
    objective.load_state_dict({})


def test_trainable_parts_of_terms_are_reached(extractors, pictures, judge):
    class Head(Term):
        needs = frozenset({"image"})

        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def forward(self, evidence):
            return self.gain * evidence.picture("fake").mean()

    objective = Objective(terms={"head": Head()}, weights={"head": 1}, extractors=extractors, offers=OFFERS)
    assert list(objective.state_dict()) == ["terms.head.gain"]
    objective.generator(**step(pictures, judge))[0].backward()
    assert next(objective.parameters()).grad is not None


def test_discriminator(extractors, pictures, judge):
    objective = Objective(terms=terms(), weights=WEIGHTS | {"gan": 3.0}, extractors=extractors, offers=OFFERS)
    total, parts = objective.discriminator(judge(pictures["fake"]), judge(pictures["real"]))
    assert set(parts) == {"D_fake", "D_real"}
    torch.testing.assert_close(total, parts["D_fake"] + parts["D_real"])


def test_summed_kl_over_replicas(extractors, pictures, judge):
    # mean over two processes of each half's value = value of the whole batch (gaugan.md, section 7)
    def value(part, replicas):
        objective = Objective(terms={"kld": loss_term("kld")}, weights={"kld": 1}, extractors=extractors, offers=OFFERS)
        return objective.generator(**step({k: v[part] for k, v in pictures.items()}, judge, replicas=replicas))[0]

    halves = (value(slice(0, 1), 2) + value(slice(1, 2), 2)) / 2
    torch.testing.assert_close(halves, value(slice(0, 2), 1))


def test_drawn_points_depend_on_the_seed_alone(extractors, pictures, judge):
    term = loss_term("cx", pooling=None, extractor="vgg", layers={"relu2_2": 1.0}, h=1.0, max_points=20)
    objective = Objective(terms={"cx": term}, weights={"cx": 1}, extractors=extractors, offers=OFFERS)
    first, again, other = (objective.generator(**step(pictures, judge, seed=s))[0] for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("changes", "offers", "message"),
    [
        ({}, {"image", "judgement"}, r"loss.kld needs posterior.logvar, posterior.mu, which the model does not offer; "
                                     r"use model.vae=true \(gaugan, sasame\) or loss.kld.weight=0$"),
        ({}, OFFERS - {"judgement"}, "loss.gan needs judgement"),
        ({"vgg": (loss_term("vgg", extractor="vgg", layers={"relu1_1": 1.0}, target="exemplar"), 1.0)}, OFFERS,
         "loss.vgg needs exemplar, .*use exemplar=retrieved or loss.vgg.weight=0"),
        ({"cx": (loss_term("cx", pooling=None, extractor="vgg", layers={"relu9_9": 1.0}), 1.0)}, OFFERS,
         r"loss.cx: extractor narrow vgg has no layer relu9_9; use one of image, (conv1_1, )?relu1_1, .*relu5_4"),
        ({"cx": (loss_term("cx", pooling=None, extractor="clip", layers={"relu1_1": 1.0}), 1.0)}, OFFERS,
         "loss.cx: there is no extractor clip; there is vgg, dists"),
        *[({"gan": (loss_term("hinge"), weight)}, OFFERS, f"loss.gan.weight={weight} is not a number >= 0")
          for weight in (-1.0, float("nan"), float("inf"), "1", None, True)],
    ],
)  # fmt: skip
def test_refusals(extractors, changes, offers, message):
    chosen, weights = terms(), dict(WEIGHTS)
    for name, (term, weight) in changes.items():
        chosen[name], weights[name] = term, weight
    with pytest.raises(Refusal, match=message):
        Objective(terms=chosen, weights=weights, extractors=extractors, offers=offers)


@pytest.mark.parametrize("chosen", [{}, {"kld": loss_term("kld")}])
def test_an_empty_objective_is_refused(chosen):
    with pytest.raises(Refusal, match="the objective is empty"):
        Objective(terms=chosen, weights={"kld": 0}, extractors={}, offers=OFFERS)


def test_weight_zero_removes_an_unmet_need(extractors):
    offers = {"image", "judgement"}
    objective = Objective(terms=terms(), weights=WEIGHTS | {"kld": 0}, extractors=extractors, offers=offers)
    assert "kld" not in objective.weights


def test_features_refuse_an_absent_picture(extractors, pictures):
    bank = FeatureBank(extractors, [{"vgg": ("relu1_1",)}])
    with pytest.raises(Refusal, match="compares with the exemplar picture, but the batch has only fake"):
        bank.open({"fake": pictures["fake"]}).get("exemplar", "vgg")
