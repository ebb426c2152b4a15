"""The suite for accelerators, tried on a CPU: its checks can pass, and they can fail."""

import json
from pathlib import Path

import pytest
import torch

from pipelines import gpu_suite

CPU = torch.device("cpu")


@pytest.mark.slow
def test_the_suite_runs_to_its_end_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "suite.json"
    words = ["--device", "cpu", "--small", "--rounds", "5", "--out", str(out)]
    assert gpu_suite.main(words) == 0
    result = json.loads(out.read_text())
    assert all(row["passed"] for row in result["checks"])
    assert [entry["precision"] for entry in result["speed"]] == ["float32", "bfloat16"]
    methods = [row["method"] for row in result["speed"][0]["rows"]]
    assert methods == list(gpu_suite.METHODS)


def test_resumption_is_really_interrupted_and_compared() -> None:
    assert gpu_suite.check_resume(CPU) == 0


def test_a_rule_that_crosses_blocks_fails_the_check_of_isolation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    isolated = gpu_suite.ObjectiveConfig
    monkeypatch.setattr(
        gpu_suite, "ObjectiveConfig", lambda **options: isolated(**(options | {"name": "lfnn"}))
    )
    assert gpu_suite.check_isolation(CPU) > 0


def test_without_an_accelerator_it_says_how_to_try_it(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SystemExit) as error:
        gpu_suite.main(["--out", "x.json"])
    assert error.value.code == 2
    assert "--device cpu --small" in capsys.readouterr().err
