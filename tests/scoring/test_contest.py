"""Contest totals, against the published rows of the log and the contests' rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenegen.base.records import Refusal
from scenegen.scoring.contest import Jittor2022, jittor2022, jittor2023, recompute
from tests.options import built

# Rows of the log's online tables (team daVinci, 2022): mask_acc, aesthetic, FID, total.
PUBLISHED = {
    "gauganv1_s512+esrgan_x2": (0.8808, 4.9649, 47.3168, 0.4507),
    "gauganv1_s256+esrgan_x2": (0.8718, 5.0146, 52.2234, 0.4268),
    "gauganv1_s256_vae+esrgan_x2": (0.8714, 5.0663, 42.69, 0.4704),
    "gauganv1_s512+cycleGAN_ep180 (cut off, not rounded)": (0.8833, 4.9263, 41.567, 0.4757),
    "gauganv1_s256_vae+esrgan_x2+distsloss": (0.899, 5.1087, 29.8064, 0.5452),
    "sasame_s256 + esrgan_x2 + cxloss_w10 + dists_w12.5": (0.9318, 5.0687, 32.8758, 0.5489),
    "cocosnetv1_s256_trainIOU_testIOU+esrgan_x2 (jpg)": (0.8776, 4.7023, 42.4705, 0.4588),
    "cocosnetv1_s256_trainIOU_testIOU+esrgan_x2 (png)": (0.8852, 5.247, 31.7785, 0.5342),
    "cocosnetv2_s512_ep60+IOU": (0.9124, 5.3079, 29.9293, 0.5618),
    "unite_s256_cxloss0.5+dists_w12.5": (0.9084, 5.2136, 28.2823, 0.5626),
}


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_rows(row):
    mask_acc, aesthetic, fid, total = PUBLISHED[row]
    assert jittor2022(mask_acc=mask_acc, aesthetic=aesthetic, fid=fid) == pytest.approx(total, abs=1e-4)


@pytest.mark.shared
def test_all_62_online_rows(shared):
    """Every online row of the log to 1e-4 (DESIGN section 7)."""
    rows = recompute(shared / "ledger" / "online.csv", Jittor2022())
    assert len(rows) == 62
    assert [row.name for row in rows if not row.agrees] == []


def test_sensitivities_of_the_log():
    """field.md 1.1, at the log's best row: +1 FID -0.0045, +0.1 aesthetic +0.0045, +0.01 mask_acc +0.0062."""
    best = {"mask_acc": 0.9084, "aesthetic": 5.2136, "fid": 28.2823}
    total = jittor2022(**best)
    assert jittor2022(**(best | {"fid": 29.2823})) - total == pytest.approx(-0.0045, abs=1e-4)
    assert jittor2022(**(best | {"aesthetic": 5.3136})) - total == pytest.approx(0.0045, abs=1e-4)
    assert jittor2022(**(best | {"mask_acc": 0.9184})) - total == pytest.approx(0.0062, abs=1e-4)


def test_ends_of_the_scales():
    """From the rules: perfect is 1, FID beyond 100 counts as 100, no mask accuracy leaves nothing."""
    assert jittor2022(mask_acc=1, aesthetic=10, fid=0) == 1
    assert jittor2022(mask_acc=1, aesthetic=0, fid=100) == jittor2022(mask_acc=1, aesthetic=0, fid=453.2) == 0
    assert jittor2022(mask_acc=0, aesthetic=10, fid=0) == 0
    assert jittor2023(mask_acc=1, aesthetic=1, hist_corr=1, fid=0) == pytest.approx(1)
    assert jittor2023(mask_acc=1, aesthetic=0, hist_corr=-1, fid=100) == 0


def test_weights_of_2023():
    """field.md 1.2: 20 % aesthetic, 30 % style mapped from -1..1 to 0..1, 50 % FID."""
    none = {"mask_acc": 1.0, "aesthetic": 0.0, "hist_corr": -1.0, "fid": 100.0}
    assert jittor2023(**(none | {"aesthetic": 1.0})) == pytest.approx(0.2)
    assert jittor2023(**(none | {"hist_corr": 0.0})) == pytest.approx(0.15)
    assert jittor2023(**(none | {"fid": 50.0})) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"mask_acc": 1.01}, "mask_acc=1.01"),
        ({"mask_acc": 88.08}, "0..1"),
        ({"aesthetic": 10.5}, "0..10"),
        ({"fid": -0.1}, "0 or more"),
        ({"fid": float("nan")}, "fid=nan"),
        ({"fid": float("inf")}, "fid=inf"),
    ],
)
def test_out_of_range_is_refused(parts, says):
    with pytest.raises(Refusal) as error:
        jittor2022(**({"mask_acc": 0.9, "aesthetic": 5.0, "fid": 30.0} | parts))
    assert says in str(error.value)


def test_2023_refuses_the_aesthetic_scale_of_2022():
    with pytest.raises(Refusal, match=r"aesthetic=5.2 .* 0..1"):
        jittor2023(mask_acc=0.9, aesthetic=5.2, hist_corr=0.5, fid=30)


def write(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


def test_recompute_tells_the_row_that_differs(tmp_path):
    text = "row,mask_acc,aesthetic,fid,total\na,0.8808,4.9649,47.3168,0.4507\nb,0.8808,4.9649,47.3168,0.4509\n"
    rows = recompute(write(tmp_path, text), Jittor2022())
    assert [row.agrees for row in rows] == [True, False]
    assert rows[1].difference == pytest.approx(-0.0002, abs=5e-5)


def test_recompute_2023_and_rows_without_names(tmp_path):
    text = "mask_acc,aesthetic,hist_corr,fid,total\n0.9,0.5,0.6,30,0.621\n"
    (row,) = recompute(write(tmp_path, text), built("scorer/jittor2023"))
    assert (row.name, row.agrees) == ("line 2", True)  # 0.9 * (0.1 + 0.24 + 0.35) on paper


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,mask_acc,aesthetic,total\n", "no column fid"),
        ("row,mask_acc,aesthetic,fid,total\n", "no rows"),
        ("", "its columns: none"),
        ("mask_acc,aesthetic,fid,total\n0.9,5,30,\n0.9,x,30,0.5\n2,5,30,0.5\n", "3 unusable rows"),
        ("mask_acc,aesthetic,fid,total\n0.9,5,nan,0.5\n", "line 2: fid=nan"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, text, says):
    with pytest.raises(Refusal) as error:
        recompute(write(tmp_path, text), Jittor2022())
    assert says in str(error.value)


def test_no_such_table(tmp_path):
    with pytest.raises(Refusal, match=r"none\.csv cannot be read"):
        recompute(tmp_path / "none.csv", Jittor2022())
