"""The viewer where others can reach it: `python -m flows.viewer STORE HOST:PORT`, with a token or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("listen", "token", "said"),
    [
        ("0.0.0.0:4280", {}, "WINNOW_VIEWER_TOKEN"),
        ("[::]:4280", {}, "WINNOW_VIEWER_TOKEN"),
        ("0.0.0.0:4280", {"WINNOW_VIEWER_TOKEN": ""}, "the token is empty"),
        ("0.0.0.0:", {"WINNOW_VIEWER_TOKEN": "secret"}, "[HOST:]PORT"),
    ],
)
def test_it_does_not_start_open_to_everybody(listen: str, token: dict[str, str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.viewer", str(tmp_path), listen]
    done = subprocess.run(command, env=os.environ | token, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr
