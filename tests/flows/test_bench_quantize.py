"""`winnow bench quantize`: every type beside llama.cpp's quantizer."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.commands.bench import bench
from storage.problem import Problem


@pytest.mark.slow
def test_each_type_is_measured_beside_llama_cpp_and_has_its_bytes() -> None:
    pytest.importorskip("cyllama")
    done = CliRunner().invoke(
        bench, ["quantize", "--preset", "demo", "--rounds", "1", "--type", "Q8_0", "--type", "Q4_K_M", "--json"]
    )
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert [one["type"] for one in found["types"]] == ["Q8_0", "Q4_K_M"]
    assert all(one["same_bytes"] and one["ratio"] > 0 and one["llama_cpp"] > 0 for one in found["types"])
    assert found["geometric_mean"] == pytest.approx((found["types"][0]["ratio"] * found["types"][1]["ratio"]) ** 0.5)


def test_a_type_that_llama_cpp_does_not_have_is_refused() -> None:
    done = CliRunner().invoke(bench, ["quantize", "--type", "Q9"])
    assert isinstance(done.exception, Problem)
    assert "expected one of F32, F16" in str(done.exception)
