"""Attentive normalisation: soft regions of a map, each normalised by its own mean and spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal

REDUCTION = 8
TEMPERATURE = 10.0


class AttentiveNorm(nn.Module):
    """x + sigma * sum over regions of S (v - mean) / spread; sigma starts at 0.

    A region is a learnt filter and the likeness to the key of a place that is drawn in training and fixed in eval mode,
    the same for all pictures. As released its mean is divided by the number of places and by the region's size.

    Args:
        channels: of the map, 8 or more.
        regions: soft regions; 16 as published.

    Source: Wang et al., CVPR 2020 (attentive normalization for conditional image generation), eqs. 2-7.
    """

    def __init__(self, channels: int, *, regions: int) -> None:
        super().__init__()
        if channels < REDUCTION or regions < 1:
            raise Refusal(
                f"attentive normalisation divides its channels by {REDUCTION}, got {channels}, and needs a "
                f"region or more, got {regions}; choose width.ngf=16 or more, or model.attentive=null"
            )
        self.query = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.key = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.mask_filters = nn.Parameter(torch.empty(regions, channels, 1, 1))
        nn.init.orthogonal_(self.mask_filters)
        self.alpha = nn.Parameter(torch.full((regions,), 0.1))
        self.sigma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        count = x.shape[2] * x.shape[3]
        regions = len(self.alpha)
        if self.training:
            places = torch.randint(count, (regions,), device=x.device)
        else:
            places = torch.arange(regions, device=x.device) * count // regions
        return self.at(x, places)

    def at(self, x: Tensor, places: Tensor) -> Tensor:
        """`forward` with keys of given places, (regions,) int64 in 0..hw-1."""
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))  # (b, c', hw)
        alike = key[:, :, places].mT @ query  # (b, regions, hw)
        filtered = nn.functional.conv2d(x, self.mask_filters).flatten(2)  # (b, regions, hw)
        alpha = self.alpha.clamp(0, 1).view(1, -1, 1)
        share = ((alpha * alike + filtered) / TEMPERATURE).softmax(1)[:, :, None]  # (b, regions, 1, hw)
        size = share.sum(3, keepdim=True)  # (b, regions, 1, 1)
        weighted = share * value[:, None]  # (b, regions, c, hw)
        mean = weighted.mean(3, keepdim=True) / size  # (b, regions, c, 1)
        spread = ((weighted - mean).square().sum(3, keepdim=True) / size).sqrt()  # (b, regions, c, 1)
        normed = share * (value[:, None] - mean) / (spread + 1e-7)  # (b, regions, c, hw)
        return x + self.sigma * normed.sum(1).view_as(x)
