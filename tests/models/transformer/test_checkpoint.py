"""A checkpoint is whole or it is not loaded."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from models.transformer.checkpoint import Checkpoints, described
from models.unusable import Unusable


def at(folder: Path, **given: Any) -> Checkpoints:
    return Checkpoints(folder, given.pop("identity", {"shape": "small"}), **given)


def content(step: int) -> dict[str, Any]:
    return {"model": {"weight": torch.full((100, 10), float(step))}, "rows": {"names": ["loss"], "values": torch.zeros(1, 1)}}


def loaded(checkpoints: Checkpoints) -> tuple[int | None, list[str]]:
    said: list[str] = []
    found = checkpoints.load(said.append)
    if found is not None:
        assert torch.equal(found["model"]["weight"], content(found["step"])["model"]["weight"])
    return None if found is None else found["step"], said


def test_the_newest_is_loaded_and_the_last_few_are_kept(tmp_path: Path) -> None:
    checkpoints = at(tmp_path / "there", keep=2)
    assert loaded(checkpoints) == (None, [])
    assert described(checkpoints.newest()) == "no checkpoint: none was written yet"
    for step in (5, 40, 300):
        path = checkpoints.save(step, content(step))
        assert described(checkpoints.newest()) == f"{path} (step {step})"
    assert loaded(checkpoints) == (300, [])
    assert [int(path.name[5:14]) for path in checkpoints.files()] == [300, 40]
    assert len(list((tmp_path / "there").iterdir())) == 2


def test_one_that_is_written_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    checkpoints = at(tmp_path)
    checkpoints.save(2, content(2))
    for extra in range(4):
        last = checkpoints.save(3, content(3) | {"extra": extra})
    assert [int(path.name[5:14]) for path in checkpoints.files()] == [3, 2]
    assert checkpoints.newest() == last


@pytest.mark.parametrize("damage", ["cut", "emptied", "altered", "longer"])
def test_a_damaged_one_is_never_loaded_but_the_one_before_it(tmp_path: Path, damage: str) -> None:
    checkpoints = at(tmp_path)
    checkpoints.save(1, content(1))
    path = checkpoints.save(2, content(2))
    data = bytearray(path.read_bytes())
    if damage == "altered":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut": data[: len(data) // 2], "emptied": b"", "altered": data, "longer": data + b"x"}[damage])
    step, said = loaded(checkpoints)
    assert step == 1
    assert said == [f"{path.name} is damaged: its content is not that of its name. It is removed, the one before it is taken"]
    assert not path.exists()


@pytest.mark.parametrize("length", range(0, 12000, 997))
def test_wherever_a_lone_checkpoint_is_cut_training_begins_anew(tmp_path: Path, length: int) -> None:
    path = at(tmp_path).save(1, content(1))
    assert len(path.read_bytes()) > length or length > 4000
    path.write_bytes(path.read_bytes()[:length][: len(path.read_bytes()) - 1])
    assert loaded(at(tmp_path))[0] is None


def test_what_a_killed_process_left_half_written_is_swept_away(tmp_path: Path) -> None:
    checkpoints = at(tmp_path)
    checkpoints.save(1, content(1))
    (tmp_path / ".partial-123").write_bytes(b"half")
    assert loaded(checkpoints) == (1, [])
    assert not (tmp_path / ".partial-123").exists()


def test_a_checkpoint_of_another_training_is_named(tmp_path: Path) -> None:
    at(tmp_path, identity={"shape": "small", "data": "abc"}).save(1, content(1))
    with pytest.raises(
        Unusable, match=r"another training: shape small, expected large; data abc, expected def\. Remove .* to begin anew"
    ):
        loaded(at(tmp_path, identity={"shape": "large", "data": "def"}))
    with pytest.raises(Unusable, match="seed unknown, expected 1"):
        loaded(at(tmp_path, identity={"shape": "small", "data": "abc", "seed": "1"}))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


def test_a_checkpoint_cannot_carry_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints = at(tmp_path)
    checkpoints.save(1, {"model": Evil()})
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        checkpoints.load(lambda text: None)
    assert not (tmp_path / "evil").exists()


def test_a_full_disk_is_said_and_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = at(tmp_path)
    checkpoints.save(1, content(1))

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unusable, match=r"No space left on device; expected room for 3 of them.*goes on from .*\(step 1\)"):
        checkpoints.save(2, content(2))
    monkeypatch.undo()
    assert loaded(checkpoints) == (1, [])
    assert len(list(tmp_path.iterdir())) == 1
