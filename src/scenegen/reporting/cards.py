"""Cards of runs that are passed on: what they read and were trained on, and the command or code that uses them."""

from __future__ import annotations

from collections.abc import Sequence

from scenegen.base.depth import Depth
from scenegen.base.records import SceneModel
from scenegen.networks.generators.rrdb import SuperResolution
from scenegen.sampling.inputs import Input

HEAD = """# {name}

{reads} in, {makes} out: a {model} of scenegen (`pip install scenegen-landscapes`), step {step},
{size} pixels (width x height), """

FACTS = """- **Label maps**: {classes}
- **Data**: {data}
- **Terms**: {terms}
- **Scores**: {scores}
- **Limits**: {limits}
"""

CARD = f"""{HEAD}{{count:.1f}} million numbers as {{floats}} ({{mib:.1f}} MiB).

```bash
{{use}}
```

{FACTS}- **Trained by**: config.yaml, {{seen:,}} pictures seen.
- **Checked**: this folder paints what the run paints, up to {{off:.2f}} of 255 grey levels in one picture.
"""

GRAPH_CARD = f"""{HEAD}as one graph ({{kind}}).{{unchecked}}

```python
{{code}}
```

- **Inputs**: {{inputs}}. The batch is of any size.
- **Output**: {{output}}.
{FACTS}- **Checked**: opened anew it paints what the run paints: {{checked}}.
"""

CODE = {
    "onnx": """import numpy as np, onnxruntime
graph = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
given = {{                                            # yours; of noise, other numbers make another picture
{given}
}}
(picture,) = graph.run(None, given)""",
    "torchscript": """import torch
graph = torch.jit.load("model.pt")
picture = graph(                                     # yours; of noise, other numbers make another picture
{given}
)""",
}
"""Format -> how the file is used, for the card."""


def reads(model: SceneModel) -> str:
    """The given parts of a model's batch, in words."""
    words = {"label": "label maps", "exemplar": "exemplars", "source": makes(model), "hole": "holes"}
    read = [word for field, word in words.items() if field in model.reads]
    return " and ".join(filter(None, [", ".join(read[:-1]), read[-1]])).capitalize()


def makes(model: SceneModel) -> str:
    """What a model makes, in a word."""
    return "slices" if model.channels == 1 else "pictures"


def use(model: SceneModel) -> str:
    """The command that paints with a run's folder."""
    sample = "python -m scenegen.sample run=FOLDER"
    if isinstance(model, SuperResolution):
        scale = "" if model.scale == 2 else f" post.esrgan_x2.scale={model.scale}"
        return "python -m scenegen.post generated=PICTURES out=LARGE post=esrgan_x2 post.esrgan_x2.run=FOLDER" + scale
    if "hole" in model.reads:
        return f"{sample} pictures=PICTURES masks=MASKS" + " labels=MAPS" * ("label" in model.reads)
    if model.channels == 1:
        return f"{sample} pictures=SLICES"
    if "label" not in model.reads:
        return "python -m scenegen.post generated=PICTURES out=DONE post=cyclegan post.cyclegan.run=FOLDER"
    return f"{sample} labels=MAPS" + " exemplars=EXEMPLARS" * ("exemplar" in model.reads)


def output(depth: Depth | None) -> str:
    """The picture of a graph, in words; slices have a depth."""
    if depth is None:
        return "picture, (batch, 3, height, width), uint8"
    return (f"picture, (batch, 1, height, width), float32 Hounsfield units in {depth.low:g}..{depth.high:g}, not "
            f"rounded. 16-bit files of these data hold grey levels g, of which {depth.slope:g} * g + "
            f"{depth.intercept:g} makes Hounsfield units; DICOM files say their own slope and intercept")  # fmt: skip


def code(form: str, inputs: Sequence[Input]) -> str:
    """Code that runs a graph of these inputs; `form` is a key of CODE."""
    if form == "torchscript":
        lines = [f"    {each.code.torch},  # {each.name}" for each in inputs]
    else:
        lines = [f'    "{each.name}": {each.code.numpy},' for each in inputs]
    return CODE[form].format(given="\n".join(lines))
