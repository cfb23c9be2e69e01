"""Phantoms against closed forms, and slices of more than 8 bits in files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.base.records import Refusal
from scenegen.data.doctor import examine
from scenegen.data.fingerprint import fingerprint
from scenegen.data.inspection import require_sound, scan
from scenegen.data.levels import read_dicom, read_units
from scenegen.data.own_slices import own_slices
from scenegen.data.phantoms import FIELD, WATER, Scanner
from scenegen.data.samples import collate
from scenegen.data.slices import Slices
from tests.options import replaced

DEPTH = Depth(low=-1024, high=3072, slope=1, intercept=-1024, shown_low=-160, shown_high=240)
SIZE = {"height": 32, "width": 32}


def disc(radius: float, units: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return np.array([[x, y, radius, radius, 0.0, units]])


def test_the_longest_chord_of_a_disc_is_its_diameter() -> None:
    scanner = Scanner(views=8, photons=1, size=65)
    sinogram = scanner.sinogram(disc(0.5, 1000.0))
    assert sinogram.max(1) == pytest.approx(np.full(8, WATER * FIELD / 2), rel=2e-4)
    area = sinogram.sum(1) * FIELD / sinogram.shape[1] / WATER
    assert area == pytest.approx(np.full(8, np.pi * (FIELD / 4) ** 2), rel=4e-3)


def test_back_projection_returns_the_discs_units_and_place() -> None:
    scanner = Scanner(views=90, photons=1, size=64)
    found = scanner.reconstruct(scanner.sinogram(disc(0.3, 1060.0, x=0.4, y=0.25)))
    column, row = round(32 + 32 * 0.4), round(32 - 32 * 0.25)  # y points up
    assert found[row - 3 : row + 3, column - 3 : column + 3].mean() == pytest.approx(60, abs=3)
    assert found[44:48, 18:22].mean() == pytest.approx(-1000, abs=10)


def test_a_ray_s_noise_is_poissons() -> None:
    """The deviation of -log(N / N0) is 1 / sqrt(expected photons), to first order."""
    scanner = Scanner(views=8, photons=1e4, size=8)
    thick = np.full((400, 50), 1.5)
    found = scanner.noisy(thick, np.random.default_rng(0))
    assert found.mean() == pytest.approx(1.5, abs=2e-3)
    assert found.std() == pytest.approx(np.exp(0.75) / 100, rel=0.02)
    four = Scanner(views=8, photons=4e4, size=8).noisy(thick, np.random.default_rng(1))
    assert four.std() == pytest.approx(found.std() / 2, rel=0.03), "four times the photons halve the noise"


def phantoms(**changes) -> Slices:
    return replaced("data/phantoms", split="train", count=3, test_count=2, side=48, views=24, **SIZE, **changes)


def test_a_patch_is_one_place_and_one_mirroring_of_both_twins() -> None:
    data, whole = phantoms(flip=1.0), phantoms().still()
    slice_ = whole[(0, 1)]
    assert slice_.image is not None
    assert slice_.source is not None
    for epoch in range(2):
        sample = data[(epoch, 1)]
        assert sample.image is not None
        assert sample.source is not None
        fits = [
            (dy, dx)
            for dy in range(17)
            for dx in range(17)
            if torch.equal(slice_.image[:, dy : dy + 32, dx : dx + 32].flip(2), sample.image)
        ]
        assert len(fits) == 1
        ((dy, dx),) = fits
        assert torch.equal(slice_.source[:, dy : dy + 32, dx : dx + 32].flip(2), sample.source)
    one, two = (collate([data[(epoch, 1)]]).require("image") for epoch in (0, 1))
    assert not torch.equal(one, two), "another epoch cuts another place"


def test_phantoms_are_numbers_that_no_order_changes() -> None:
    a, b = phantoms(), phantoms(cache_mib=0)
    batch = collate([a[(0, 0)], a[(0, 1)]])
    assert torch.equal(batch.require("source"), collate([b[(0, 0)], b[(0, 1)]]).require("source"))
    assert batch.depth == DEPTH
    assert batch.require("source").shape == (2, 1, 32, 32)
    assert float(batch.require("source").min()) >= -1
    test = replaced("data/phantoms", split="test", count=3, test_count=2, side=48, views=24, **SIZE)
    assert not set(test.names) & set(a.names)


def test_levels_go_through_files_and_pictures_unchanged(tmp_path: Path) -> None:
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for name in ("a.png", "a.tif"):
        Image.fromarray(levels).save(tmp_path / name)
        units = read_units(tmp_path / name, depth=DEPTH)
        assert np.array_equal(units, levels.astype(np.float32) - 1024)
        assert np.array_equal(DEPTH.levels(DEPTH.picture(units)), levels)


def write_pairs(root: Path, *names: str, size: tuple[int, int] = (40, 40)) -> None:
    for kind in ("noisy", "clean"):
        for k, name in enumerate(names):
            path = root / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full(size, 1000 + 10 * k, np.uint16)).save(path)


def slices(root: Path, *, split: str = "train", **changes) -> Slices:
    return replaced("data/slices", split=split, root=str(root), **SIZE, **changes)


@pytest.mark.parametrize("join", ["/", "_"])
def test_no_patient_is_on_both_sides(join: str, tmp_path: Path) -> None:
    write_pairs(tmp_path, *(f"L{p:03}{join}{k}" for p in range(5) for k in range(3)))
    train, test = (slices(tmp_path, split=split, val_fraction=0.4) for split in ("train", "test"))
    patients = [{name.split("_")[0] for name in data.names} for data in (train, test)]
    assert not patients[0] & patients[1]
    assert [len(p) for p in patients] == [3, 2]
    assert collate([train[(0, 0)]]).require("image").shape == (1, 1, 32, 32)
    assert collate([test[(0, 0)]]).require("image").shape == (1, 1, 40, 40), "test slices come whole"


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        (("L1_0", "L1_1"), {}, "all slices are of one patient (L1), who cannot be split"),
        (("L1_0", "L2_0"), {"patient": "["}, "data.patient=[ is no regular expression"),
        (("L1_0", "L2_0"), {"patient": "X"}, "data.patient=X finds no patient in L1_0"),
        (("L1_0", "L2_0"), {"noisy": "x"}, "give one or the other"),
    ],
)
def test_folders_that_do_not_split_are_one_sentence(
    names: tuple[str, ...], changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path, *names)
    with pytest.raises(Refusal, match=re.escape(said)):
        slices(tmp_path, **changes)


def test_slices_without_a_twin_are_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, "L1_0", "L2_0")
    (tmp_path / "clean" / "L2_0.png").unlink()
    with pytest.raises(Refusal, match="1 slices have no twin: L2_0; give each noisy slice a clean one"):
        slices(tmp_path)


@pytest.mark.parametrize(
    ("mode", "said"), [("L", "8 bits a pixel, where slices have 12 or more"), ("RGB", "a colour picture (RGB)")]
)
def test_pictures_of_another_kind_are_refused(mode: str, said: str, tmp_path: Path) -> None:
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(Refusal, match=re.escape(said)):
        read_units(tmp_path / "a.png", depth=DEPTH)


def test_a_file_of_several_slices_is_refused(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 8), level, np.uint16)) for level in (7, 8))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(Refusal, match="several pages in one file"):
        read_units(tmp_path / "a.tif", depth=DEPTH)


def dicom(path: Path, **changes) -> None:
    """A CT slice with slope 2 and intercept -1000, by pydicom itself."""
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = changes.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
    content = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    content.Rows, content.Columns, content.SamplesPerPixel, content.PhotometricInterpretation = 2, 3, 1, "MONOCHROME2"
    content.BitsAllocated, content.BitsStored, content.HighBit, content.PixelRepresentation = 16, 12, 11, 0
    content.RescaleSlope, content.RescaleIntercept, content.PixelSpacing = 2, -1000, [0.7, 0.7]
    content.PixelData = np.arange(6, dtype="<u2").tobytes()
    if meta.TransferSyntaxUID != pydicom.uid.ExplicitVRLittleEndian:
        content.PixelData = pydicom.encaps.encapsulate([content.PixelData])
    for name, value in changes.items():
        delattr(content, name) if value is None else setattr(content, name, value)
    content.save_as(path, enforce_file_format=True)


def test_dicom_says_its_own_units(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm")
    found = read_units(tmp_path / "a.dcm", depth=DEPTH)
    assert np.array_equal(found, np.arange(6, dtype=np.float32).reshape(2, 3) * 2 - 1000)


@pytest.fixture(scope="module")
def published() -> Path:
    """DICOM files of real scanners, which pydicom's wheel holds."""
    data = pytest.importorskip("pydicom.data")
    return Path(data.__file__).parent / "test_files"


