import pytest
import torch

from brainage.errors import RunFolderError
from brainage.workflows.compare import cost as compare_cost
from brainage.workflows.compare.cost import kept_costs, measure_arms, measure_joules
from brainage.workflows.compare.energy import find_energy_counter
from tests.workflows.tiny import tiny_config

SHAPE = (1, 16, 16, 16)


@pytest.fixture
def in_this_process(monkeypatch):
    """Memory is measured in processes of their own, which take seconds to start."""
    monkeypatch.setattr("brainage.core.speed.measure_peak", lambda case: 1_000_000)


def arms():
    return {
        "bp": tiny_config(objective={"name": "bp"}),
        "local": tiny_config(),
        "greedy": tiny_config(objective={"name": "greedy"}),
    }


def package(folder, name, microjoules, largest=1_000_000_000):
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{largest}\n")


def test_arms_are_timed_side_by_side_and_one_that_has_no_single_step_is_not(in_this_process):
    costs = measure_arms(arms(), SHAPE, rounds=5, report=lambda text: None)
    assert list(costs) == ["bp", "local"]
    assert costs["bp"].samples_per_second == pytest.approx(3 / costs["bp"].step_seconds)
    assert costs["local"].activation_bytes < costs["bp"].activation_bytes
    assert costs["bp"].joules_per_step is None or costs["bp"].joules_per_step > 0
    assert measure_arms(arms(), SHAPE, rounds=0) == {}


def test_what_an_interrupted_call_measured_is_kept(in_this_process, tmp_path):
    path = tmp_path / "costs.json"
    first = kept_costs(path, arms(), SHAPE, rounds=5, report=lambda text: None)
    assert kept_costs(path, arms(), SHAPE, rounds=5, report=lambda text: None) == first
    path.write_text("[]")
    with pytest.raises(RunFolderError, match="damaged"):
        kept_costs(path, arms(), SHAPE, rounds=5, report=lambda text: None)


def test_packages_are_added_up_and_their_parts_left_out(tmp_path):
    package(tmp_path, "intel-rapl:0", 5_000_000)
    package(tmp_path, "intel-rapl:1", 1_000_000)
    package(tmp_path, "intel-rapl:0:0", 9_000_000)
    counter = find_energy_counter(torch.device("cpu"), tmp_path)
    assert counter is not None
    package(tmp_path, "intel-rapl:0", 7_000_000)
    package(tmp_path, "intel-rapl:1", 1_500_000)
    package(tmp_path, "intel-rapl:0:0", 99_000_000)
    assert counter.joules() == pytest.approx(2.5)


def test_a_counter_that_starts_again_at_zero_goes_on(tmp_path):
    package(tmp_path, "intel-rapl:0", 9_000_000, largest=10_000_000)
    counter = find_energy_counter(torch.device("cpu"), tmp_path)
    package(tmp_path, "intel-rapl:0", 2_000_000, largest=10_000_000)
    assert counter.joules() == pytest.approx(3.0)
    package(tmp_path, "intel-rapl:0", 2_500_000, largest=10_000_000)
    assert counter.joules() == pytest.approx(3.5)


def test_without_counters_that_can_be_read_there_is_none(tmp_path):
    assert find_energy_counter(torch.device("cpu"), tmp_path / "none") is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert find_energy_counter(torch.device("cpu"), tmp_path) is None


def test_joules_are_those_of_one_step():
    """The counter moves by three joules for every step of any case."""
    case = compare_cost._case("bp", tiny_config(objective={"name": "bp"}), SHAPE)

    class Steps:
        name = "steps"
        engines: list[object] = []  # noqa: RUF012 - counts over all engines of the test

        def joules(self):
            return 3.0 * sum(self.engines)

    build = type(case).build

    def counted(self):
        engine = build(self)
        step = engine.train_step

        def train_step(*args, **kwargs):
            Steps.engines.append(1)
            return step(*args, **kwargs)

        engine.train_step = train_step
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(case), "build", counted)
        found = measure_joules([case, case], [0.5, 0.3], Steps(), rounds=3, round_seconds=1.0)
    assert found == [3.0, 3.0]
    assert len(Steps.engines) == 4 * (2 + 4)
