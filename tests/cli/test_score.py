"""The command line of score: a real folder of pictures, a table of rows, and refusals in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException

from scenegen import score
from scenegen.base.pictures import save_png, to_array
from scenegen.base.refusal import Refusal
from scenegen.cli.entry import explain
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.metrics import fidelity
from scenegen.networks.frozen import netfile
from scenegen.networks.frozen.scenenet import SceneNet
from scenegen.networks.frozen.weights import randomise
from tests.options import replaced

from .command_line import TINY, run, sentence

WORLD = ("size=tiny", "data.count=24", "data.test_count=4", "floor=false", "cache=off")
GOOD = "row,mask_acc,aesthetic,fid,total\ngaugan-01,0.8808,4.9649,47.3168,0.4507\n"
BAD = GOOD + "copied-wrongly,0.8808,4.9649,47.3168,0.4705\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with `out/`, the embedded world's own test pictures, and the file of an untrained SceneNet."""
    folder = tmp_path_factory.mktemp("score")
    (folder / "out").mkdir()
    world = replaced("data/procedural", split="test", height=64, width=64, test_count=4)
    for i in range(len(world)):
        sample = world[i]
        assert sample.image is not None
        save_png(folder / "out" / f"{sample.name}.png", to_array(sample.image))
    net = SceneNet(classes=len(LANDSCAPE), widths=(4, 4, 8, 8, 8), norm=False)
    randomise(net)
    facts = {"feature_scale": json.dumps([1.0, 1.0, 1.0])}
    write = {"role": "scorer", "classes": LANDSCAPE.names, "widths": (4, 4, 8, 8, 8), "facts": facts}
    netfile.write(net.state_dict(), folder / "net.safetensors", **write)
    return folder


def judged_by(made: Path) -> list[str]:
    return [f"segmenter.name={made / 'net.safetensors'}", f"fid.name={made / 'net.safetensors'}"]


def test_a_folder_is_scored_and_nothing_else_is_written(made, tmp_path):
    done = run("score", f"generated={made / 'out'}", "json=score.json", *WORLD, *judged_by(made), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "score.json").read_text())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["score.json", "score.npz"]
    assert record["pictures"] == record["protocol"]["measure"]["labels"]["count"] == 4
    assert record["protocol"]["measure"]["reference"]["count"] == 24
    assert record["parts"].keys() == {"mask_acc", "aesthetic(stand-in)", "FID(scenenet)"}
    assert "not comparable with contest numbers" in record["marks"][0]
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(f"jittor2022 total {record['total']:.4f} [")
    assert "| mask_acc" in last
    assert "not comparable with contest numbers" in last
    assert "FID(scenenet)" in last
    assert " FID " not in last


def main(*overrides: str) -> object:
    """The command's function on a composed config: what a process does, without its start."""
    task = score.main.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    return task(compose("score", list(overrides)))


def test_real_pictures_against_themselves(made, tmp_path):
    """The test photographs as generated pictures, compared with the test split: a distance of 0."""
    json_file = tmp_path / "s.json"
    options = ("reference=test", "scorer=jittor2023", f"json={json_file}")
    assert main(f"generated={made / 'out'}", *options, *WORLD, *judged_by(made)) == 0
    parts = json.loads(json_file.read_text())["parts"]
    assert parts["FID(scenenet)"]["value"] == pytest.approx(0, abs=1e-6)
    assert parts["hist_corr"]["value"] == pytest.approx(1)


def test_measures_alone(made, tmp_path, capsys):
    """The test photographs as made pictures: no total, and every distance at its best."""
    json_file = tmp_path / "s.json"
    chosen = ("scorer=none", "measure=psnr+ssim+lpips+l1", f"json={json_file}")
    assert main(f"generated={made / 'out'}", *chosen, *WORLD) == 0
    record = json.loads(json_file.read_text())
    assert record["total"] is None
    values = {name: part["value"] for name, part in record["parts"].items()}
    assert values == pytest.approx(
        {"l1": 0, "lpips(uniform)": 0, "psnr": fidelity.psnr_ceiling((3, 64, 64)), "ssim": 1}
    )
    assert record["protocol"]["measure"]["measures"].keys() == {"l1", "lpips", "psnr", "ssim"}
    assert capsys.readouterr().out.strip().splitlines()[-1].startswith("l1 0.0000")


