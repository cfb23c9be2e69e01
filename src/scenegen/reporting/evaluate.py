"""The end of a run: the test maps sampled, scored, and shown."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scenegen.base.console import bar, console, say
from scenegen.base.files import write_json
from scenegen.base.pictures import save_png
from scenegen.base.records import SceneModel
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

SHOWN = 18
"""Pictures on the contact sheet."""


def evaluate(
    model: SceneModel,
    *,
    test: Pairs,
    maps: Pairs,
    photos: Pairs,
    scorer: Scorer,
    posts: Sequence[Post],
    folder: Path,
    config: Mapping[str, Any],
    digest: str,
    made_by: str,
    beside: Beside | None = None,
    read: Sequence[str] = (),
) -> Score:
    """Sample and score the test maps of a run; writes into its folder samples/, contact_sheet.png,
    curves.png, result.json and scores.npz (every picture's values).

    The Frechet distance compares with the training photographs, as the contest does. Where there are posts, the
    pictures before each of them are scored too, and a post that lowers the total is named.

    Args:
        model: the model to sample from.
        test: the samples that are painted.
        maps, photos: the same samples and the training photographs, at the size at which pictures are scored.
        scorer: judges and total.
        posts: applied to the pictures before they are written.
        folder: the run's folder.
        config: the run's resolved config.
        digest: of the config.
        made_by: command line that makes the run again, with what was changed on its way.
        beside: another run, whose pictures of the same maps stand on the contact sheet and are not scored.
        read: stamps of the frozen networks that the training read; judges among them are marked.

    Returns:
        The score.
    """
    count = config["evaluate_count"]
    indices = spread(len(test), len(test) if count is None else count)
    labels = still(maps) if len(indices) == len(maps) else Chosen(still(maps), indices)
    parameters = next(iter(model.parameters()))
    device = parameters.device
    kept = folder / f"{SAMPLES}_posts"
    shutil.rmtree(kept, ignore_errors=True)  # of an earlier evaluation, whose pictures were others
    before = [kept / f"{place}_before" for place in range(1, len(posts) + 1)]
    files = generate(
        model, test, out=folder / SAMPLES, indices=indices, seed=config["seed"], posts=posts, before=before,
        device=device,
    )  # fmt: skip
    shown = spread(len(files), SHOWN)
    places = [indices[place] for place in shown]
    further = {} if beside is None else {beside.title: [beside.paint(test[(0, place)]) for place in places]}
    sheet = draw_sheet(test, [files[place] for place in shown], indices=places, further=further)
    save_png(folder / SHEET, sheet)
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

    def scored(pictures: Path, passed: Sequence[Post], *, resize: str = "none") -> Score:
        return scorer.score(
            pictures,
            labels,
            reference=photos.reference(),
            styles=test.exemplar_names() or None,
            options=replace(options, posts=tuple(post.stamp for post in passed), resize=resize),
            track=bar,
            notice=say,
        )

    painted = config["size"]["height"], config["size"]["width"]
    resizes = resizes_before(posts, size=painted, scored=config["evaluate_size"] or painted)
    earlier = [scored(pictures, posts[:place], resize=resizes[place]) for place, pictures in enumerate(before)]
    score = scored(folder / SAMPLES, posts)
    stages = [Stage(after, one) for after, one in zip(names_of(config), [*earlier, score], strict=True)]
    score.per_picture.save(folder / SCORES)
    write_json(folder / RESULT, {"run": folder.name, "config": digest, "made_by": made_by, **score.as_dict(),
                                 **({"stages": [stage.as_dict() for stage in stages]} if posts else {})})  # fmt: skip
    show(score, console())
    print(line(score))
    for sentence in compared(stages):
        print(sentence)
    print(f"pictures: {folder / SAMPLES}   contact sheet: {folder / SHEET}")
    return score
