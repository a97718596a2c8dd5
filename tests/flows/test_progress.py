"""What a whole stage says of itself reaches whoever runs it, line by line."""

import json
from pathlib import Path

from flows.progress import FILE, listening


def test_lines_are_told_in_order_and_those_of_an_earlier_attempt_are_not(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text(json.dumps({"done": 1}) + "\n")
    told: list[dict[str, int]] = []
    with listening(tmp_path, told.append), path.open("a") as file:
        for number in range(2, 5):
            file.write(json.dumps({"done": number}) + "\n")
            file.flush()
    assert told == [{"done": 2}, {"done": 3}, {"done": 4}]


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    told: list[dict[str, int]] = []
    with listening(tmp_path, told.append), (tmp_path / FILE).open("a") as file:
        file.write('{"done": 7')
        file.flush()
        file.write("}\n")
    assert told == [{"done": 7}]


def test_a_stage_that_says_nothing_is_fine(tmp_path: Path) -> None:
    told: list[dict[str, int]] = []
    with listening(tmp_path / "not there yet", told.append):
        pass
    assert told == []