def test_measures_beside_a_total(made, tmp_path):
    """The total and its parts are what they are without the measure."""
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file, more in zip(files, ((), ("measure=rmse+mean_iou",)), strict=True):
        assert main(f"generated={made / 'out'}", f"json={file}", *more, *WORLD, *judged_by(made)) == 0
    one, two = (json.loads(file.read_text()) for file in files)
    assert two["parts"].pop("rmse")["value"] == 0
    assert two["parts"].pop("mean_iou")["value"] == two["mean_iou"]
    for key in ("parts", "total", "total_interval95", "waterfall", "iou", "beside"):
        assert one[key] == two[key]
    assert one["protocol"]["id"] != two["protocol"]["id"]


def test_measures_of_a_training_run(tmp_path):
    """At the end of train the measures land in result.json, in the table and in the loggers' numbers."""
    small = [option for option in TINY if not option.startswith("data.test_count")]
    chosen = ("data.test_count=3", "steps=1", "name=a", "measure=psnr+l1", "scorer=none", "logger=tensorboard")
    done = run("train", *small, *chosen, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs" / "a" / "result.json").read_text())
    assert record["parts"].keys() == {"l1", "psnr"}
    assert record["scorer"] is None
    assert f"psnr {record['parts']['psnr']['value']:.4f}" in done.stdout
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged: set[str] = set()
    for file in (tmp_path / "runs" / "a").rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(file))
        events.Reload()
        logged |= set(events.Tags()["scalars"])
    assert {"score/l1", "score/psnr"} <= logged


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["measure=psrn"], ["Did you mean psnr?"]),
        (["measure=psnr+sim"], ["there is no 'sim'", "Did you mean ssim?"]),
        (["measure=lpips+lpips_alex"], ["both measure.lpips", "keep one"]),
        (["measure=psnr+psnr"], ["stands twice"]),
        (["measure=mask_acc", "segmenter=none"], ["measure=mask_acc reads the segmenter", "segmenter=scenenet"]),
        (["scorer=none"], ["nothing is measured; choose measure="]),
        (["scorer=jittor2023", "measure=hist_corr", "measure.hist_corr.bins=4"], ["scorer=jittor2023", "scorer=none"]),
        (["measure=ssim", "measure.ssim.window=10"], ["measure.ssim.window=10"]),
        (["measure=ssim", "measure.ssim.windw=11"], ["measure.ssim.windw", "Did you mean window?"]),
        (["measure=ssim", "+measure.ssim.segmenter=1"], ["measure.ssim.segmenter is unknown"]),
        (["+measure.psnr=3"], ["measure.psnr is no measure (it has no _target_)"]),
        (["scorer=none", "measure=psnr", "data=labels", "data.root=MAPS"], ["has no photograph, which psnr needs"]),
    ],
)
def test_measures_that_are_refused(made, tmp_path, overrides, words):
    maps = tmp_path / "maps"
    maps.mkdir()
    for index in range(3):
        save_png(maps / f"m{index}.png", np.full((64, 64), index, np.uint8))
    own = "data=labels" in overrides
    world = ("size=tiny", "floor=false", "cache=off", "reference=test", "split=test") if own else WORLD
    with pytest.raises((Refusal, ConfigCompositionException, MissingConfigException)) as caught:
        main(f"generated={made / 'out'}", *(o.replace("MAPS", str(maps)) for o in overrides), *world)
    sentence = explain(caught.value)
    assert sentence is not None
    for word in words:
        assert word in sentence
    assert "\n" not in sentence


def test_a_table_of_rows_needs_a_total(tmp_path):
    (tmp_path / "rows.csv").write_text(GOOD)
    with pytest.raises(Refusal, match="scorer=none has none; choose scorer=jittor2022"):
        main(f"rows={tmp_path / 'rows.csv'}", "scorer=none")


