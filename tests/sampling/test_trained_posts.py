"""Posts by a trained run: applied in their order, stamped by their weights, refused where they read more."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.posts.trained import Trained
from scenegen.sampling.apply_posts import apply_posts, require_size
from tests.options import built, replaced

SIDES: dict[str, Any] = {"height": 24, "width": 32}


def generator(seed: int):
    torch.manual_seed(seed)
    return built("model/cyclegan", num_classes=1, edges=False, ngf=2, blocks=1, both_ways=False, **SIDES)


def test_posts_act_in_their_order_and_say_whose_weights_they_had() -> None:
    picture, batch = torch.rand(1, 3, 24, 32) * 2 - 1, Batch(name=("a",))
    model = generator(0)
    post, double = Trained(run="cg", model=model, step=7), replaced("post/bicubic_x2/bicubic_x2")
    made = apply_posts(picture, batch, [post, double])
    want = double(model.sample(Batch(source=picture)).image.clamp(-1, 1), batch)
    assert torch.equal(made, want)
    assert not torch.allclose(made, apply_posts(picture, batch, [double, post]))
    assert post.stamp.startswith("CycleGan of step 7, weights ")
    assert post.stamp == Trained(run="moved", model=generator(0), step=7).stamp
    assert post.stamp != Trained(run="cg", model=generator(1), step=7).stamp


def test_a_run_that_reads_labels_is_no_post() -> None:
    model = built("model/gaugan", num_classes=3, edges=False, ngf=4, hidden=8, vae=False, height=64, width=64)
    with pytest.raises(Refusal, match="a post reads a picture alone, but the model of run g reads label"):
        Trained(run="g", model=model, step=1)


def test_posts_whose_last_size_is_not_the_scorers_are_refused_and_a_way_back_is_not() -> None:
    double, back = replaced("post/bicubic_x2/bicubic_x2"), replaced("post/bicubic_192x256/bicubic_192x256")
    require_size([double, back], size=(192, 256), scored=(192, 256))
    require_size([back, double], size=(256, 256), scored=[384, 512])
    with pytest.raises(Refusal, match=r"bicubic to 192x256, then bicubic x2\) makes pictures of 384x512"):
        require_size([back, double], size=(192, 256), scored=(192, 256))
    with pytest.raises(Refusal, match=r"the model makes pictures of 192x256.*evaluate_size=\[192,256\]"):
        require_size([], size=(192, 256), scored=[384, 512])


def test_maps_of_another_shape_show_the_same_scene_only_where_data_stretch() -> None:
    config = {"size": {"height": 64, "width": 64}, "evaluate_size": [96, 128], "data": {"fit": "crop"}}
    with pytest.raises(Refusal, match=r"another shape than the pictures of 64x64, whose data are cut.*data.fit=squash"):
        build.scored_datasets(config)
