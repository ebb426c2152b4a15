import json

import numpy as np
import pytest

from brainage.data.tables import FeatureTable
from brainage.errors import CohortError, DataError
from brainage.scans.record import ScanRecord
from pipelines import table_ages, table_methods
from pipelines.study import KeptRows, mean_with_interval
from pipelines.table_ages import KEY, PROTOCOLS, make_parts, run_protocol
from pipelines.table_methods import RULES, SIMPLE, Part, Setting, fit_network, tune_network
from pipelines.table_summary import summarise

NUM_GIVEN = 30


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two sites, two rows of some people, one feature of age, one constant, one of the site."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("table")
    people = [*range(80), *range(0, 40, 2)]
    ages = rng.uniform(20, 60, 80)[people]
    sites = [f"site{person % 2}" for person in people]
    features = rng.normal(size=(100, 8))
    features[:, 0] += (ages - 40) / 5
    features[:, 1] = 7.0
    features[:, 2] += np.array([5.0 * (site == "site1") for site in sites])
    records = tuple(
        ScanRecord(folder / str(row), f"p{person}", None, float(age), "FM"[person // 2 % 2], site)
        for row, (person, age, site) in enumerate(zip(people, ages, sites, strict=True))
    )
    return FeatureTable(records, features, tuple("abcdefgh"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_is_on_both_sides_and_rows_are_tested_once(table, protocol):
    parts = make_parts(table, NUM_GIVEN, protocol)
    names = np.array(table.subjects)
    for part in (*parts.values(), *(part.inner() for part in parts.values())):
        assert not set(names[list(part.train)]) & set(names[list(part.test)])
    tested = [row for part in parts.values() for row in part.test]
    if protocol == "given files":
        known = set(names[:NUM_GIVEN])
        assert tested == [row for row in range(NUM_GIVEN, 100) if names[row] not in known]
    else:
        assert sorted(tested) == list(range(100))
    for part in parts.values():
        assert set(part.inner().train) | set(part.inner().test) == set(part.train)


def test_a_left_out_site_is_in_no_training_part(table):
    for site, part in make_parts(table, NUM_GIVEN, "leave one site out").items():
        assert {table.sites[row] for row in part.test} == {site}
        assert site not in {table.sites[row] for row in part.train}


def test_features_are_scaled_by_the_training_part_and_outliers_are_held(table):
    features = table.features_NF.copy()
    features[90, 3] = 1e6
    part = Part(FeatureTable(table.records, features, table.names), tuple(range(80)), (90, 91))
    train, test = part.features()
    assert train.shape == (80, 7)  # the constant one is left out
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=0.05)
    assert test[0, 2] == table_methods.MOST_SDS


@pytest.mark.parametrize("method", [*SIMPLE, *RULES])
def test_every_method_learns_and_never_sees_a_test_age(table, method):
    part = make_parts(table, NUM_GIVEN, "five folds")["fold 1"]
    tested = set(part.test)
    other = tuple(
        ScanRecord(r.scan, r.subject, None, 99.0 if row in tested else r.age_years, r.sex, r.site)
        for row, r in enumerate(table.records)
    )
    changed = Part(FeatureTable(other, table.features_NF, table.names), part.train, part.test)

    def predict(part):
        if method in SIMPLE:
            return SIMPLE[method](part)
        return fit_network(RULES[method], part, Setting(3e-3, 0.0), seed=0)["last"]

    predicted = predict(part)
    np.testing.assert_array_equal(predict(changed), predicted)
    ages = table.ages_years[list(part.test)]
    error, of_mean = (np.abs(found - ages).mean() for found in (predicted, SIMPLE["mean"](part)))
    assert error < 0.7 * of_mean or method in {"mean", "median"}


def test_tuning_sees_the_training_part_alone(table, monkeypatch):
    monkeypatch.setattr(table_methods, "GRID", (Setting(1e-9, 0.0), Setting(3e-3, 0.0)))
    part = make_parts(table, NUM_GIVEN, "five folds")["fold 1"]
    seen = []
    original = Part.features

    def spy(self):
        seen.append({*self.train, *self.test})
        return original(self)

    monkeypatch.setattr(Part, "features", spy)
    found = tune_network(RULES["bp"], part, seed=0)
    assert found["chosen"] == 1
    assert len(found["validation_mae_years"]) == 2
    assert seen == [set(part.train)] * 2


def test_harmonised_features_differ_less_between_sites(table):
    part = make_parts(table, NUM_GIVEN, "five folds", harmonise="combat")["fold 1"]
    sites = np.array([table.sites[row] for row in part.test])

    def gap(features):
        return abs(features[sites == "site1", 1].mean() - features[sites == "site0", 1].mean())

    plain = Part(table, part.train, part.test)
    assert gap(part.features()[1]) < 0.3 * gap(plain.features()[1])


def test_a_site_that_is_left_out_cannot_be_harmonised(table):
    part = make_parts(table, NUM_GIVEN, "leave one site out", harmonise="combat")["site0"]
    with pytest.raises(CohortError, match="got site0"):
        part.features()


@pytest.fixture
def small_grid(monkeypatch):
    monkeypatch.setattr(table_methods, "EPOCHS", 1)
    grid = (Setting(3e-3, 0.0), Setting(3e-3, 0.3))
    monkeypatch.setattr(table_methods, "GRID", grid)
    monkeypatch.setattr(table_ages, "GRID", grid)


def test_a_study_goes_on_where_it_stopped_and_is_summed_up(table, tmp_path, small_grid):
    path = tmp_path / "rows.jsonl"
    parts = make_parts(table, NUM_GIVEN, "leave one site out")
    methods = ("mean", "ridge", "bp", "lfnn_l 50%")

    def run():
        return list(run_protocol(parts, "sites", methods, 2, KeptRows(path, KEY)))

    rows = run()
    text = path.read_text()
    assert len(text.splitlines()) == 2 * (1 + 1 + 2 * (1 + 2))
    path.write_text(text[:-20])  # the last line is cut off
    assert run() == rows
    assert path.read_text() == text

    found = summarise(rows, table)["sites"]
    assert (found["tested_rows"], found["tested_people"]) == (100, 80)
    by_name = {entry["method"]: entry for entry in found["methods"]}
    assert set(by_name) == {*methods, "lfnn_l 50%, ensemble"}
    network = by_name["lfnn_l 50%"]
    assert network["mae_years"] == pytest.approx(np.mean(network["by_seed"]), abs=2e-3)
    assert network["low"] < network["mae_years"] < network["high"]
    mean_by_site = by_name["mean"]["mae_years_by_site"]
    ages, sites = table.ages_years, np.array(table.sites)
    expected = np.abs(ages[sites == "site0"] - ages[sites == "site1"].mean()).mean()
    assert mean_by_site["site0"] == pytest.approx(expected, abs=2e-3)
    (contrast,) = (c for c in found["contrasts"] if c["b"] == "ridge")
    gap = network["mae_years"] - by_name["ridge"]["mae_years"]
    assert contrast["delta_mae_years"] == pytest.approx(gap, abs=2e-3)
    assert contrast["low"] < gap < contrast["high"]
    json.dumps(found)


def test_an_interval_draws_subjects_together():
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 25)
    alone = mean_with_interval(values, np.arange(100))
    together = mean_with_interval(values, np.repeat(np.arange(4), 25))
    assert alone["mean"] == together["mean"] == 1.5
    assert together["high"] - together["low"] > 3 * (alone["high"] - alone["low"])


def test_a_missing_table_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"ct_tr\.csv: is missing"):
        table_ages.read_tables(tmp_path)
    with pytest.raises(SystemExit, match=r"error: .*ct_tr\.csv: is missing"):
        table_ages.main(["--data", str(tmp_path), "--out", str(tmp_path / "out.json")])
