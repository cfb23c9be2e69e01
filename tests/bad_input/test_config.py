"""Options that do not exist, do not fit together, or cannot be read, of every command."""

from __future__ import annotations

from tests.table import Row, check, each
from tests.worlds import picture

TRAIN = "train size=tiny width=tiny weights=random data.count=4 data.test_count=4 batch_size=2 steps=2 evaluate=false"


def train(override: str, *words: str, **more) -> Row:
    """A training that names the fault in the words, by default by the override's key."""
    key = override.split("=")[0].lstrip("+~'\"")
    return Row(f"train {override}", f"{TRAIN} {override}", words=words or (key,), **more)


def other(command: str, *words: str, **more) -> Row:
    return Row(command, command, words=words, **more)


SPELLING = [
    train("modle=gaugan", "modle", "model"),
    train("model=gauGAN", "gauGAN", "gaugan"),
    train("model=spade", "spade"),
    train("model=", "model"),
    train("stpes=5", "stpes", "steps"),
    train("step=5", "step"),
    train("epochs=5", "epochs"),
    train("lr=0.1", "lr"),
    train("gpus=1", "gpus"),
    train("ckpt_path=x", "ckpt_path"),
    train("max_steps=7", "max_steps"),
    train("size.hieght=64", "size.hieght", "height"),
    train("data.cont=4", "data.cont", "count"),
    train("optim.lr=1", "optim.lr"),
    train("+steps=5", "steps"),
    train("+new_key=5", "new_key"),
    train("~steps", "steps"),
    train("~size.height", "size.height"),
    train("~nothing", "nothing"),
    train("steps", "steps"),
    train("steps==5", "steps"),
    train("steps=1,2", "steps"),
    train("size=tiny,s256", "size"),
    train("model.width.depth=3", "model"),
    train("data=nowhere", "data=nowhere", "procedural"),
    train("experiment=none_such", "none_such"),
    train("debug=none_such", "none_such"),
    train("logger=none_such", "none_such", "tensorboard"),
    train("trick=ema+none_such", "none_such"),
    train("trick.average.decay=1", "trick"),
    train("trick=ema trick.average.decay=2", "decay"),
    train("weights=none_such", "weights=none_such"),
    train("weights.policy=steal", "policy", "random"),
    train("extractor=resnet", "extractor=resnet"),
    train("scorer=none_such evaluate=true", "scorer=none_such"),
    train("sweep.trials=3", "sweep"),
    train("'steps=${nothing}'", "nothing"),
    train("'steps=${oc.env:HOME}'", "steps"),
    train("'steps=${oc.env:NO_SUCH_VARIABLE}'", "NO_SUCH_VARIABLE"),
    train("'steps=${unknown_function:1}'", "unknown_function"),
    train("start_from=none_such", "none_such"),
    train("resume=none_such", "none_such"),
    train("model._target_=os.system", "os.system"),
    train("model._target_=null", "model"),
    train("optim._target_=torch.optim.Adam", "torch.optim.Adam"),
]

