import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.config.yaml_text import parse_yaml, read_yaml, to_yaml
from brainage.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("-2.5e-3", -0.0025),
        (".5", 0.5),
        ("3", 3),
        ("-3", -3),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("[1, 2.0]", [1, 2.0]),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("'1e-4'", "1e-4"),
        ("1e", "1e"),
        (".", "."),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_reads_them(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False)
    | st.text("aé日#:'\"{}[]-?&*!|>%@` \n\t0e.\\,=~", max_size=6)
    | st.sampled_from(["1e-4", "no", "010", "2026-01-01", "null", "<<", "1_000", "=", "0x1f", "~"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc_", min_size=1), plain, max_size=4))
def test_written_yaml_reads_back_the_same(content):
    assert (parse_yaml(to_yaml(content), "here") or {}) == content


def test_a_key_given_twice_is_refused_with_its_line():
    with pytest.raises(ConfigError, match=r"run\.yaml: key 'epochs' is given twice, again in line"):
        parse_yaml("trainer:\n  epochs: 3\n  epochs: 4\n", "run.yaml")


def test_equal_keys_of_different_sections_are_fine():
    assert parse_yaml("a: {x: 1}\nb: {x: 2}", "here") == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\ta: 1", "a: !!python/object:os.x {}"])
def test_what_is_no_yaml_ends_in_one_line(text):
    with pytest.raises(ConfigError, match=r"^run\.yaml, line 1") as caught:
        parse_yaml(text, "run.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["&a {x: *a}", "&a [*a]", "[" * 5000])
def test_endless_structures_are_refused(text):
    with pytest.raises(ConfigError, match=r"^run\.yaml"):
        parse_yaml(text, "run.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "scan.yaml"
    path.write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(ConfigError, match="expected UTF-8 text"):
        read_yaml(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder: cannot be read: Is a directory"):
        read_yaml(tmp_path / "folder")


def test_a_file_of_something_else_than_keys_is_refused(tmp_path: Path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError, match="expected keys and values, got list"):
        read_yaml(path)


def test_an_empty_file_holds_no_keys(tmp_path: Path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert read_yaml(path) == {}


def test_what_is_written_has_no_aliases_and_reading_can_refuse_them():
    shared = [1, 2]
    text = to_yaml({"a": shared, "b": shared})
    assert parse_yaml(text, "here", aliases=False) == {"a": shared, "b": shared}
    with pytest.raises(ConfigError, match=r"here: expected no aliases, got \*x in line 2"):
        parse_yaml("a: &x [1]\nb: *x", "here", aliases=False)