def test_the_second_score_takes_the_reference_from_the_cache(made, tmp_path, capsys):
    cache = ("cache=" + str(tmp_path / "cache"), "segmenter=none")
    net = f"fid.name={made / 'net.safetensors'}"
    for say in ("cache miss", "cache hit"):
        assert main(f"generated={made / 'out'}", *WORLD[:-1], *cache, net) == 0
        assert f"{say}: FID(scenenet) statistics of 24 reference pictures" in capsys.readouterr().err


def test_a_wrong_row_ends_with_status_1(tmp_path):
    (tmp_path / "rows.csv").write_text(BAD)
    done = run("score", "rows=rows.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 rows, 1 differ" in done.stdout
    assert done.stderr == ""
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_right_rows_end_with_status_0(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text(GOOD)
    assert main(f"rows={tmp_path / 'rows.csv'}") == 0
    assert "1 rows, all agree" in capsys.readouterr().out


@pytest.mark.shared
def test_the_logs_62_rows(shared, capsys):
    assert main(f"rows={shared / 'ledger' / 'online.csv'}") == 0
    assert "62 rows, all agree" in capsys.readouterr().out


def test_a_refusal_is_one_sentence(tmp_path):
    assert "rows none.csv cannot be read" in sentence(run("score", "rows=none.csv", cwd=tmp_path))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([], "give one of generated=FOLDER"),
        (["generated=out", "rows=rows.csv"], "give one of generated=FOLDER"),
        (["generated=nowhere", *WORLD, "segmenter=none", "fid=scenenet"], "is no folder"),
        (["generated=out", "count=many"], "count='many'"),
        (["generated=out", "count=1"], "count=1 is too few"),
        (["generated=out", "batch_size=0"], "batch_size=0"),
        (["generated=out", "cache=FILE", "segmenter=none", "NET"], "is a file; give a folder"),
        (["generated=out", "segmenter=smp", "segmenter.name=none.safetensors"], "none.json cannot be read"),
        (["generated=out", "fid.weigths=random"], "fid.weigths"),
        (["generated=out", "scorer.bins=8"], "scorer.bins"),
    ],
)
def test_refused(made, overrides, says):
    net = made / "net.safetensors"
    words = {"NET": [f"fid.name={net}", *WORLD[:-1], f"generated={made / 'out'}"], "cache=FILE": [f"cache={net}"]}
    overrides = [part for word in overrides for part in words.get(word, [word])]
    with pytest.raises((Refusal, ConfigCompositionException)) as error:
        main(*overrides)
    assert says in str(error.value) + str(error.value.__cause__)


def test_fid_weights_that_cannot_be_had(made, tmp_path):
    """A damaged file in weights.dir: the sentence names it and where the right one is kept."""
    (tmp_path / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"cut off")
    with pytest.raises(Refusal, match=r"pt_inception-2015-12-05-6726825d.pth .* sha256"):
        main(f"generated={made / 'out'}", "fid=legacy", "segmenter=none", f"weights.dir={tmp_path}", *WORLD)


def test_classes_of_other_data_name_the_cure(made, tmp_path):
    """A segmenter of 2 classes on the landscape's 29."""
    net = SceneNet(classes=2, widths=(4, 4, 8, 8, 8), norm=False)
    file = tmp_path / "two.safetensors"
    randomise(net)
    netfile.write(net.state_dict(), file, role="scorer", classes=("a", "b"), widths=(4, 4, 8, 8, 8), facts={})
    with pytest.raises(Refusal) as error:
        main(f"generated={made / 'out'}", f"segmenter.name={file}", *WORLD)
    for part in ("2 classes (a, b)", "29 (mountain, sky", "scenegen.train model=scenenet"):
        assert part in str(error.value)


@pytest.mark.parametrize("group", ["scorer", "segmenter", "aesthetic", "fid", "measure"])
def test_every_option_opens_with_what_it_is_and_its_command(group):
    """DESIGN section 4; the plan's check of each is in test_refused's neighbours, composing is here."""
    for file in sorted((conf_folder() / group).glob("*.yaml")):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# ")
        assert lines[1].startswith("# python -m scenegen.")
        plan(compose("score", [f"{group}={file.stem}", "generated=out"]), settings=score.Settings)