COMMANDS = [
    other("sample", "run"),
    other("sample run=", "run"),
    other("sample run=none_such", "none_such", "python -m scenegen.train"),
    other("sample run=null", "run"),
    other("sample run=a n_per_label=0", "n_per_label=0"),
    other("sample run=a count=0", "count=0"),
    other("sample run=a batch_size=0", "batch_size=0"),
    other("sample run=a lookup=perhaps", "lookup=perhaps"),
    other("sample run=a seed=text", "seed"),
    other("sample run=a ckpt=5", "ckpt", "checkpoint"),
    other("sample run=a model=gaugan", "model"),
    other("sample run=a data.root=x", "data"),
    other("sample run=a post=none_such", "none_such", "bicubic"),
    other("sample run=a post=bicubic post.bicubic.factor=0", "factor"),
    other("score", "generated"),
    other("score generated=none_such", "none_such"),
    other("score generated=none_such size=tiny data.test_count=2", "none_such"),
    other("score rows=none_such.csv", "none_such.csv"),
    other("score generated=x split=middle", "split=middle"),
    other("score generated=x resize=nearest", "resize=nearest", "bicubic"),
    other("score generated=x extra=perhaps", "extra=perhaps", "ignore"),
    other("score generated=x count=0", "count"),
    other("score generated=x batch_size=0", "batch_size=0"),
    other("score generated=x scorer=none_such", "none_such", "jittor2022"),
    other("score generated=x measure=psnr+none_such", "none_such"),
    other("score generated=x fid=none_such", "none_such", "clean"),
    other("score generated=x floor=perhaps", "floor"),
    other("score rows=a.csv generated=b", "rows"),
    other("score run=a", "run"),
    other("post", "generated"),
    other("post generated=x", "out"),
    other("post generated=x out=x post=bicubic", "x", build=lambda here: picture(here / "x" / "a.png")),
    other("post generated=x out=y", "post", build=lambda here: picture(here / "x" / "a.png")),
    other("post generated=x out=y post=none_such", "none_such", "jpeg"),
    other(
        "post generated=x out=y post=jpeg post.jpeg.quality=0",
        "quality",
        build=lambda here: picture(here / "x" / "a.png"),
    ),
    other(
        "post generated=x out=y post=jpeg post.jpeg.quality=101",
        "quality",
        build=lambda here: picture(here / "x" / "a.png"),
    ),
    other(
        "post generated=x out=y post=bicubic post.bicubic.factor=-1",
        "factor",
        build=lambda here: picture(here / "x" / "a.png"),
    ),
    other(
        "post generated=x out=y post=bicubic post.bicubic.factor=1e9",
        "factor",
        build=lambda here: picture(here / "x" / "a.png"),
    ),
    other(
        "post generated=x out=y post=bicubic post.bicubic.factor=nan",
        "factor",
        build=lambda here: picture(here / "x" / "a.png"),
    ),
    other("convert", "files"),
    other("convert files=none_such", "none_such"),
    other("convert files=none_such source=none_such", "none_such", "spade"),
    other("convert files=x classes=none_such", "none_such", build=lambda here: (here / "x").mkdir()),
    other("convert files=x", "net_G", build=lambda here: (here / "x").mkdir()),
    other("convert files=5", "files"),
    other("convert files=x epoch=9", "9_net_G", build=lambda here: (here / "x").mkdir()),
    other("convert files=x name=../y", "name", build=lambda here: (here / "x").mkdir()),
    other("convert files='{Z: x.pth}'", "Z"),
    other("convert files='{G: none_such.pth}'", "none_such.pth"),
    other("retrieve by=none_such", "none_such", "mask_iou"),
    other("retrieve top_k=0", "top_k=0"),
    other("retrieve top_k=-1 size=tiny data.count=4 data.test_count=2", "top_k=-1"),
    other("retrieve top_k=10 size=tiny data.count=4 data.test_count=2", "top_k=10"),
    other("retrieve top_k=2 diversity=2 size=tiny data.count=4 data.test_count=2", "diversity=2"),
    other("retrieve top_k=2 diversity=nan size=tiny data.count=4 data.test_count=2", "diversity"),
    other("retrieve top_k=2 batch_size=0 size=tiny data.count=4 data.test_count=2", "batch_size"),
    other("retrieve data=folder data.root=none_such", "none_such"),
    other("retrieve by.net=5 top_k=2", "net"),
    other("check data=folder", "data.root"),
    other("check data=folder data.root=none_such", "none_such"),
    other("check deep=perhaps", "deep"),
    other("check loss=none_such", "none_such"),
    other("check loss=cx loss.cx.weight=text", "loss.cx.weight"),
    other("check modle=gaugan", "modle", "model"),
    other("compare", "runs"),
    other("compare runs=none_such", "none_such"),
    other("compare runs=5", "5"),
    other("compare runs=x", "x", build=lambda here: (here / "x").mkdir()),
    other("compare run=x", "run", "runs"),
    other("compare runs=x seed=text", "seed"),
    other("report runs=none_such", "none_such"),
    other("report runs=x", "x", build=lambda here: (here / "x").mkdir()),
    other("report pictures=-1", "pictures"),
    other("report curves=5", "curves"),
    other("report run=x", "run", "runs"),
    other("submit", "generated"),
    other("submit generated=x labels=none_such", "none_such", build=lambda here: picture(here / "x" / "a.png")),
    other("submit generated=x labels=x count=-1", "count", build=lambda here: picture(here / "x" / "a.png")),
    other("submit generated=x labels=x size=tiny", "size", build=lambda here: picture(here / "x" / "a.png")),
    other("dashboard terms=5", "terms"),
    other("dashboard projekt=x", "projekt", "project"),
]


@each(SPELLING)
def test_spelling(row: Row) -> None:
    check(row)


@each(COMMANDS)
def test_commands(row: Row) -> None:
    check(row)
