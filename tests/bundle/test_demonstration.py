"""The model that comes with the package."""

from brainage.bundle.demonstration import DEMONSTRATION, demonstration_limits
from brainage.bundle.files import CARD
from brainage.bundle.load import load_bundle

PUBLIC = {"ds000011", "ds000228", "ds002748"}


def test_it_is_small_enough_to_come_with_the_package():
    sizes = [path.stat().st_size for path in DEMONSTRATION.rglob("*") if path.is_file()]
    assert 0 < sum(sizes) <= 12_000_000


def test_it_is_trained_by_lfnn_l_on_scans_in_the_public_domain_only():
    bundle = load_bundle(DEMONSTRATION)
    assert bundle.config.objective.name == "lfnn_l"
    assert set(bundle.calibration["training_sites"]) == PUBLIC


def test_it_names_nobody():
    words = [path.read_bytes() for path in DEMONSTRATION.rglob("*") if path.is_file()]
    assert not [word for word in words if b"sub-" in word]


def test_its_card_tells_ages_sites_and_what_it_is_not_for():
    card = (DEMONSTRATION / CARD).read_text(encoding="utf-8")
    for word in ("training ages", "ds000228", "IXI", "not for clinical use"):
        assert word in card, word


def test_whoever_is_given_it_unasked_is_told_of_its_limits():
    told = demonstration_limits(load_bundle(DEMONSTRATION))
    assert "\n" not in told
    for word in ("demonstration model", "189 scans", "not for research or clinical use"):
        assert word in told, word
