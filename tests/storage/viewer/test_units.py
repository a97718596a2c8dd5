"""Numbers as people read them."""

import pytest

from storage.viewer.units import ago, compact, duration, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.65051, "0.6505"),
        (1358, "1,358"),
        (17_700, "17.7k"),
        (438_181, "438k"),
        (999_600, "1M"),
        (-2_100_000, "-2.1M"),
        (1e300, "1e+300"),
    ],
)
def test_compact(number: float, text: str) -> None:
    assert compact(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (16_677, "16.7 kB"), (107_800_000, "108 MB"), (3e15, "3,000 TB")]
)
def test_size(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.15, "150 ms"), (59.6, "60 s"), (120, "2 min"), (7200, "2 h"), (864_000, "10 days")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_ago_of_what_is_no_time_is_the_text_itself() -> None:
    assert ago("yesterday") == "yesterday"
    assert ago("2020-01-01T00:00:00+00:00").endswith("days ago")
