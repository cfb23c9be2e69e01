"""The page's server: ids in, pictures out, and everything else refused in one sentence."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from scenegen.base.refusal import Refusal
from scenegen.config.opened import Vocabulary, open_run
from scenegen.config.opened_holes import pictures_with_masks
from scenegen.data.classes import LANDSCAPE, class_list
from scenegen.paint import fixed_checkpoint, gallery_of, reader_of
from scenegen.sampling.generate import generate
from scenegen.web.easel import Easel, Wish
from scenegen.web.gallery import Gallery
from scenegen.web.guard import MOST_BYTES
from scenegen.web.maps import start
from scenegen.web.recipe import recipe_of
from scenegen.web.server import application
from tests.options import arguments
from tests.web.runs import READER, SIDE, Pictures, easel, opened_run

PORT = 8417
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "t" * 32
IDS = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 7 % len(LANDSCAPE)).astype("<u2")


@pytest.fixture(scope="module")
def board() -> Easel:
    return easel()


@pytest.fixture
def client(board: Easel) -> Iterator[TestClient]:
    with TestClient(application(board, port=PORT, token=TOKEN), base_url=HOME) as made:  # pyright: ignore[reportArgumentType]
        yield made


def post(client: TestClient, what: str, body: bytes = IDS.tobytes(), **headers: str) -> Any:
    return client.post(f"/{TOKEN}/{what}", content=body, headers={"origin": HOME, **headers})


def png(array: np.ndarray, mode: str | None = None, palette: list[int] | None = None) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(array)
    if palette is not None:
        picture = Image.frombytes("P", picture.size, array.tobytes())
        picture.putpalette(palette)
    (picture.convert(mode) if mode else picture).save(file, format="PNG")
    return file.getvalue()


def test_the_page_runs_nothing_but_its_own_script(client: TestClient) -> None:
    answers = [client.get(f"/{TOKEN}/") for _ in range(2)]
    policies = [answer.headers["content-security-policy"] for answer in answers]
    for answer, policy in zip(answers, policies, strict=True):
        nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
        assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"') == 1
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "//" not in answer.text.replace("https://", "//").split("<script")[0]
        assert answer.headers["cache-control"] == "no-store"
    assert policies[0] != policies[1]


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        (f"/{TOKEN}/paint", {"host": "evil.example"}, 403, "127.0.0.1 alone"),
        (f"/{TOKEN}/paint", {"host": f"evil.example:{PORT}"}, 403, "127.0.0.1 alone"),
        (f"/{TOKEN}/paint", {"origin": "http://evil.example"}, 403, "its own requests"),
        (f"/{TOKEN}/paint", {"origin": "null"}, 403, "its own requests"),
        (f"/{TOKEN}/paint", {"origin": HOME, "sec-fetch-site": "cross-site"}, 403, "another site"),
        (f"/{TOKEN}/paint", {}, 403, "Origin"),
        ("/paint", {"origin": HOME}, 403, "token"),
        (f"/{TOKEN[:-1]}/paint", {"origin": HOME}, 403, "token"),
        (f"/{TOKEN}x/paint", {"origin": HOME}, 403, "token"),
        (f"/{TOKEN}/paint", {"origin": HOME, "content-length": "-1"}, 413, "larger"),
        (f"/{TOKEN}/nothing", {"origin": HOME}, 404, "Not Found"),
    ],
)
def test_strangers_are_refused(client: TestClient, path: str, headers: dict, status: int, words: str) -> None:
    answer = client.post(path, content=IDS.tobytes(), headers=headers)
    assert answer.status_code == status
    assert words in answer.text


def test_an_upload_of_50_mb_is_refused_with_and_without_its_length(client: TestClient) -> None:
    whole = post(client, "open", b"x" * 50_000_000)
    piece = b"x" * (MOST_BYTES // 4)
    streamed = client.post(f"/{TOKEN}/open", content=(piece for _ in range(6)), headers={"origin": HOME})
    for answer in (whole, streamed):
        assert answer.status_code == 413
        assert f"{MOST_BYTES >> 20} MiB" in answer.text


def test_the_picture_is_the_models_own(client: TestClient, board: Easel) -> None:
    answer = post(client, "paint?seed=5&copy=2")
    assert answer.headers["content-type"] == "image/png"
    expected = board.paint({"map": IDS}, Wish(seed=5, copy=2))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)
    assert not np.array_equal(board.paint({"map": IDS}, Wish(seed=6, copy=2)), expected)
    assert not np.array_equal(board.paint({"map": IDS}, Wish(seed=5, copy=1)), expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_ids_saved_and_opened_are_the_ids(client: TestClient, bits: int) -> None:
    saved = post(client, f"label?bits={bits}").content
    stored = Image.open(io.BytesIO(saved))
    assert stored.mode == {8: "L", 16: "I;16"}[bits]
    assert np.array_equal(np.asarray(stored), IDS)
    assert post(client, "open", saved).content == IDS.tobytes()


def test_palette_and_colour_files_are_read_by_meaning(client: TestClient) -> None:
    colours = np.asarray(LANDSCAPE.colours, np.uint8)
    indices = png(IDS.astype(np.uint8), palette=[255 - k % 256 for k in range(768)])
    assert post(client, "open", indices).content == IDS.tobytes()
    assert post(client, "open", png(colours[IDS])).content == IDS.tobytes()


def test_a_map_of_the_same_shape_is_resized_and_said(client: TestClient) -> None:
    answer = post(client, "open", png(np.kron(IDS, np.ones((2, 2))).astype(np.uint8)))
    assert answer.content == IDS.tobytes()
    assert "resized%20from%20128x128%20to%2064x64" in answer.headers["x-notice"]


def test_another_shape_is_cut_or_stretched_where_that_is_chosen(client: TestClient) -> None:
    wide = png(np.concatenate([IDS, IDS], axis=1).astype(np.uint8))
    half = SIDE // 2
    cut = np.frombuffer(post(client, "open?fit=crop", wide).content, "<u2").reshape(SIDE, SIDE)
    assert np.array_equal(cut, np.concatenate([IDS[:, half:], IDS[:, :half]], axis=1))
    squashed = post(client, "open?fit=squash", wide)
    assert len(squashed.content) == 2 * SIDE * SIDE
    assert "stretched" in squashed.headers["x-notice"]


TOO_HIGH = IDS.copy()
TOO_HIGH[3, 4] = 29
BAD = {
    "ids outside": ("open", png(TOO_HIGH.astype(np.uint8)), ["the file", "label id 29", "29 classes"]),
    "another size": ("open", png(np.zeros((64, 100), np.uint8)), ["100x64", "64x64", "cut to fit"]),
    "strange colours": ("open", png(np.full((64, 64, 3), (1, 2, 3), np.uint8)), ["(1, 2, 3)", "nearest"]),
    "no picture": ("open", b"GIF8 no", ["unreadable", "PNG"]),
    "half a picture": ("open", png(IDS.astype(np.uint8))[:200], ["truncated"]),
    "a JPEG": ("open", b"\xff\xd8\xff\xe0 no", ["unreadable"]),
    "PostScript": ("open", b"%!PS-Adobe-3.0 EPSF-3.0\n", ["unreadable"]),
    "a bomb": ("open", png(np.zeros((5000, 5000), np.uint8)), ["5000x5000", "smaller"]),
    "empty": ("open", b"", ["unreadable"]),
    "unknown fit": ("open?fit=x", png(IDS[:, :32].astype(np.uint8)), ["fit=x", "squash"]),
    "short map": ("paint", IDS.tobytes()[:-2], ["8190 bytes", "8192"]),
    "id of no class": ("paint", TOO_HIGH.tobytes(), ["id 29", "0..28"]),
    "seed": ("paint?seed=-1", IDS.tobytes(), ["seed=", "whole number"]),
    "large seed": ("paint?seed=9007199254740992", IDS.tobytes(), ["seed 9007199254740992"]),
    "copy": ("paint?copy=4", IDS.tobytes(), ["variation 4"]),
    "bits": ("label?bits=12", IDS.tobytes(), ["12", "8 or 16"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(client: TestClient, case: str) -> None:
    what, body, words = BAD[case]
    answer = post(client, what, body)
    assert answer.status_code == 422
    assert "\n" not in answer.text
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    for word in words:
        assert word in answer.text


def test_a_stale_turn_of_one_tab_is_dropped_and_another_tabs_is_not(client: TestClient) -> None:
    assert post(client, "paint?tab=a&turn=5").status_code == 200
    assert post(client, "paint?tab=a&turn=4").status_code == 409
    assert post(client, "paint?tab=b&turn=4").status_code == 200


def test_a_browser_that_closes_while_it_sends_ends_its_request_alone(board: Easel, client: TestClient) -> None:
    """The ASGI messages of a connection that breaks in the middle of a body."""
    app = application(board, port=PORT, token=TOKEN)
    messages = iter(
        [{"type": "http.request", "body": IDS.tobytes()[:100], "more_body": True}, {"type": "http.disconnect"}]
    )
    sent = []

    async def receive() -> dict:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", f"127.0.0.1:{PORT}".encode()), (b"origin", HOME.encode()), (b"content-length", b"8192")]
    scope = {"type": "http", "method": "POST", "path": f"/{TOKEN}/paint", "root_path": "", "headers": headers,
             "query_string": b"", "http_version": "1.1", "scheme": "http"}  # fmt: skip
    asyncio.run(app(scope, receive, send))  # pyright: ignore[reportArgumentType]
    assert sent[0]["status"] == 400
    assert post(client, "paint").status_code == 200


def test_start_maps_are_of_the_runs_classes_and_size(client: TestClient) -> None:
    one, other = (np.frombuffer(client.get(f"/{TOKEN}/start?index={k}").content, "<u2") for k in (0, 1))
    assert len(one) == SIDE * SIDE
    assert one.max() < len(LANDSCAPE)
    assert not np.array_equal(one, other)
    assert client.get(f"/{TOKEN}/start?index=10000").status_code == 422


def test_the_recipe_holds_map_picture_and_command(client: TestClient) -> None:
    with zipfile.ZipFile(io.BytesIO(post(client, "recipe?seed=7&copy=1").content)) as archive:
        recipe = json.loads(archive.read("recipe.json"))
        assert np.array_equal(np.asarray(Image.open(archive.open("painting_labels/painting.png"))), IDS)
        assert archive.read("painting.png") == post(client, "paint?seed=7&copy=1").content
    assert recipe["makes"] == "painting_made/painting_1.png"
    for word in ("labels=painting_labels", "seed=7", "n_per_label=2", "batch_size=1", "lookup=false"):
        assert f" {word} " in recipe["command"]


def test_a_small_picture_has_half_the_sides() -> None:
    board = easel(opened_run(vae=False))
    assert board.halves
    assert board.paint({"map": IDS}, Wish(small=True)).shape == (SIDE // 2, SIDE // 2, 3)
    assert not easel().halves


def asked(easels: list[Easel], **parts: Any) -> TestClient:
    """A client of a page of one or two runs."""
    beside = easels[1] if len(easels) > 1 else None
    app = application(easels[0], port=PORT, token=TOKEN, beside=beside, **parts)
    return TestClient(app, base_url=HOME)  # pyright: ignore[reportArgumentType]


PHOTO = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
HOLES = np.zeros((SIDE, SIDE), "<u2")
HOLES[20:40, 10:50] = 1
KINDS = {
    "a style picture": ("gaugan", IDS.tobytes(), "style"),
    "an exemplar": ("cocosnetv1", IDS.tobytes(), "style"),
    "a hole": ("picnet", HOLES.tobytes(), "photo"),
    "a map and a hole": ("sesame_editor", IDS.tobytes() + HOLES.tobytes(), "photo"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_is_made_again_bit_for_bit_by_what_scenegen_sample_calls(kind: str, tmp_path: Path) -> None:
    model, body, purpose = KINDS[kind]
    run = opened_run(model)
    client = asked([easel(run)], reader=READER)
    key = post(client, f"keep?as={purpose}", png(PHOTO)).json()["key"]
    plain = post(client, "paint", body)
    with zipfile.ZipFile(io.BytesIO(post(client, f"recipe?seed=3&{purpose}={key}", body).content)) as archive:
        archive.extractall(tmp_path)
    command = shlex.split(json.loads((tmp_path / "recipe.json").read_text())["command"])
    words = dict(word.split("=", 1) for word in command[3:])
    labels, exemplars, pictures, masks, look = (
        str(tmp_path / words[name]) if name in words else None
        for name in ("labels", "exemplars", "pictures", "masks", "style")
    )
    style = run.style(look, fit="refuse", notice=print) if look else None
    if masks:
        data = pictures_with_masks(run, pictures, masks, labels, hole="white", most=1, fit="refuse", notice=print)
    else:
        data = run.inputs(labels=labels, exemplars=exemplars)
    made = generate(run.model, data, out=tmp_path / "made", indices=[0], seed=3, batch_size=1, style=style)
    again = np.asarray(Image.open(made[0]))
    assert np.array_equal(again, np.asarray(Image.open(tmp_path / "painting.png")))
    assert plain.status_code == (200 if kind == "a style picture" else 422)
    if purpose == "photo":
        assert np.array_equal(again[HOLES == 0], PHOTO[HOLES == 0])
    elif kind == "a style picture":
        assert not np.array_equal(again, np.asarray(Image.open(io.BytesIO(plain.content))))


def test_a_picture_is_read_and_its_map_has_the_runs_size() -> None:
    client = asked([easel()], reader=READER)
    expected = PHOTO.astype(np.float32).mean(2) // 10
    found = np.frombuffer(post(client, "read", png(PHOTO)).content, "<u2").reshape(SIDE, SIDE)
    assert np.array_equal(found, expected)
    wide = post(client, "read?fit=crop", png(np.concatenate([PHOTO, PHOTO], 1)))
    assert len(wide.content) == IDS.nbytes
    assert "cut" in wide.headers["x-notice"]


def test_two_runs_paint_one_map_each_its_own_way() -> None:
    boards = [easel(opened_run(vae=False)), easel(opened_run(vae=False, ngf=8))]
    client = asked(boards)
    assert [one["noise"] for one in client.get(f"/{TOKEN}/run").json()["runs"]] == [False, False]
    for which, board in enumerate(boards):
        shown = np.asarray(Image.open(io.BytesIO(post(client, f"paint?which={which}").content)))
        assert np.array_equal(shown, board.paint({"map": IDS}, Wish()))
    assert "no run 2" in post(client, "paint?which=2").text


@pytest.mark.parametrize(("other", "words"), [("picnet", "from hole"), ("smaller", "32x32")])
def test_a_second_run_of_other_maps_is_refused(other: str, words: str) -> None:
    second = opened_run("picnet") if other == "picnet" else opened_run(side=SIDE // 2)
    with pytest.raises(Refusal, match=words):
        asked([easel(), easel(second)])


def test_suggestions_are_training_pictures_like_the_map() -> None:
    client = asked([easel(opened_run("cocosnetv1"))], gallery=Pictures())
    map_of_7 = np.full((SIDE, SIDE), 7, "<u2").tobytes()
    first = post(client, "suggest", map_of_7).json()[0]
    assert first == {"key": "training-7", "name": "of_7", "likeness": 1.0}
    assert Image.open(io.BytesIO(client.get(f"/{TOKEN}/kept?key=training-7").content)).getpixel((0, 0)) == (56, 56, 56)
    assert post(client, "paint?style=training-7", map_of_7).status_code == 200


def test_the_gallery_ranks_training_maps_by_their_class_shares(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for k in range(4):  # k quarters of class 3, the others of class 9
        ids = np.where(np.arange(16)[:, None] < 4 * k, 3, 9).astype(np.uint8).repeat(16, 1)
        Image.fromarray(ids).save(tmp_path / "labels" / f"of_{k}.png")
        Image.fromarray(np.full((16, 16, 3), 60 * k, np.uint8)).save(tmp_path / "images" / f"of_{k}.png")
    data = {**arguments("data/folder"), "root": str(tmp_path), "classes": "landscape", "val_fraction": 0.0}
    run = replace(opened_run(), config={"size": {"height": 16, "width": 16}, "seed": 0, "data": data})
    gallery = Gallery(run)
    found = gallery.nearest(np.where(np.arange(8)[:, None] < 4, 3, 9).repeat(8, 1), count=3)
    assert [one.name for one in found] == ["of_2", "of_1", "of_3"]
    for one, share in zip(found, (0.5, 0.25, 0.75), strict=True):  # sum over the classes of sqrt(p q)
        assert one.likeness == pytest.approx((0.5 * share) ** 0.5 + (0.5 * (1 - share)) ** 0.5, abs=1e-6)
    picture, ids = gallery.picture(found[0].place)
    assert (picture.mean(), ids[0, 0]) == (120, 3)


WRONG = {
    "no exemplar": ("cocosnetv1", "paint", IDS.tobytes(), 422, "take a suggestion"),
    "no segmenter for an exemplar": ("cocosnetv1", "keep?as=style", png(PHOTO), 422, "no segmenter reads"),
    "no photograph": ("picnet", "paint", HOLES.tobytes(), 422, "no photograph yet"),
    "a hole of other numbers": ("picnet", "paint", (HOLES * 2).tobytes(), 422, "0 (given) and 1 (missing)"),
    "nothing missing": ("picnet", "recipe", (HOLES * 0).tobytes(), 422, "no hole"),
    "one layer of two": ("sesame_editor", "paint", IDS.tobytes(), 422, "map and hole"),
    "a style for a run without": ("picnet", "keep?as=style", png(PHOTO), 422, "no run of this page"),
    "a forgotten picture": ("gaugan", "paint?style=abc", IDS.tobytes(), 410, "hand it over again"),
    "a training picture of nowhere": ("gaugan", "paint?style=training-3", IDS.tobytes(), 422, "no such training"),
    "no gallery": ("gaugan", "suggest", IDS.tobytes(), 422, "not here"),
    "no reader": ("gaugan", "read", png(PHOTO), 422, "no segmenter reads this run's classes"),
    "another purpose": ("gaugan", "keep?as=x", png(PHOTO), 422, "style or photo"),
    "another layer": ("picnet", "label?layer=map", HOLES.tobytes(), 422, "no layer 'map'"),
    "a style of another shape": ("gaugan", "keep?as=style", png(PHOTO[:32]), 422, "64x32"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_run_lacks_is_said_in_one_sentence(case: str, boards: dict[str, TestClient]) -> None:
    model, what, body, status, words = WRONG[case]
    answer = post(boards[model], what, body)
    assert (answer.status_code, "\n" in answer.text) == (status, False)
    assert words in answer.text


@pytest.fixture(scope="module")
def boards() -> dict[str, TestClient]:
    """A page of each model, with nothing beside it."""
    return {model: asked([easel(opened_run(model))]) for model in ("gaugan", "cocosnetv1", "picnet", "sesame_editor")}


def test_a_mask_saved_and_opened_is_the_hole() -> None:
    client = asked([easel(opened_run("picnet"))])
    saved = post(client, "label", HOLES.tobytes()).content
    assert set(np.unique(np.asarray(Image.open(io.BytesIO(saved))))) == {0, 255}
    assert post(client, "open", saved).content == HOLES.tobytes()


def segmenter(name: str, **changes: Any) -> dict[str, Any]:
    return {"segmenter": arguments(f"segmenter/{name}", **changes)}


def test_a_segmenter_of_other_pictures_is_cautioned_of_and_one_of_other_classes_left_out_or_refused() -> None:
    notes: list[str] = []
    board = easel()
    reader = reader_of(segmenter("scenenet"), board, notice=notes.append)
    assert reader is not None
    assert reader.caution == "scenenet was not trained on photographs; start with segmenter=landscapes"
    assert reader.read(PHOTO).shape == (SIDE, SIDE)
    rendered = easel(replace(board.run, config={**board.run.config, "data": {"kind": "rendered"}}))
    assert getattr(reader_of(segmenter("scenenet"), rendered, notice=notes.append), "caution", None) == ""
    two = replace(board.run, vocabulary=Vocabulary(class_list(["sky", "sea"]), False))
    assert reader_of(segmenter("scenenet"), easel(two), notice=notes.append) is None
    assert len(notes) == 1
    assert "no mask accuracy" in notes[0]
    assert reader_of({"segmenter": None}, board, notice=notes.append) is None
    assert reader_of(segmenter("scenenet"), easel(opened_run("picnet")), notice=notes.append) is None
    with pytest.raises(Refusal, match="segmenter=given takes label maps"):
        reader_of(segmenter("given"), board, notice=notes.append)


def test_training_pictures_that_are_not_here_are_said(tmp_path: Path) -> None:
    notes: list[str] = []
    data = {**arguments("data/folder"), "root": str(tmp_path / "gone")}
    run = opened_run("cocosnetv1")
    run = replace(run, config={**run.config, "seed": 0, "data": data})
    assert gallery_of([easel(run)], notice=notes.append) is None
    assert "no suggestions of styles" in notes[0]


def test_the_shipped_run_is_painted_with_and_its_recipe_makes_it_again(tmp_path: Path) -> None:
    """It has class noise, whose draws follow from the map's name, the seed and the number of the variation."""
    assert fixed_checkpoint("landscapes", None) is None
    run = open_run("landscapes")
    board = Easel(run, checkpoint=None, device="cpu", lookup=False)
    drawn, wish = {"map": start(0, classes=board.classes, size=board.size)}, Wish(seed=5, copy=1)
    picture = board.paint(drawn, wish)
    assert picture.shape == (*board.size, 3)
    assert picture.std() > 10
    with zipfile.ZipFile(io.BytesIO(recipe_of(board, drawn, wish))) as archive:
        archive.extractall(tmp_path)
    words = shlex.split(json.loads((tmp_path / "recipe.json").read_text())["command"])
    assert {"seed=5", "n_per_label=2", "batch_size=1", "labels=painting_labels"} < set(words)
    assert not any(word.startswith("checkpoint=") for word in words)
    data = run.inputs(labels=str(tmp_path / "painting_labels"))
    made = generate(run.model, data, out=tmp_path, indices=[0], seed=5, batch_size=1, n_per_label=2)
    assert np.array_equal(np.asarray(Image.open(made[1])), picture)
    assert not np.array_equal(np.asarray(Image.open(made[0])), picture)
