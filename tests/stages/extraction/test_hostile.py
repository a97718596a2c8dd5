import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages.extraction.hostile import PAGES, check, fuzz

ROOT = Path(__file__).parents[3]


def test_no_page_raises_anything_and_its_arrays_hold_together() -> None:
    fuzz(80)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_cut_anywhere_holds_together(page: str) -> None:
    for end in range(len(page)):
        check(page[:end])


@pytest.mark.parametrize(
    "unit",
    ["<div>", "<b>x", "<ul><li>x", "<table><tr><td>x", "<blockquote>x", "<svg>", "<form><div>x</form>", "<a>x<div>", "<pre>x"],
)
def test_deeply_nested_pages_hold_together(unit: str) -> None:
    check(unit * 2_000 + "</div></td></li></b>x" * 2_000)


@pytest.mark.slow
def test_nothing_is_read_or_written_outside_of_an_array(tmp_path: Path) -> None:
    surroundings = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.stages.extraction.hostile", "1500"]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
