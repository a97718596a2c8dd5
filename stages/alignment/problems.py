"""Problems whose answers can be checked: sums of graded difficulty, or those of GSM8K and files like it.

In: `crawl`, if given, the artifact of `simulate`: its people are in the stories; `files`, if given, a file or folder of rows with question
and answer as GSM8K has them ("... #### 72"), which are asked instead of the sums, or beside them. Out: `train-00000.parquet` and `test-00000.parquet`, rows of the one schema of conversations
(stages/posttraining/conversations.py) with the columns of `world/made.py`: what the user asks, a worked answer, and in `expected` the
number. `part` is the difficulty, "1 step" to "6 steps", or the file's name without the words train and test and a shard's number:
gsm8k_train.jsonl is "gsm8k".

Sums are those of the world's conversations (stages/posttraining/world/arithmetic.py), which a model fine-tuned on these can begin to
solve: chains of +-1..9. Problems of the split `test` are among the one in eight that no conversation for training has, nor a problem of
the split `train`. Of files, those whose name holds the word "test" are the test, the others are for training; where none does, one row in eight is
kept for tests.

Source of GSM8K: Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems".
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from models.chat.conversation import USER
from stages.alignment.numbers import final_number
from stages.evaluation import facts
from stages.posttraining.conversations import CONVERSATIONS, rows_of
from stages.posttraining.files import is_readable, rows
from stages.posttraining.loaders import Loaded, load
from stages.posttraining.world.arithmetic import arithmetic
from stages.posttraining.world.made import BESIDE, Made, reserved
from stages.stage import Config, Input, Stage
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode, file_stem

TRAIN, TEST = SPLITS = ("train", "test")
_TEST = re.compile(r"(?<![a-z])test(?![a-z])")
_SPLIT = re.compile(r"[/_. -]*(?:(?<![a-z])(?:train|test)(?![a-z])|(?<![0-9])[0-9]+-of-[0-9]+)", re.IGNORECASE)
PROBLEM = "problem"
"""The kind of those of files."""
ROUNDS = 20
"""Drawn so often at most: of the shortest chains there are few that differ."""


class ProblemsConfig(Config):
    """How many problems, and how hard they are."""

    steps: tuple[int, ...] = Field((1, 2, 3, 4, 5, 6), min_length=1)
    """Lengths of the chains."""
    train: int = Field(1000, ge=0, le=10_000_000)
    """Problems of each length for training, all different."""
    test: int = Field(400, ge=0, le=10_000_000)
    """Problems of each length for tests; fewer where there are no more."""
    beside_files: bool = False
    """Sums also where files are given."""
    files: int = Field(0, ge=0)
    """Most problems that are taken from the files, of each split; 0: all."""
    seed: int = Field(0, ge=0)
    """Of every draw."""


def run(inputs: Mapping[str, Any], out: Path, config: ProblemsConfig) -> dict[str, Any]:
    """Write both files; their rows. Raises Problem where there is nothing to ask."""
    if any(not 1 <= steps <= 100 for steps in config.steps):
        raise Problem(f"steps is {list(config.steps)}; expected lengths of 1 to 100")
    people = _people(inputs["crawl"]) if "crawl" in inputs else []
    given = dict(_files(inputs["files"])) if "files" in inputs else {}
    counts = {}
    for split in SPLITS:
        sums = _sums(people, split, config) if config.beside_files or not given else []
        made = [*sums, *_read(given, split, config.files)]
        frame = _frame(made, split)
        (out / f"{split}-00000.parquet").write_bytes(encode(frame, CONVERSATIONS | BESIDE))
        counts[split] = frame.height
    if not any(counts.values()):
        raise Problem("`train` and `test` are 0 and no file holds a problem; expected some to ask")
    return counts


def _people(crawl: Input) -> list[str]:
    return list(dict.fromkeys(name for fact in facts.read(crawl) if fact.kind == "person" for name in fact.names))


def _sums(people: Sequence[str], split: str, config: ProblemsConfig) -> list[tuple[str, Made]]:
    count = config.train if split == TRAIN else config.test
    made: list[tuple[str, Made]] = []
    for steps in dict.fromkeys(config.steps):
        rng = random.Random(f"{config.seed} {split} {steps}")
        asked: dict[str, Made] = {}
        for _ in range(ROUNDS):
            for one in arithmetic(people, rng, count - len(asked), split == TEST, (steps,)):
                asked.setdefault(one.messages[0].content, one)
        made += [(f"{split}-{steps}-{number}", one) for number, one in enumerate(asked.values())]
    random.Random(f"{config.seed} {split} order").shuffle(made)
    return made


def _files(given: Input | Path) -> Iterator[tuple[str, Path]]:
    """Name -> path of every file that may hold problems."""
    if isinstance(given, Input):
        yield from ((name, given.folder / name) for name in given.names if is_readable(name))
    else:
        paths = (
            {given.name: given} if given.is_file() else {path.relative_to(given).as_posix(): path for path in given.rglob("*")}
        )
        yield from ((name, path) for name, path in sorted(paths.items()) if path.is_file() and is_readable(name))


def _read(given: Mapping[str, Path], split: str, most: int) -> list[tuple[str, Made]]:
    tests = {name for name in given if _TEST.search(name.lower())}
    made: list[tuple[str, Made]] = []
    for name, path in given.items():
        if tests and (name in tests) != (split == TEST):
            continue
        for number, row in enumerate(rows(path)):
            if most and len(made) >= most:
                break
            one = _problem(
                load(_worded(row)), _SPLIT.sub("", file_stem(name)).strip("/_. -") or "problems", f"row {number + 1} of {path}"
            )
            if tests or reserved("problem", one.messages[-2].content) == (split == TEST):
                made.append((digest([name, number], 12), one))
    return made


def _worded(row: Any) -> Any:
    """With numbers as texts: an answer may be one."""
    if not isinstance(row, Mapping):
        return row
    return {
        name: str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in row.items()
    }


def _problem(row: Loaded, part: str, where: str) -> Made:
    """Raises Problem where there is no number to compare with."""
    messages = row.messages
    if not messages:
        raise Problem(f"{where} cannot be read: {row.detail}")
    expected = final_number(messages[-1].content) if len(messages) > 1 and messages[-2].role == USER else None
    if expected is None:
        raise Problem(
            f"{where} has no number that an answer could be checked by; expected question and answer, which ends as in '#### 72'"
        )
    return Made(tuple(messages), PROBLEM, part, expected)


def _frame(made: Sequence[tuple[str, Made]], split: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [identity for identity, _ in made],
            "messages": [rows_of(one.messages) for _, one in made],
            "source": [one.part if one.kind == PROBLEM else "problems" for _, one in made],
            "split": [split] * len(made),
            **{name: [getattr(one, name) for _, one in made] for name in BESIDE},
        },
        schema=CONVERSATIONS | BESIDE,
    )


PROBLEMS = Stage(name="problems", version=3, run=run, config=ProblemsConfig, adds=CONVERSATIONS | BESIDE, shape="whole")
