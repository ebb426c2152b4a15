import io
import math
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from brainage.reporting.activity_figures import _smoothed
from brainage.reporting.complexity_figures import leaders_figure
from brainage.reporting.study_panels import draw_panels
from brainage.reporting.worker_figures import best_leaders_figure, inference_figure

WORDS = "all|leaders|followers|oracle leaders|oracle followers"
WAYS = [*WORDS.split("|"), "random, as many as lead", "random, as many as follow"]


def worker_result(*, owned=True, epochs=3):
    def layer(name, shift):
        return {
            "name": name,
            "accuracy_percent": {"train": 90.0 + shift, "test": 80.0 + shift},
            "loss": {"train": 0.2, "test": 0.4},
        }

    def fit(seed):
        layers = [layer("block 1, best leader", seed), layer("output layer", 5 + seed)]
        accuracy = dict.fromkeys(WAYS, 50.0 + seed)
        return {
            "leader_fraction": 0.2,
            "epochs": [{"epoch": n + 1, "layers": layers} for n in range(epochs - seed)],
            "inference": {"together": {"block 1": accuracy}, "zeroed": accuracy if owned else {}},
        }

    recipe = {
        "objective": {"name": "lfnn_l"},
        "heads": {"readout": "units" if owned else "block"},
        "trainer": {"epochs": epochs},
    }
    return {"data": "mnist", "config": {"recipe": recipe}, "fits": [fit(0), fit(1)]}


def words_of(svg):
    return " ".join(ET.fromstring(svg).itertext())


def test_a_figure_says_what_was_measured_and_on_what_scale():
    text = words_of(best_leaders_figure(worker_result(), "reduced: 3 of 50 epochs", "svg"))
    assert "mnist, lfnn_l, readout units; 3 epochs, 2 seeds; reduced: 3 of 50 epochs" in text
    assert "20% leaders" in text
    assert "block 1, best leader, test" in text


@pytest.mark.parametrize(
    ("owned", "present", "absent"),
    [(True, "sees labels", "block 1: all"), (False, "block 1: all workers", "sees labels")],
)
def test_inference_shows_units_at_zero_or_answers_together(owned, present, absent):
    text = words_of(inference_figure(worker_result(owned=owned), "full", "svg"))
    assert present in text
    assert absent not in text
    assert "50.5 ± 0.7" in text


def test_leaders_are_drawn_with_their_correlation():
    rows = [{"name": f"<{n}$", "complexity": 0.5 + n, "leaders": 3 * n} for n in range(3)]
    found = {"spearman": 0.5, "low": -0.1, "high": 0.9, "p_permutation": 0.2, "classes": 3}
    result = {
        "data": "cifar10",
        "classes": rows,
        "correlation": found,
        "config": {"num_lf_workers": 32},
        "fractions": [0.1, 1.0],
        "seeds": 1,
    }
    text = words_of(leaders_figure(result, "full", "svg"))
    assert "Spearman 0.50 (-0.10 to 0.90), p = 0.200, 3 classes" in text
    assert "<2$" in text
    assert "10%, 100%" in text


def test_panels_fill_row_after_row():
    seen = []

    def fill(axes):
        seen.extend((each.get_subplotspec().rowspan.start, each.get_subplotspec().colspan.start)
                    for each in axes)  # fmt: skip

    png = draw_panels(fill, rows=2, columns=2, name="x", note="n", size_inches=(4, 2))
    assert seen == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert Image.open(io.BytesIO(png)).size == (600, 300)


def test_a_running_mean_leaves_out_what_is_not_known():
    smooth = _smoothed([1.0, math.nan, 3.0])
    assert smooth == [2.0, 2.0, 2.0]
    assert math.isnan(_smoothed([math.nan])[0])
