"""A student comes nearer to its teacher: by what the teacher expects, over conversations and over text, and by what it answers."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.chat.conversation import Message
from models.formats.pretrained import load_model
from stages.posttraining.conversations import CONVERSATIONS, messages_of
from stages.posttraining.distill import DISTILL, DistillConfig
from stages.posttraining.sft import SFT, SftConfig
from stages.posttraining.teacher_answers import TEACHER_ANSWERS, TeacherAnswersConfig
from stages.stage import REASON, Input
from storage.problem import Problem
from storage.shards import encode
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.conftest import SYSTEM, frame

COMPUTE = {"threads": "1", "checkpoint_seconds": "0"}
STUDENT = {"width": 16, "layers": 1, "heads": 2, "kv_heads": 1, "head_width": 8, "hidden": 32}
FAST: dict[str, Any] = {"rows": 4, "matrix_rate": 0.02, "rate": 0.01, "embedding_rate": 0.01, "prompts": (), "dtype": "fp32"}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Input:
    return sft_worlds.tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def rows(vocabulary: Input, tmp_path_factory: pytest.TempPathFactory) -> Input:
    return sft_worlds.chats(tmp_path_factory.mktemp("rows") / "made", vocabulary)


@pytest.fixture(scope="module")
def teacher(vocabulary: Input, rows: Input, tmp_path_factory: pytest.TempPathFactory) -> Input:
    """A model that answers."""
    folder = tmp_path_factory.mktemp("teacher")
    base = sft_worlds.model(folder / "base", vocabulary)
    (folder / "out").mkdir()
    SFT.run({"rows": rows, "model": base, "compute": COMPUTE}, folder / "out", SftConfig(steps=60, **FAST))
    made = sft_worlds.listed(folder / "out")
    return Input(made.folder, tuple(name for name in made.names if not name.startswith(".")))


def distilled(out: Path, inputs: dict[str, Input], **settings: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    out.mkdir()
    figures = DISTILL.run({**inputs, "compute": COMPUTE}, out, DistillConfig(**(FAST | settings)))
    return figures, pl.read_parquet(out / "metrics.parquet")


def test_a_smaller_student_comes_nearer_to_its_teacher(rows: Input, teacher: Input, tmp_path: Path) -> None:
    figures, metrics = distilled(tmp_path / "out", {"rows": rows, "teacher": teacher}, steps=40, shape=STUDENT)
    apart = metrics["validation_divergence"].drop_nulls().to_list()
    assert figures["validation_divergence"] == apart[-1] < 0.5 * apart[0]
    assert metrics["agreement"][40] > metrics["agreement"][0]
    assert metrics["divergence"][40] < 0.5 * metrics["divergence"][1]
    assert load_model(tmp_path / "out").shape.width == 16
    assert (tmp_path / "out" / "chat_template.jinja").exists()


@pytest.mark.slow
def test_text_teaches_too_and_a_copy_of_the_teacher_has_nothing_to_learn(
    vocabulary: Input, teacher: Input, tmp_path: Path
) -> None:
    texts = sft_worlds.texts(tmp_path / "texts", vocabulary)
    _, metrics = distilled(tmp_path / "out", {"rows": texts, "teacher": teacher}, steps=40, shape=STUDENT)
    assert metrics["validation_divergence"][40] < 0.7 * metrics["validation_divergence"][0]
    _, same = distilled(tmp_path / "same", {"rows": texts, "teacher": teacher, "model": teacher}, steps=1, share=1.0)
    assert same["validation_divergence"][0] == pytest.approx(0, abs=1e-5)
    assert same["agreement"][0] == 1
    assert same["divergence"][1] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_a_student_with_another_tokenizer_or_a_shape_of_its_own_beside_is_refused(
    rows: Input, teacher: Input, vocabulary: Input, tmp_path: Path
) -> None:
    from models.tokenizer import bytelevel
    from models.tokenizer.load import made

    (tmp_path / "other").mkdir()
    made(bytelevel.train(["something quite different altogether"] * 5, 280)).save(tmp_path / "other")
    foreign = sft_worlds.model(tmp_path / "foreign", sft_worlds.listed(tmp_path / "other"))
    with pytest.raises(Problem, match="student and teacher have two tokenizers"):
        distilled(tmp_path / "a", {"rows": rows, "teacher": teacher, "model": foreign}, steps=1)
    with pytest.raises(Problem, match="a student to go on from are both given"):
        distilled(tmp_path / "b", {"rows": rows, "teacher": teacher, "model": teacher}, steps=1, shape=STUDENT)


@pytest.mark.slow
def test_a_teacher_answers_what_users_ask_and_what_is_no_answer_has_a_reason(teacher: Input, tmp_path: Path) -> None:
    asked = [
        Message("user", "How much is 4 + 0?"),
        Message("assistant", "old"),
        Message("user", "How much is 5 + 0?"),
        Message("assistant", "old"),
    ]
    talks = [[SYSTEM, *asked], asked[:2], [Message("user", "How much is 7 + 0? " * 40)], [Message("assistant", "Hello.")]]
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "chats-p0000-00000000.parquet").write_bytes(encode(frame(talks), CONVERSATIONS))
    inputs = {"conversations": sft_worlds.listed(tmp_path / "given"), "teacher": teacher, "compute": COMPUTE}
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        config = TeacherAnswersConfig(temperature=0, answer_tokens=40)
        found.append(
            (
                TEACHER_ANSWERS.run(inputs, tmp_path / name, config),
                (tmp_path / name / "chats-p0000-00000000.parquet").read_bytes(),
            )
        )
    assert found[0] == found[1]
    made = pl.read_parquet(found[0][1])
    assert dict(made.schema) == CONVERSATIONS | REASON
    assert made["reason"].to_list() == [None, None, "too_long", "nothing_asked"]
    first = messages_of(made["messages"][0], "first")
    assert [one.content for one in first if one.role == "user"] == ["How much is 4 + 0?", "How much is 5 + 0?"]
    assert first[0] == SYSTEM
    assert all(one.content.startswith("It is") for one in first if one.role == "assistant")
    (tmp_path / "cut").mkdir()
    with pytest.raises(Problem, match="none of the 8 conversations got an answer"):
        TEACHER_ANSWERS.run(inputs, tmp_path / "cut", TeacherAnswersConfig(samples=2, answer_tokens=1))
