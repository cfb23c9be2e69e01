"""The end of a run: the test maps sampled, scored, and shown."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.base.console import bar, console, say
from scenegen.base.files import write_json
from scenegen.base.pictures import save_png
from scenegen.base.records import Refusal, SceneModel
from scenegen.data.samples import Pairs
from scenegen.posts.post import Post
from scenegen.reporting.curves import draw_curves
from scenegen.reporting.stages import Stage, compared, names_of, resizes_before
from scenegen.runs.folder import CURVES, METRICS, RESULT, SAMPLES, SCORES, SHEET
from scenegen.sampling.generate import generate
from scenegen.sampling.one_map import Beside
from scenegen.sampling.sheets import draw_sheet, spread
from scenegen.scoring.inputs import Chosen, Options, still
from scenegen.scoring.record import Score
from scenegen.scoring.scorer import Scorer
from scenegen.scoring.table import line, show

SHOWN, SHOWN_OF_SEVERAL = 18, 6
"""Samples on the contact sheet, where each has one result, and where it has several."""


def require_results(model: SceneModel, scorer: Scorer) -> None:
    """Refuse measures of several results of a model that makes one."""
    if scorer.results > 1 and model.noise_shape is None:
        role = next(role for role, measure in scorer.measures.items() if measure.results > 1)
        raise Refusal(f"measure={role} compares {scorer.results} results of each input, but this model makes one (it "
                      f"draws no noise); leave {role} out of measure=, or choose a model that draws its pictures, such "
                      "as model=picnet, model=pdgan or model=gaugan model.vae=true")  # fmt: skip


@dataclass(frozen=True)
class Ending:
    """What samples and scores a run at its end.

    Attributes:
        test: the samples that are painted.
        maps, photos: the same samples and the training photographs, at the size at which pictures are scored.
        scorer: judges and total; None without evaluation.
        posts: applied to the pictures.
        beside: another run on the contact sheet, or None.
    """

    test: Pairs
    maps: Pairs
    photos: Pairs
    scorer: Scorer | None
    posts: Sequence[Post]
    beside: Beside | None


def evaluate(
    model: SceneModel,
    ending: Ending,
    *,
    scorer: Scorer,
    folder: Path,
    config: Mapping[str, Any],
    digest: str,
    made_by: str,
    read: Sequence[str] = (),
) -> Score:
    """Sample and score the test maps of a run; writes into its folder samples/, contact_sheet.png,
    curves.png, result.json and scores.npz (every picture's values).

    The Frechet distance compares with the training photographs, as the contest does. Where there are posts, the
    pictures before each of them are scored too, and a post that lowers the total is named.

    Args:
        model: the model to sample from.
        ending: the data, the posts, and the run whose pictures stand beside on the contact sheet and are not scored.
        scorer: judges and total.
        folder: the run's folder.
        config: the run's resolved config.
        digest: of the config.
        made_by: command line that makes the run again, with what was changed on its way.
        read: stamps of the frozen networks that the training read; judges among them are marked.

    Returns:
        The score.
    """
    test, posts = ending.test, ending.posts
    count = config["evaluate_count"]
    indices = spread(len(test), len(test) if count is None else count)
    device = next(iter(model.parameters())).device
    kept = folder / f"{SAMPLES}_posts"
    shutil.rmtree(kept, ignore_errors=True)  # of an earlier evaluation, whose pictures were others
    before = [kept / f"{place}_before" for place in range(1, len(posts) + 1)]
    files = generate(
        model, test, out=folder / SAMPLES, indices=indices, seed=config["seed"], posts=posts, before=before,
        n_per_label=scorer.results, device=device,
    )  # fmt: skip
    save_png(folder / SHEET, _sheet(ending, files, indices=indices, n=scorer.results))
    draw_curves(folder / METRICS, folder / CURVES)
    options = Options(
        count=len(indices),
        seed=config["seed"],
        device=str(device),
        config_hash=digest,
        read=tuple(read),
        extra="ignore",
        cache="auto",
    )
    pictures = [*before, folder / SAMPLES]
    stages = _stages(ending, scorer, pictures=pictures, indices=indices, options=options, config=config)
    score = stages[-1].score
    score.per_picture.save(folder / SCORES)
    write_json(folder / RESULT, {"run": folder.name, "config": digest, "made_by": made_by, **score.as_dict(),
                                 **({"stages": [stage.as_dict() for stage in stages]} if posts else {})})  # fmt: skip
    show(score, console())
    print(line(score))
    for sentence in compared(stages):
        print(sentence)
    print(f"pictures: {folder / SAMPLES}   contact sheet: {folder / SHEET}")
    return score


def _sheet(ending: Ending, files: Sequence[Path], *, indices: Sequence[int], n: int) -> np.ndarray:
    """Contact sheet of some of the painted samples, with the pictures of the run beside."""
    test, beside = ending.test, ending.beside
    shown = spread(len(indices), SHOWN if n == 1 else SHOWN_OF_SEVERAL)
    places = [indices[place] for place in shown]
    further = {} if beside is None else {beside.title: [beside.paint(test[(0, place)]) for place in places]}
    painted = [files[place * n + k] for place in shown for k in range(n)]
    return draw_sheet(test, painted, indices=places, n_per_label=n, further=further)


def _stages(
    ending: Ending,
    scorer: Scorer,
    *,
    pictures: Sequence[Path],
    indices: Sequence[int],
    options: Options,
    config: Mapping[str, Any],
) -> list[Stage]:
    """Scores of the pictures before each post, and after the last."""
    posts, maps = ending.posts, still(ending.maps)
    size = config["size"]["height"], config["size"]["width"]
    resizes = [*resizes_before(posts, size=size, scored=config["evaluate_size"] or size), "none"]
    labels = maps if len(indices) == len(maps) else Chosen(maps, indices)

    def scored(place: int) -> Score:
        passed = tuple(post.stamp for post in posts[:place])
        return scorer.score(
            pictures[place],
            labels,
            reference=ending.photos.reference(),
            styles=ending.test.exemplar_names() or None,
            options=replace(options, posts=passed, resize=resizes[place]),
            track=bar,
            notice=say,
        )

    return [Stage(after, scored(place)) for place, after in enumerate(names_of(config))]
