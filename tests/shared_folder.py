"""Parity fixtures and real pictures, which are not part of the release: in $SCENEGEN_SHARED, or beside the clone."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("SCENEGEN_SHARED", Path(__file__).resolve().parents[2] / "shared"))
HERE = (SHARED / "fixtures").is_dir()
REASON = "needs ../shared (parity fixtures and real pictures), which is not part of the release"
