"""The small tokenizer of the tests of fine-tuning; a tiny policy with it, and problems that it can be asked."""

from pathlib import Path

import pytest

from stages.alignment.problems import PROBLEMS, ProblemsConfig
from stages.stage import Input
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.conftest import tokenizer, vocabulary_folder

__all__ = ["tokenizer", "vocabulary_folder"]


@pytest.fixture(scope="session")
def policy(vocabulary_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Input:
    """With random weights: it answers anything."""
    return sft_worlds.model(tmp_path_factory.mktemp("policy") / "model", sft_worlds.listed(vocabulary_folder))


@pytest.fixture(scope="session")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Input:
    folder: Path = tmp_path_factory.mktemp("problems")
    PROBLEMS.run({}, folder, ProblemsConfig(steps=(1, 2), train=40, test=6))
    return sft_worlds.listed(folder)
