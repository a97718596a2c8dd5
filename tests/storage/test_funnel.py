"""The funnel's rule: every stage that could drop something, and the corpus."""

import pytest

from storage.funnel import in_funnel
from storage.shards import File
from storage.snapshot import Snapshot


@pytest.mark.parametrize(
    ("stage", "reasons", "inside"),
    [
        ("c4", [{"short": 2}, {}], True),
        ("c4", [{}], True),
        ("c4", [None], False),
        ("corpus", [None], True),
        ("corpus", [], True),
        ("report", [], False),
    ],
)
def test_a_stage_that_can_drop_rows_is_in_the_funnel(stage: str, reasons: list[dict[str, int] | None], inside: bool) -> None:
    files = [File(f"{n}.parquet", 1, f"{n:064}", 3, f"o{n}", one) for n, one in enumerate(reasons)]
    assert in_funnel(Snapshot.of(stage, "0123456789ab", files)) is inside
