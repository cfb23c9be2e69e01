"""Small pictures, an extractor with seeded weights, and the evidence of a step made of them."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Batch, Judgement, Posterior, Synthesis
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import VGG16_CONVOLUTIONS, VGG19_CONVOLUTIONS, L2Pool, vgg


@pytest.fixture(scope="session")
def extractors():
    """VGG's two trunks with 8 channels a stage."""
    shapes = {
        "vgg": (VGG19_CONVOLUTIONS, lambda channels: torch.nn.MaxPool2d(2)),
        "dists": (VGG16_CONVOLUTIONS, L2Pool),
    }
    found = {}
    for name, (convolutions, pool) in shapes.items():
        features, taps = vgg(convolutions, pool=pool, widths=(8,) * 5)
        weights.randomise(features)
        found[name] = Extractor(features, taps=taps, stamp=f"narrow {name}")
    return found


@pytest.fixture
def pictures():
    g = torch.Generator().manual_seed(7)
    real, fake, exemplar = (torch.rand(2, 3, 32, 48, generator=g) * 2 - 1 for _ in range(3))
    return {"fake": fake, "real": real, "exemplar": exemplar}


@pytest.fixture
def judge():
    """Pictures -> a judgement at two scales, differentiable in the pictures."""

    def of(image):
        halves = [image, torch.nn.functional.avg_pool2d(image, 2)]
        features = tuple((h.square(), h.sin()) for h in halves)
        return Judgement(logits=tuple(h.mean(1, keepdim=True) for h in halves), features=features)

    return of


@pytest.fixture
def evidence(extractors, judge):
    """Term, pictures -> the evidence of a step, with an encoder that looks at the generated picture."""

    def of(term, pictures, **more):
        fake = pictures["fake"]
        batch = Batch(
            label=torch.zeros(fake.shape[0], *fake.shape[-2:], dtype=torch.long),
            image=pictures["real"],
            exemplar=pictures.get("exemplar"),
        )
        mu = fake.mean((2, 3))
        synthesis = Synthesis(image=fake, posterior=Posterior(z=mu, mu=mu, logvar=fake.amax((2, 3))))
        features = FeatureBank(extractors, [term.reads]).open(pictures)
        return Evidence(batch, synthesis, judge(fake), judge(pictures["real"]), features, **more)

    return of
