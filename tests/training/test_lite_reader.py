"""The reader on EfficientNet-Lite2 in the one loop: trained, resumed bit for bit, and a judge of a folder."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.cli.command_line import run, sentence
from tests.training.test_segmentation import write_flags


def test_it_trains_goes_on_and_judges(tmp_path: Path) -> None:
    write_flags(tmp_path / "flags")
    data = ("data=folder", "data.root=flags", "size=tiny", "weights=random")
    rhythm = ("batch_size=4", "checkpoint_every=1", "keep_checkpoints=9", "evaluate=false")
    whole = run("train", *data, "model=lite_reader", *rhythm, "steps=2", "name=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert "to be used by segmenter=landscapes segmenter.name=" in whole.stdout
    folder, part = tmp_path / "runs" / "whole", tmp_path / "runs" / "part"
    (part / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "run.json", "classes.json", "checkpoints/step_0000001.ckpt"):
        (part / name).write_bytes((folder / name).read_bytes())
    resumed = run("train", "resume=part", "evaluate=false", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    ends = [run_ / "checkpoints" / "step_0000002.ckpt" for run_ in (folder, part)]
    a, b = (torch.load(end, weights_only=True)["state_dict"] for end in ends)
    assert a.keys() == b.keys()
    assert not any("trunk" in key for key in a), "the frozen net is in no state dict"
    assert all(torch.equal(a[key], b[key]) for key in a)
    first = torch.load(folder / "checkpoints" / "step_0000001.ckpt", weights_only=True)["state_dict"]
    assert not torch.equal(a["model.net.decoder.head.weight"], first["model.net.decoder.head.weight"])

    judge = ("segmenter=landscapes", f"segmenter.name={folder / 'lite_reader.safetensors'}")
    measured = ("scorer=none", "measure=mask_acc")
    judged = run("score", "generated=flags/val/images", *data, *judge, *measured, cwd=tmp_path)
    assert judged.returncode == 0, judged.stderr
    assert "mask_acc" in judged.stdout
    other = run("score", "generated=flags/val/images", *data, "segmenter=landscapes", *measured, cwd=tmp_path)
    said = sentence(other)
    assert "reads 29 classes" in said
    assert "3 (sky, grass, earth)" in said
    assert "python -m scenegen.train model=lite_reader data=" in said
