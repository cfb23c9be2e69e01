"""Training of the quality mark: python benchmarks/judges/train_quality.py --root ../shared/data/labelme_landscapes

The head of `aesthetic=quality` learns to rank distortions of photographs: every photograph comes as it is and with each
distortion of distortions.py at three drawn strengths, half of them as 128x128 cuts, half shrunk to 128x128. Of two
strengths the smaller one should score higher (logistic loss of the difference), an untouched photograph higher than
any other photograph's stronger two, and untouched photographs alike. At the end scores are moved and stretched, so that
untouched photographs get 8 of 10 in the mean and the strongest distortions 2. No labels are read.

Writes the file, and prints the share of pairs that are in order on photographs that were held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from distortions import DISTORTIONS, Picture
from PIL import Image
from torch import Tensor

from scenegen.networks.frozen.quality import LiteStatistics, QualityHead, write

SIDE = 128
LEVELS = 4
"""Untouched, and three strengths."""

DATA = (
    "labelme_landscapes ({count} training photographs of 256x256, and distortions of them): A. Oliva and A. Torralba, "
    "IJCV 42(3), 2001"
)
TERMS = (
    "trained on pictures that are published for research, to be cited; no open licence is stated for them and "
    "photographers keep their rights: research use"
)


def photograph(file: Path, rng: np.random.Generator) -> Picture:
    """A photograph at 128x128: a cut, mirrored or not, or shrunk."""
    image = Image.open(file).convert("RGB")
    if rng.random() < 0.5 and min(image.size) > SIDE:
        left, top = (int(rng.integers(0, side - SIDE)) for side in image.size)
        image = image.crop((left, top, left + SIDE, top + SIDE))
    else:
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)[:, :: int(rng.choice((-1, 1)))]


def strengths(rng: np.random.Generator) -> list[float]:
    """Three strengths in order, each at least 0.12 above the one before."""
    drawn = np.sort(rng.random(3)) * 0.76 + np.arange(3) * 0.12
    return [float(s) for s in drawn]


@torch.inference_mode()
def statistics_of(files: list[Path], seed: int) -> Tensor:
    """Statistics (n, kinds, 4, 1120) of photographs, untouched and at three strengths of every distortion."""
    net, found = LiteStatistics(weights="published", folder=None), []
    for number, file in enumerate(files):
        rng = np.random.default_rng((seed, number))
        picture, rows = photograph(file, rng), []
        for distortion in DISTORTIONS.values():
            form = int(rng.integers(1 << 31))
            rows += [distortion(picture, s, np.random.default_rng(form)) for s in strengths(rng)]
        stacked = torch.from_numpy(np.stack([picture, *rows])).permute(0, 3, 1, 2)
        x = net(stacked.float().div(127.5).sub(1))
        worse = x[1:].view(len(DISTORTIONS), LEVELS - 1, -1)
        found.append(torch.cat([x[:1].expand(len(worse), 1, -1), worse], 1))
        if number % 50 == 0:
            print(f"{number} of {len(files)} photographs", flush=True)
    return torch.stack(found)


def loss_of(scores: Tensor) -> Tensor:
    """Loss of scores (n, kinds, 4), the first level untouched."""
    clean = scores[:, 0, 0]
    pairs = [F.softplus(scores[..., b] - scores[..., a]).mean() for a in range(LEVELS) for b in range(a + 1, LEVELS)]
    across = F.softplus(scores[..., 2:].flatten(1) - clean.roll(1)[:, None]).mean()
    return torch.stack(pairs).mean() + across + 0.1 * clean.var()


def in_order(scores: Tensor) -> dict[str, float]:
    """Share of neighbouring levels that are in order, by distortion."""
    right = (scores[..., :-1] > scores[..., 1:]).double().mean((0, 2))
    return dict(zip(DISTORTIONS, right.tolist(), strict=True))


def trained(x: Tensor, *, hidden: int, steps: int, seed: int) -> QualityHead:
    """The head, trained on standardised statistics (n, kinds, 4, 1120)."""
    torch.manual_seed(seed)
    head = QualityHead(hidden=hidden)
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = x[torch.randint(len(x), (32,), generator=generator)]
        batch = batch + 0.1 * torch.randn(batch.shape, generator=generator)
        loss = loss_of(head(batch.flatten(0, 2)).view(batch.shape[:3]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.requires_grad_(False)


def calibrate(head: QualityHead, scores: Tensor) -> None:
    """Move and stretch scores: 8 of 10 for untouched photographs in the mean, 2 for the strongest distortions."""
    high, low = scores[:, 0, 0].mean(), scores[..., -1].mean()
    gain = 2 * float(np.log(0.8 / 0.2)) / (high - low)
    head.score.weight.mul_(gain)
    head.score.bias.sub_((high + low) / 2).mul_(gain)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with train/images")
    parser.add_argument("--out", type=Path, default=Path("quality_landscapes.safetensors"))
    parser.add_argument("--statistics", type=Path, help="file that keeps the statistics for another training")
    parser.add_argument("--every", type=int, default=2, help="take every n-th photograph")
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    files = sorted((chosen.root / "train/images").glob("*.jpg"))[:: chosen.every]
    if chosen.statistics is not None and chosen.statistics.is_file():
        x = torch.load(chosen.statistics, weights_only=True).float()
    else:
        x = statistics_of(files, chosen.seed)
        if chosen.statistics is not None:
            torch.save(x.half(), chosen.statistics)
    x, held_out = x[torch.arange(len(x)) % 8 > 0], x[::8]
    flat = x.flatten(0, 2)
    mean, deviation = flat.mean(0), flat.std(0) + 1e-3
    head = trained((x - mean) / deviation, hidden=chosen.hidden, steps=chosen.steps, seed=chosen.seed)
    rows = (held_out - mean) / deviation
    calibrate(head, head(rows.flatten(0, 2)).view(rows.shape[:3]))
    shares = in_order(head(rows.flatten(0, 2)).view(rows.shape[:3]))
    facts = {
        "data": DATA.format(count=len(files)),
        "terms": TERMS,
        "command": f"python benchmarks/judges/train_quality.py --root {chosen.root} --every {chosen.every} "
        f"--hidden {chosen.hidden} --steps {chosen.steps} --seed {chosen.seed}",
        "kind": "photographs",
        "seed": str(chosen.seed),
        "torch": torch.__version__,
        "in_order": ", ".join(f"{name} {share:.3f}" for name, share in shares.items()),
        "held_out_count": str(len(held_out)),
    }
    print(f"{write(head, chosen.out, mean=mean, deviation=deviation, facts=facts)}  {chosen.out}  {facts['in_order']}")


if __name__ == "__main__":
    main()
