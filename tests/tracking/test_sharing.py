from pathlib import Path

import pytest

from brainage.config.yaml_text import to_yaml
from brainage.tracking.sharing import Sharing, last_part

PLANTED = "/lab/Anna Muster's/O'Brien & Söhne/cohort.csv"


@pytest.fixture
def sharing():
    return Sharing(predictions=False)


def test_a_setting_goes_out_without_the_folders_it_lies_in(sharing):
    sent = sharing.parameters(
        {"data.manifest": PLANTED, "data.root": "$BRAINAGE_DATA/ixi/", "seed": 3, "cuts": "[1, 2]"}
    )
    assert sent == {"data.manifest": "cohort.csv", "data.root": "ixi", "seed": 3, "cuts": "[1, 2]"}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("http://me:secret@server:5000/x", "http://server:5000/x"),
        ("sqlite:////lab/anna/mlflow.db", "mlflow.db"),
        ("C:\\Anna\\cohort.csv", "cohort.csv"),
    ],
)
def test_an_address_loses_its_password_and_a_path_its_folders(path, shown):
    assert last_part(path) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"<pre>{PLANTED}</pre>",
        "/lab/Anna Muster&#39;s/O&#39;Brien &amp; Söhne/cohort.csv",
        to_yaml({"data": {"manifest": PLANTED, "padding": "x" * 70}}),
        to_yaml({"a deep key that makes the line so long": {"that yaml breaks it": [PLANTED]}}),
        '{"manifest": "/lab/Anna Muster\'s/O\'Brien & S\\u00f6hne/cohort.csv"}',
    ],
)
def test_a_file_that_is_sent_does_not_hold_the_path_however_it_is_written(sharing, text):
    sharing.parameters({"data.manifest": PLANTED})
    assert "Muster" in text
    sent = sharing.text(text)
    assert "Muster" not in sent
    assert "cohort.csv" in sent


PAGE = "<h1>MAE</h1><!-- single scans --><td>\nAnna</td><!-- end of single scans --><h2>Cost</h2>"


def test_a_page_is_sent_without_its_rows_of_single_scans(sharing, tmp_path):
    (tmp_path / "report.html").write_text(2 * PAGE)
    sharing.copy(tmp_path / "report.html", tmp_path / "out" / "report.html")
    sent = (tmp_path / "out" / "report.html").read_text()
    assert "Anna" not in sent
    assert sent.count("stay in the run's folder") == sent.count("<h1>") == sent.count("<h2>") == 2
    assert Sharing(predictions=True).text(PAGE) == PAGE


def test_the_run_s_own_folder_is_named_by_its_last_part(sharing):
    sharing.event("run", {"folder": "../anna/mine", "resolved_folder": "/lab/anna/mine"})
    assert sharing.text("../anna/mine/model and /lab/anna/mine") == "mine/model and mine"


def test_a_picture_is_copied_byte_for_byte(sharing, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\x00")
    sharing.copy(tmp_path / "a.png", tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"\x89PNG\xff\x00"


def test_tables_of_single_scans_stay_unless_they_are_asked_for(sharing):
    table = Path("runs/x/held_out_predictions.csv")
    assert sharing.is_kept_here(table)
    assert sharing.is_kept_here(Path("runs/x/predictions.csv"))
    assert sharing.is_kept_here(Path("runs/x/held_out_by_repeat.csv"))
    assert not sharing.is_kept_here(Path("runs/x/comparison.csv"))
    assert not Sharing(predictions=True).is_kept_here(table)
