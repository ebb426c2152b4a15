import io

import numpy as np
import pytest
from PIL import Image

from brainage.explain.blocks import BlockAnswers, block_answers
from brainage.explain.config import ExplainConfig
from brainage.explain.maps import MapMaker
from brainage.explain.picture import Pictured, peak_mm, picture
from tests.bundle.conftest import make_member
from tests.explain.conftest import small_config

QUICK = ExplainConfig(cube_mm=40, stride_mm=40, num_steps=8)


@pytest.fixture(scope="module")
def saliency(model, scan):
    return MapMaker(model, scan, "last", QUICK).make("occlusion")


def test_blocks_and_workers_say_what_their_heads_do(model, scan):
    (member,) = model.members
    answers = block_answers(member, scan.volume_XYZ)
    heads = {each.block: each.head_years for each in answers}
    assert heads == pytest.approx(model.predict(scan.volume_XYZ).by_block, abs=1e-4)
    assert [len(each.worker_years) for each in answers] == [2, 2, 2]
    assert len({age for each in answers for age in each.worker_years}) == 6


def test_back_propagation_has_one_block_without_workers(scan):
    config = small_config(objective={"name": "bp"}, blocks={"num_blocks": 1})
    (only,) = block_answers(make_member(config), scan.volume_XYZ)
    assert only.worker_years == ()
    assert only.head_years is not None


def test_the_strongest_place_is_where_a_spot_was_planted(saliency, scan):
    values = np.zeros_like(saliency.values_XYZ)
    values[5, 12, 9] = -2.0
    values[14, 3, 9] = 1.0
    planted = type(saliency)(**{**vars(saliency), "values_XYZ": values})
    expected = scan.affine @ [5, 12, 9, 1]
    np.testing.assert_allclose(peak_mm(planted, scan.affine), expected[:3])


@pytest.mark.parametrize("num_networks", [1, 3])
def test_the_picture_shows_maps_of_any_number_of_networks(saliency, scan, num_networks):
    blocks = [BlockAnswers(1, None, ()), BlockAnswers(2, 41.0, (40.0, 42.5))]
    shown = Pictured(
        title="$1 is no formula",
        volume_XYZ=scan.volume_XYZ,
        affine=scan.affine,
        maps=[saliency],
        networks=[(f"fold{number}", blocks) for number in range(num_networks)],
        answer_years=41.0,
    )
    image = Image.open(io.BytesIO(picture(shown)))
    assert image.format == "PNG"
    red, _, blue = (np.asarray(part, dtype=int) for part in image.convert("RGB").split())
    # Both signs are in the picture: this map has places of both.
    assert saliency.values_XYZ.min() < 0 < saliency.values_XYZ.max()
    assert (red - blue > 80).any()
    assert (blue - red > 80).any()
