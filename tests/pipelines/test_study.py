"""What studies share."""

import sys

from pipelines.study import command_line


def test_a_command_is_told_as_it_was_given_with_the_data_s_folder_by_its_name(monkeypatch):
    monkeypatch.setenv("BRAINAGE_DATA", "/here/my data/")
    words = ["--data", "/here/my data/mnist", "--only", "lfnn_l 20%", "--out", "/here/my data2/x"]
    assert command_line("pipelines.mnist_mlp", words) == (
        "python -m pipelines.mnist_mlp --data $BRAINAGE_DATA/mnist --only 'lfnn_l 20%' "
        "--out '/here/my data2/x'"
    )
    assert command_line("a", ["/here/my data"]) == "python -m a $BRAINAGE_DATA"


def test_without_words_it_is_that_of_the_process(monkeypatch):
    monkeypatch.delenv("BRAINAGE_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["x", "--out", "/a"])
    assert command_line("pipelines.complexity", None) == "python -m pipelines.complexity --out /a"
