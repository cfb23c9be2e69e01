"""Runs that are not there, not whole, or not what the command takes them for; records that somebody touched."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.table import Row, each
from tests.worlds import checkpoint, finished, label, pairs, picture, trained, write


def of_run(name: str, command: str, spoil: Callable[[Path], object], *words: str, **more) -> Row:
    """A trained run `a` in which something is spoilt, given its folder."""
    return Row(f"{command.split()[0]}: {name}", command, lambda here: spoil(trained(here)), words, **more)


SAMPLE = "sample run=a out=made count=1 sheet=0"
RESUME = "train resume=a steps=4"


def another_shape(run: Path) -> None:
    """A checkpoint in which one tensor became another."""
    content = torch.load(checkpoint(run), weights_only=True)
    content["state_dict"]["model.generator.fc.weight"] = torch.zeros(1)
    packed = io.BytesIO()
    torch.save(content, packed)
    write(checkpoint(run), packed.getvalue())


CONFIGS = [
    ("config empty", lambda run: write(run / "config.yaml", "")),
    ("config a text", lambda run: write(run / "config.yaml", "hello")),
    ("config a list", lambda run: write(run / "config.yaml", "- 1\n- 2\n")),
    ("config a number", lambda run: write(run / "config.yaml", "5")),
    ("config no YAML", lambda run: write(run / "config.yaml", "a: [1, 2\nb: }")),
    ("config with tabs", lambda run: write(run / "config.yaml", "a:\n\t- 1\n")),
    ("config of bytes", lambda run: write(run / "config.yaml", b"\xff\xfe\x00\x01")),
    ("config cut short", lambda run: write(run / "config.yaml", (run / "config.yaml").read_text()[:300])),
    ("config without model", lambda run: write(run / "config.yaml", "seed: 1\nsteps: 2\n")),
    ("config with zero bytes", lambda run: write(run / "config.yaml", "seed: 1\x00\n")),
    ("config a folder", lambda run: ((run / "config.yaml").unlink(), (run / "config.yaml").mkdir())),
    ("config a pipe", lambda run: ((run / "config.yaml").unlink(), os.mkfifo(run / "config.yaml"))),
    ("config absent", lambda run: (run / "config.yaml").unlink()),
]

WHOLE = [
    *[of_run(name, command, spoil, "config" if "absent" not in name else "there is no run 'a'")
      for name, spoil in CONFIGS for command in (SAMPLE, RESUME)],
    of_run("config with another size", SAMPLE, lambda run: write(
        run / "config.yaml", (run / "config.yaml").read_text().replace("ngf: 2", "ngf: 3")), "ngf"),
    of_run("config with a text as width", SAMPLE, lambda run: write(
        run / "config.yaml", (run / "config.yaml").read_text().replace("ngf: 2", "ngf: two")), "ngf"),
    of_run("classes absent", SAMPLE + " labels=maps", lambda run: (label(run.parents[1] / "maps/a.png"),
           (run / "classes.json").unlink()), "classes.json"),
    of_run("classes broken", SAMPLE + " labels=maps", lambda run: (label(run.parents[1] / "maps/a.png"),
           write(run / "classes.json", "{")), "classes.json"),
    of_run("classes of another number", SAMPLE + " labels=maps", lambda run: (label(run.parents[1] / "maps/a.png"),
           write(run / "classes.json", {"classes": ["sky"]})), "class"),
    of_run("no checkpoint", SAMPLE, lambda run: checkpoint(run).unlink(), "checkpoint"),
    of_run("no checkpoints folder", SAMPLE, lambda run: (checkpoint(run).unlink(), (run / "checkpoints").rmdir()),
           "checkpoint"),
    of_run("empty checkpoint", SAMPLE, lambda run: write(checkpoint(run), b""), "step_0000002.ckpt"),
    of_run("checkpoint a text", SAMPLE, lambda run: write(checkpoint(run), "weights"), "step_0000002.ckpt"),
    of_run("checkpoint cut short", SAMPLE, lambda run: write(checkpoint(run), checkpoint(run).read_bytes()[:20000]),
           "step_0000002.ckpt"),
    of_run("checkpoint without its end", SAMPLE, lambda run: write(checkpoint(run), checkpoint(run).read_bytes()[:-99]),
           "step_0000002.ckpt"),
    of_run("checkpoint a folder", SAMPLE, lambda run: (checkpoint(run).unlink(), (run / "checkpoints"
           / "step_0000002.ckpt").mkdir()), "step_0000002.ckpt"),
    of_run("checkpoint a pipe", SAMPLE, lambda run: (checkpoint(run).unlink(), os.mkfifo(
           run / "checkpoints" / "step_0000002.ckpt")), "step_0000002.ckpt"),
    of_run("a further checkpoint of another name is left alone", SAMPLE, lambda run: write(
           run / "checkpoints/step_last.ckpt", b"x"), "step 2", status=0, spared=("made*",)),
    of_run("a named checkpoint absent", SAMPLE + " checkpoint=none.ckpt", lambda run: run, "none.ckpt",
        "is no checkpoint none.ckpt"),
    of_run("a named checkpoint a folder", SAMPLE + " checkpoint=runs", lambda run: run, "runs",
        "is not a checkpoint that can be read safely"),
    of_run("a named checkpoint a picture", SAMPLE + " checkpoint=p.png", lambda run: picture(
        run.parents[1] / "p.png"), "p.png", "is not a checkpoint that can be read safely"),
    of_run("resume: no checkpoint text", RESUME, lambda run: write(checkpoint(run), "weights"), "step_0000002.ckpt"),
    of_run("resume: cut short", RESUME, lambda run: write(checkpoint(run), checkpoint(run).read_bytes()[:9999]),
           "step_0000002.ckpt"),
    of_run("into another data", "train resume=a data=folder", lambda run: run, "another run"),
    of_run("into another model", "train resume=a model=oasis", lambda run: run, "another run"),
    of_run("into another loss", "train resume=a loss=cx", lambda run: run, "another run"),
    of_run("into another width", "train resume=a width.ngf=4", lambda run: run, "ngf",
        "goes on with the run's own networks, data and order"),
    of_run("into another size", "train resume=a size.height=96 steps=4", lambda run: run, "size",
        "goes on with the run's own networks, data and order"),
    of_run("into a model without VAE", "train resume=a model.vae=false steps=4", lambda run: run, "vae",
        "goes on with the run's own networks, data and order"),
    of_run("with an unknown key", "train resume=a stpes=4", lambda run: run, "stpes", "steps"),
    of_run("with a value of another kind", "train resume=a steps=many", lambda run: run, "steps",
        "should be a whole number"),
    of_run("with steps=0", "train resume=a steps=0", lambda run: run, "steps=0", "steps=0 must be 1 or more"),
    of_run("with a deleted key", "train resume=a ~steps", lambda run: run, "steps",
        "goes on with the keys that the run has, and ~steps"),
    of_run("with an added key", "train resume=a +steps2=4", lambda run: run, "steps2",
        "goes on with the keys that the run has, and +steps2=4"),
    of_run("the run again", "train size=tiny name=a", lambda run: run, "holds a run already", "resume=a"),
    of_run("over a run that lost its config", "train size=tiny name=a", lambda run: (run / "config.yaml").unlink(),
           "run.json and metrics.csv and checkpoints of a run that has lost its config.yaml"),
    of_run("weights of another shape", SAMPLE, another_shape, "not fit GauGAN: generator.fc.weight is 1 in the file"),
    of_run("with a journal without steps", RESUME, lambda run: write(run / "metrics.csv", "G,D\n1,2\n"),
           "has no column step"),
    of_run("with an interpolation of a value", RESUME, lambda run: write(run / "config.yaml", (
        run / "config.yaml").read_text() + "extra: ${${seed}}\n"), "extra: its ${...} is built of a value"),
    of_run("no such run", "sample run=b", lambda run: run, "'b'", " a"),
    of_run("start_from without checkpoint", "train size=tiny width=tiny weights=random name=b start_from=a",
           lambda run: checkpoint(run).unlink(), "checkpoint"),
    of_run("start_from a text", "train size=tiny width=tiny weights=random data.count=4 batch_size=2 name=b "
           "evaluate=false start_from=a", lambda run: write(checkpoint(run), "text"), "step_0000002.ckpt", slow=True),
    of_run("labels absent", SAMPLE + " labels=none", lambda run: run, "labels=none", "is no folder"),
    of_run("labels a file", SAMPLE + " labels=a.png", lambda run: label(run.parents[1] / "a.png"), "labels=a.png",
        "is no folder"),
    of_run("labels empty", SAMPLE + " labels=maps", lambda run: (run.parents[1] / "maps").mkdir(), "maps",
        "holds no label map"),
    of_run("labels of texts", SAMPLE + " labels=maps", lambda run: write(run.parents[1] / "maps/a.txt", "x"), "maps",
        "holds no label map"),
    of_run("labels of strange ids", SAMPLE + " labels=maps", lambda run: label(run.parents[1] / "maps/a.png", 77),
           "a.png", "77"),
    of_run("labels in colour", SAMPLE + " labels=maps", lambda run: picture(run.parents[1] / "maps/a.png"), "a.png"),
    of_run("labels a pipe", SAMPLE + " labels=maps", lambda run: (label(run.parents[1] / "maps/b.png"),
           os.mkfifo(run.parents[1] / "maps/a.png")), "a.png"),
    of_run("style absent", SAMPLE + " style=none.jpg", lambda run: run, "none.jpg", "there is no such file"),
    of_run("style a text", SAMPLE + " style=s.jpg", lambda run: write(run.parents[1] / "s.jpg", "text"), "s.jpg",
        "unreadable or truncated"),
    of_run("style a folder", SAMPLE + " style=runs", lambda run: run, "runs", "is a folder, not a picture file"),
    of_run("exemplars of a model without", SAMPLE + " exemplars=maps", lambda run: (run.parents[1] / "maps").mkdir(),
           "exemplar", "the model of run a paints without exemplars"),
    of_run("out is the label maps", "sample run=a labels=maps out=maps sheet=0", lambda run: label(
        run.parents[1] / "maps/a.png"), "maps", "is where labels=maps is read, and its files would be"),
    of_run("out is a file", "sample run=a out=made count=1", lambda run: write(run.parents[1] / "made", "mine"),
           "made", "is a file"),
    of_run("out holds others", "sample run=a out=mine count=1", lambda run: picture(
        run.parents[1] / "mine/holiday.png"), "mine", "holds holiday.png, which no command of this kind has"),
]  # fmt: skip


def of_result(name: str, file: str, content: str | bytes | dict | list | Callable[[str], str], *words: str,
              commands: tuple[str, ...] = ("compare runs=[a,b]", "report runs=[a,b]")) -> list[Row]:  # fmt: skip
    """Two finished runs, in the first of which one file is spoilt: for compare and for report."""

    def build(here: Path) -> None:
        run = finished(here, "a")
        finished(here, "b", seed=1, loss="dists")
        write(run / file, content((run / file).read_text()) if callable(content) else content)

    return [Row(f"{command.split()[0]}: {name}", command, build, words or (file,)) for command in commands]


def with_value(place: str, value: object) -> Callable[[str], str]:
    """The JSON with a value at a dotted place; without the place where the value is ...."""

    def change(text: str) -> str:
        content = json.loads(text)
        *outer, last = place.split(".")
        node = content
        for part in outer:
            node = node[part]
        if value is ...:
            del node[last]
        else:
            node[last] = value
        return json.dumps(content)

    return change


RESULTS = [
    *of_result("result empty", "result.json", ""),
    *of_result("result no JSON", "result.json", "total: 5"),
    *of_result("result cut short", "result.json", lambda text: text[:50]),
    *of_result("result a list", "result.json", []),
    *of_result("result null", "result.json", "null"),
    *of_result("result a number", "result.json", "0.5"),
    *of_result("result of bytes", "result.json", b"\xff\xfe"),
    *of_result("result an empty object", "result.json", {}),
    *of_result("total a text", "result.json", with_value("total", "high")),
    *of_result("total a list", "result.json", with_value("total", [1])),
    *of_result("total absent", "result.json", with_value("total", ...)),
    *of_result("total NaN", "result.json", lambda text: text.replace('"total": 0', '"total": NaN, "x": 0')),
    *of_result("parts null", "result.json", with_value("parts", None)),
    *of_result("parts a list", "result.json", with_value("parts", [1])),
    *of_result("parts absent", "result.json", with_value("parts", ...)),
    *of_result("a part a number", "result.json", with_value("parts", {"mask_acc": 0.5})),
    *of_result("a part's value a text", "result.json", with_value("parts", {"mask_acc": {"value": "high"}})),
    *of_result("a part's value null", "result.json", with_value("parts", {"mask_acc": {"value": None}})),
    *of_result("protocol null", "result.json", with_value("protocol", None)),
    *of_result("protocol a text", "result.json", with_value("protocol", "one")),
    *of_result("protocol without id", "result.json", with_value("protocol", {})),
    *of_result("marks a number", "result.json", with_value("marks", 5)),
    *of_result("interval a text", "result.json", with_value("total_interval95", "wide")),
    *of_result("interval of one", "result.json", with_value("total_interval95", [1])),
    *of_result("record empty", "run.json", ""),
    *of_result("record a list", "run.json", "[]"),
    *of_result("record null", "run.json", "null"),
    *of_result("record without overrides", "run.json", "{}"),
    *of_result("overrides null", "run.json", {"overrides": None}),
    *of_result("overrides numbers", "run.json", {"overrides": [1, 2]}),
    *of_result("overrides a text", "run.json", {"overrides": "loss=cx"}),
    *of_result("record of brackets", "run.json", "[" * 3000 + "]" * 3000),
    *of_result("config empty", "config.yaml", ""),
    *of_result("config a list", "config.yaml", "- 1"),
    *of_result("config no YAML", "config.yaml", "a: [1"),
    *of_result("config without seed", "config.yaml", lambda text: text.replace("seed: 0", "sed: 0")),
    *of_result("config's seed a text", "config.yaml", lambda text: text.replace("seed: 0", "seed: first")),
    *of_result("scores empty", "scores.npz", b"", commands=("compare runs=[a,b]",)),
    *of_result("scores a text", "scores.npz", "numbers", commands=("compare runs=[a,b]",)),
    *of_result("metrics of bytes", "metrics.csv", b"\xff\xfe\x00", commands=("report runs=[a,b]",)),
    *of_result("metrics without step", "metrics.csv", "G,D\n1,2\n", commands=("report runs=[a,b]",)),
    *of_result("metrics of words", "metrics.csv", "step,G\n1,high\n2,low\n", commands=("report runs=[a,b]",)),
    *of_result("metrics of ragged rows", "metrics.csv", "step,G\n1,2,3\n2\n", commands=("report runs=[a,b]",)),
    Row("compare: scores absent", "compare runs=[a,b]", lambda here: (finished(here, "a"), finished(
        here, "b", loss="dists"), (here / "runs/a/scores.npz").unlink()), ("scores.npz",)),
    Row("compare: scores of pickles", "compare runs=[a,b]", lambda here: (finished(here, "a"), finished(
        here, "b", loss="dists"), np.savez(here / "runs/a/scores.npz", names=np.array([{}], dtype=object))),
        ("scores.npz",)),
    Row("compare: one run", "compare runs=a", lambda here: finished(here, "a"), ("a",
        "there is one recipe only, so nothing to compare")),
    Row("compare: one run twice", "compare runs=[a,a]", lambda here: finished(here, "a"), ("a",
        "there is one recipe only, so nothing to compare")),
    Row("compare: one recipe, one seed", "compare runs=[a,b]", lambda here: (finished(here, "a"), finished(here, "b")),
        ("one recipe with one seed",)),
    Row("compare: an unfinished run", "compare runs=[a,b]", lambda here: (trained(here), finished(here, "b")),
        ("a", "result.json")),
    Row("compare: unlike protocols", "compare runs=[a,b]", lambda here: (finished(here, "a"), finished(
        here, "b", loss="dists"), write(here / "runs/b/result.json", with_value("protocol.id", "other")(
            (here / "runs/b/result.json").read_text()))), ("protocol",)),
    Row("compare: json in no folder", "compare runs=[a,b] json=none/such.json", lambda here: (finished(
        here, "a"), finished(here, "b", loss="dists"), write(here / "none", "x")), ("json=none/such.json",
        "none is a file, and must be a folder")),
    Row("compare: json is a result", "compare runs=[a,b] json=runs/a/result.json", lambda here: (finished(
        here, "a"), finished(here, "b", loss="dists")), ("json=runs/a/result.json", "which is read")),
    Row("check: json is a class list", "check size=tiny data.count=2 data.test_count=2 json=mine.json",
        lambda here: write(here / "mine.json", "{}"), ("json=mine.json", "is there already")),
    Row("report: out is a file", "report out=page", lambda here: write(here / "page", "mine"), ("page",
        "page is a file, and must be a folder")),
    Row("report: out within a file", "report out=page/x", lambda here: write(here / "page", "mine"), ("out=page/x",
        "page is a file, and must be a folder")),
    Row("import: out within a file", "import annotations=a format=labelme_xml out=page/x", lambda here: (write(
        here / "page", "mine"), (here / "a").mkdir()), ("out=page/x", "page is a file, and must be a folder")),
    Row("report: leaderboard is a folder", "report out=page leaderboard=board", lambda here: (here / "board").mkdir(),
        ("leaderboard=board", "is a folder")),
]  # fmt: skip

INPUTS = [
    Row("convert: a text as weights", "convert files=w classes=ade20k name=n", lambda here: write(
        here / "w/latest_net_G.pth", "text"), ("latest_net_G.pth", "torch.save did not write it whole")),
    Row("convert: no weights inside", "convert files=w name=n", lambda here: write(here / "w/latest_net_G.pth", b""),
        ("latest_net_G.pth",)),
    Row("convert: name is taken", "convert files=w name=a", lambda here: (trained(here), write(
        here / "w/latest_net_G.pth", "text")), ("a", "cannot be read as weights")),
    Row("convert: classes broken", "convert files=w classes=c.json name=n", lambda here: (write(
        here / "w/latest_net_G.pth", "text"), write(here / "c.json", "{")), ("c.json",
        "the class list c.json is no JSON")),
    Row("retrieve: no test pictures", "retrieve data=folder data.root=data size=tiny top_k=1", lambda here: (
        pairs(here / "data"), [p.unlink() for p in (here / "data/val").rglob("p*")]), ("val",)),
    Row("retrieve: a spoilt label", "retrieve data=folder data.root=data size=tiny top_k=1", lambda here: (
        pairs(here / "data"), label(here / "data/train/labels/p1.png", 9)), ("p1.png", "9")),
]  # fmt: skip


test_runs = each(WHOLE, quick=9)
test_results = each(RESULTS, quick=16)
test_inputs = each(INPUTS, quick=1)
