"""SceneNet with its decoder as an extractor: the same logits, frozen, and never the net that scores."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.networks.frozen import netfile
from scenegen.networks.frozen.scenenet import find, rebuild
from scenegen.networks.frozen.scenenet_logits import SceneNetLogits
from tests.options import built


def logits_of(**changes) -> SceneNetLogits:
    return built("extractor/scenenet", at="nets.segmenter", **changes)


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 33, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_logits_are_those_of_the_file_and_layers_those_of_the_trunk(image):
    net = logits_of()
    found = net(image, ["logits", "relu3_2"])
    assert set(found) == {"logits", "relu3_2"}
    torch.testing.assert_close(found["logits"], rebuild(netfile.read(find("trunk")))(image))
    trunk = built("extractor/scenenet", at="nets.scenenet")
    torch.testing.assert_close(found["relu3_2"], trunk(image, ["relu3_2"])["relu3_2"])
    assert net(image, ["relu1_1"]).keys() == {"relu1_1"}
    assert net.classes is not None
    assert len(net.classes) == found["logits"].shape[1] == 29


def test_it_is_frozen_and_follows_its_owner(image):
    net = logits_of()
    assert not list(net.parameters())
    assert not net.state_dict()
    assert net.double()(image.double(), ["logits"])["logits"].dtype == torch.float64


def test_random_weights_say_so(image):
    net = logits_of(weights="random")
    assert "RANDOM" in net.stamp
    assert net(image, ["logits"])["logits"].isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "scorer"}, "role scorer; .* train for the score"),
        ({"weights": "mine"}, "weights=mine is not a policy"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(Refusal, match=message):
        logits_of(**options)
