"""Every published number of a table's configuration is the one that the supplement prints there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from brainage.config.tables import TableConfig, experiment, load_table, table_names

PRINTED: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("published_tables.yaml").read_text(encoding="utf-8")
)
Rows = dict[tuple[str, str, str], list[float | None]]
"""Values by part, method and measure, one for every column."""
BY_LEADERS = PRINTED["s2_s7_leadership_error_percent"]
LEADERS = [f"{percent}%" for percent in BY_LEADERS["leadership_percent"]]


def leadership(**parts: tuple[str, int | None]) -> Rows:
    """Rows of the table by leaders; each part names its data set and number of parameters."""
    return {
        (part, row["method"], f"{row['split']}_error_percent"): row["values"]
        for part, (data, parameters) in parts.items()
        for row in BY_LEADERS["rows"]
        if row["dataset"] == data and row.get("parameters") == parameters
    }


def table_s1() -> Rows:
    printed = PRINTED["s1_mnist_mlp_leadership_accuracy_percent"]
    measure = "test_accuracy_percent"
    rows = {("units", name, measure): printed[name] for name in ("lfnn_l", "lfnn")}
    before = {("units_before", "lfnn_l", measure): printed["lfnn_l"]}
    # In the words of the table, not in a cell of it.
    return {**rows, ("units", "bp", measure): [98.11], **before}


def table_s4() -> Rows:
    return {("projected", "lfnn_l", "speedup"): PRINTED["s4_vit_b16_speedup"]["speedup"]}


def table_s5() -> Rows:
    measures = {"accuracy_percent": "test_accuracy_percent", "minutes_per_epoch": "epoch_minutes"}
    return {
        (row["dataset"], row["method"], measure): [row[printed]]
        for row in PRINTED["s5_direct_feedback_alignment"]["rows"]
        for printed, measure in measures.items()
    }


def table_s6() -> Rows:
    return {
        (row["dataset"], method, "test_error_percent"): [row[method]]
        for row in PRINTED["s6_vgg8b_local_loss"]["rows"]
        for method in ("predsim", "lfnn_l")
    }


def table_s8() -> Rows:
    words = {"leader_follower": "leader and follower"}
    rows: Rows = {}
    for row in PRINTED["s8_loss_ablation"]["rows"]:
        variant = words.get(row["variant"], row["variant"].replace("_", " "))
        for data in ("cifar10", "imagenet"):
            method, (accuracy, minutes) = f"{row['method']} {variant}", row[data]
            rows[data, method, "test_accuracy_percent"] = [accuracy]
            rows[data, method, "epoch_minutes"] = [minutes]
    return rows


def table_s9() -> Rows:
    return {
        (row["dataset"], row["method"], "test_error_percent"): row["values"]
        for row in PRINTED["s9_lambda_error_percent"]["rows"]
    }


def table_s10(place: int = 0) -> Rows:
    """The means, or at place 1 the deviations; both blocks stand beside the one printed number."""
    pairs = {"leader_follower": "leader and follower", "within_followers": "two followers"}
    measures = {
        "cosine_similarity": "cosine_similarity",
        "normalized_euclidean_distance": "normalised_distance",
        "normalized_feature_variance": "normalised_variance",
    }
    return {
        ("workers", method, measure): [PRINTED["s10_feature_diversity"][name][pair][place]] * 2
        + [None] * 4
        for name, measure in measures.items()
        for pair, method in pairs.items()
    }


def figure_s7() -> Rows:
    errors = leadership(
        mnist=("mnist", 438000), cifar10=("cifar10", 876000), tiny_imagenet=("tiny_imagenet", None)
    )
    return {
        (part, method, "test_accuracy_percent"): [round(100 - error, 2) for error in values]
        for (part, method, measure), values in errors.items()
        if measure == "test_error_percent"
    }


EXPECTED: dict[str, Callable[[], Rows]] = {
    "s1": table_s1,
    "s2": lambda: leadership(
        mnist_275k=("mnist", 275000), mnist_438k=("mnist", 438000), cifar10=("cifar10", 876000)
    ),
    "s3": lambda: leadership(imagenet=("imagenet", 18300000)),
    "s4": table_s4,
    "s5": table_s5,
    "s6": table_s6,
    "s7": lambda: leadership(
        mnist=("mnist", 438000),
        cifar10=("cifar10", 876000),
        tiny_imagenet=("tiny_imagenet", None),
        imagenet_subset=("imagenet_subset", None),
        imagenet=("imagenet", 18300000),
    ),
    "s8": table_s8,
    "s9": table_s9,
    "s10": table_s10,
    "fig_s7": figure_s7,
}
COLUMNS = {
    **dict.fromkeys(("s1", "s2", "s3", "s7", "fig_s7"), LEADERS),
    "s4": [f"{number} blocks" for number in PRINTED["s4_vit_b16_speedup"]["blocks"]],
    "s9": [f"{value:.1f}" for value in PRINTED["s9_lambda_error_percent"]["lambda"]],
}
PICTURES = [f"fig_s{number}" for number in (1, 2, 4, 5, 8, 9, 10, 11)]
"""Published without numbers."""


def published(table: TableConfig, key: str = "published") -> Rows:
    """What a configuration says was published."""
    found = [((row.part, row.method, row.measure), list(getattr(row, key))) for row in table.rows]
    with_values = [(name, values) for name, values in found if values]
    assert len({name for name, _ in with_values}) == len(with_values)
    return dict(with_values)


def rows_with_columns(table: TableConfig) -> Iterator[tuple[str, list[str]]]:
    for row in table.rows:
        _, _, part = experiment(table, row.part)
        if len(row.published) > 1:
            yield row.method, list(part.columns(row.method))


def test_every_table_and_figure_of_the_supplement_is_there():
    tables = [f"s{number}" for number in range(1, 11)]
    figures = [f"fig_s{number}" for number in (1, 2, 4, 5, 7, 8, 9, 10, 11)]
    assert table_names() == [*tables, *figures]
    assert {*EXPECTED, *PICTURES} == {*tables, *figures}


@pytest.mark.parametrize("name", EXPECTED)
def test_published_values_stand_where_the_supplement_has_them(name):
    assert published(load_table(name)) == EXPECTED[name]()


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_the_settings_of_the_published_ones(name):
    found = list(rows_with_columns(load_table(name)))
    assert found
    assert [row for row in found if row[1] != COLUMNS[name]] == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_without_numbers_has_no_published_ones(name):
    table = load_table(name)
    assert published(table) == published(table, "published_sd") == {}


def test_printed_deviations_stand_beside_their_means():
    assert published(load_table("s10"), "published_sd") == table_s10(1)
    others = [name for name in EXPECTED if name != "s10"]
    assert [name for name in others if published(load_table(name), "published_sd")] == []