@pytest.mark.parametrize("name", ["CT_small.dcm", "dicomdirtests/77654033/CT2/17106", "693_J2KI.dcm"])
def test_slices_of_real_scanners_are_in_hounsfield_units(published: Path, name: str) -> None:
    """As pydicom's own modality transform has them; the last is compressed by JPEG 2000, which Pillow reads."""
    pydicom = pytest.importorskip("pydicom")
    content = pydicom.dcmread(published / name)
    expected = pydicom.pixels.apply_modality_lut(content.pixel_array, content)
    np.testing.assert_array_equal(read_dicom(published / name), expected.astype(np.float32))
    assert -1100 < np.median(expected) < 200, "air to soft tissue"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MR_small.dcm", "of modality MR, whose numbers are no Hounsfield units"),
        ("rtdose_1frame.dcm", "of modality RTDOSE"),
        ("SC_rgb_rle.dcm", r"a colour picture \(RGB\), where slices have one channel"),
        ("examples_palette.dcm", r"a colour picture \(PALETTE COLOR\)"),
        ("JPEGLSNearLossless_08.dcm", "8 bits a pixel, where slices have 12 or more"),
        ("JPEGLSNearLossless_16.dcm", "without pixel spacing"),
        ("no_meta.dcm", "its header of 132 bytes is missing"),
        ("dicomdirtests/DICOMDIR", "without pixels; remove it"),
    ],
)
def test_files_of_real_scanners_that_are_no_ct_slices_are_one_sentence(published: Path, name: str, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refusal:
        read_dicom(published / name)
    assert str(refusal.value).startswith(str(published / name))
    assert "\n" not in str(refusal.value)


def test_a_real_slice_that_is_cut_short_is_copied_again_and_not_decompressed(published: Path, tmp_path: Path) -> None:
    whole = (published / "CT_small.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[:-5000])
    with pytest.raises(Refusal, match=r"its pixels cannot be read \(.*\); copy it again or remove it"):
        read_dicom(tmp_path / "a.dcm")


def test_dicom_that_cannot_be_used_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.dcm"
    dicom(file, PixelSpacing=None)
    with pytest.raises(Refusal, match="without pixel spacing, which is no slice of a scan"):
        read_units(file, depth=DEPTH)
    for changes, said in (
        ({"PixelSpacing": ""}, "without pixel spacing"),
        ({"RescaleIntercept": None}, "says no RescaleIntercept, so that its Hounsfield units are unknown"),
        ({"RescaleSlope": 0}, "its RescaleSlope is 0"),
        ({"RescaleType": "US"}, "of RescaleType US and no Hounsfield units"),
    ):
        dicom(file, **changes)
        with pytest.raises(Refusal, match=said):
            read_units(file, depth=DEPTH)
    dicom(file, PixelData=None)
    with pytest.raises(Refusal, match="without pixels; remove it"):
        read_units(file, depth=DEPTH)
    dicom(file, syntax="1.2.840.10008.1.2.4.90")  # JPEG 2000, whose pixels are none
    with pytest.raises(Refusal, match=r"its pixels cannot be read \(.*\); decompress it first"):
        read_units(file, depth=DEPTH)
    file.write_bytes(b"no DICOM")
    with pytest.raises(Refusal, match="no readable DICOM file"):
        read_units(file, depth=DEPTH)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(Refusal, match=r"pip install 'scenegen-landscapes\[dicom\]', or export 16-bit"):
        read_units(file, depth=DEPTH)


def faults_of(root: Path, split: str = "train") -> list[str]:
    """What require_sound would say of each file."""
    return [str(fault) for fault in scan(slices(root, split=split, val_fraction=0.0))]


def save(path: Path, levels: np.ndarray) -> None:
    Image.fromarray(levels).save(path)


def test_the_scan_names_every_slice_that_cannot_be_meant(tmp_path: Path) -> None:
    write_pairs(tmp_path, *(f"L{p}_0" for p in range(5)))
    assert faults_of(tmp_path) == []
    save(tmp_path / "noisy" / "L0_0.png", np.full((40, 40), 7, np.uint8))
    save(tmp_path / "clean" / "L1_0.png", np.full((40, 40), 60000, np.uint16))
    save(tmp_path / "noisy" / "L2_0.png", np.full((40, 40), 3000, np.uint16))
    save(tmp_path / "noisy" / "L3_0.png", np.full((48, 40), 1000, np.uint16))
    said = "\n".join(faults_of(tmp_path))
    for words in ("noisy/L0_0.png: 8 bits a pixel", "clean/L1_0.png: more than half of it lies outside the window",
                  "L2_0.png: its mean is more than 100 HU away from its clean twin's",
                  "L3_0.png: 40x48, but its clean twin is 40x40"):  # fmt: skip
        assert words in said
    assert len(said.splitlines()) == 4
    with pytest.raises(Refusal, match="4 files cannot be used"):
        require_sound(slices(tmp_path, val_fraction=0.0))
    report = examine({"train": slices(tmp_path, val_fraction=0.0)})
    assert not report.sound
    assert len(report.faults) == 4


def test_whole_slices_have_one_size(tmp_path: Path) -> None:
    write_pairs(tmp_path, "L0_0", "L1_0")
    write_pairs(tmp_path, "L2_0", size=(48, 48))
    assert [fault.stops for fault in scan(slices(tmp_path, split="train", val_fraction=0.0))] == [False]
    assert [fault.stops for fault in scan(slices(tmp_path, split="test", val_fraction=0.0))] == [True]


def test_a_fingerprint_follows_the_slices_content(tmp_path: Path) -> None:
    write_pairs(tmp_path, "L0_0", "L1_0")
    before = fingerprint(slices(tmp_path, val_fraction=0.0))
    save(tmp_path / "clean" / "L1_0.png", np.full((40, 40), 1001, np.uint16))
    assert fingerprint(slices(tmp_path, val_fraction=0.0)) != before


def test_own_slices_are_read_before_the_first_is_denoised(tmp_path: Path) -> None:
    save(tmp_path / "b.tif", np.full((24, 20), 1024, np.uint16))
    found = own_slices(str(tmp_path), depth=DEPTH)
    sample = found[(0, 0)]
    assert (sample.name, sample.image) == ("b", None)
    assert sample.source is not None
    assert sample.source.shape == (1, 24, 20)
    Image.new("RGB", (8, 8)).save(tmp_path / "c.png")
    with pytest.raises(Refusal, match=r"1 slices cannot be used(.|\n)*c\.png: a colour picture"):
        own_slices(str(tmp_path), depth=DEPTH)
