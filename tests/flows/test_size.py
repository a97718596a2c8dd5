"""`winnow size`: memory reckoned before anything is downloaded, quantized or trained."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from models.formats.gguf_file import About, write_gguf
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from storage.problem import Problem
from tests.stages.release.released import SHAPE, written_model


def called(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["size", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def reckoned(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(called(*arguments, "--json").splitlines()[-1])
    return found


def test_an_eight_billion_model_in_four_bits_fits_into_eight_gigabytes() -> None:
    found = reckoned("Llama-3.1-8B", "--quant", "Q4_K_M", "--context", "8192", "--batch", "1", "--kv", "q8_0")
    assert found["weights"] / 1e9 == pytest.approx(4.92, abs=0.02)
    assert found["cache"] == 2 * 32 * 8 * 128 * 8192 * 34 // 32
    assert found["total"] == found["weights"] + found["cache"] + found["compute"]
    assert found["fits"] == [6, 8, 16, 24, 80]
    assert found["longest_context"]["80"] == 131_072
    assert found["longest_context"]["6"] < found["longest_context"]["8"] < 131_072
    full = reckoned("llama-3.1-8b", "--quant", "F16")
    assert full["fits"] == [24, 80]
    assert full["longest_context"]["6"] == 0


def test_people_read_a_table() -> None:
    shown = called("small", "--context", "512")
    assert "6.9 M parameters" in shown or "6.8 M parameters" in shown
    assert "weights, Q4_K_M" in shown
    assert " 80 GB: up to 512 tokens of context" in shown
    assert "trained for" not in shown
    assert "The model was trained for 131,072 tokens" in called("llama-3.1-8b", "--context", "500000")
    assert "Training, 1 x 512 tokens at once" in shown


def test_more_conversations_and_finer_keys_take_more() -> None:
    base = reckoned("35m", "--context", "1024")
    assert reckoned("35m", "--context", "1024", "--batch", "4")["cache"] == 4 * base["cache"]
    assert reckoned("35m", "--context", "1024", "--kv", "f32")["cache"] == 2 * base["cache"]


def test_a_folder_and_a_file_are_reckoned_by_their_own_shapes(tmp_path: Path) -> None:
    folder = written_model(tmp_path / "model")
    found = reckoned(str(folder), "--quant", "Q8_0")
    path = tmp_path / "model.gguf"
    write_gguf(path, load_model(folder), load(folder), "Q8_0", About("A model"))
    assert reckoned(str(path), "--quant", "Q8_0")["weights"] == found["weights"]
    assert 0 < path.stat().st_size - found["weights"] < 40_000  # metadata
    assert found["context"] == SHAPE.context


def test_a_number_of_parameters_stands_for_a_shape_of_that_size() -> None:
    assert reckoned("100M")["parameters"] == pytest.approx(100e6, rel=0.2)
    assert reckoned("7B")["parameters"] == pytest.approx(7e9, rel=0.2)
    assert reckoned("1.5B")["parameters"] == pytest.approx(1.5e9, rel=0.2)


def test_what_is_meant_by_a_wrong_argument_is_asked() -> None:
    with pytest.raises(Problem, match="expected one of F32, F16"):
        called("small", "--quant", "Q9")
    for many in ("1M", "99999999999T"):
        with pytest.raises(Problem, match=f"{many} parameters: the nearest shape known has"):
            called(many)
    for none in ("0", "0B"):
        with pytest.raises(Problem, match=f"{none} parameters; expected some"):
            called(none)
    with pytest.raises(Problem, match="expected one of f32, f16"):
        called("small", "--kv", "q9")
    with pytest.raises(Problem, match=r"'gpt-9' is no model folder.*llama-3.1-8b"):
        called("gpt-9")
