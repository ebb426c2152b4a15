"""Names that are refused would leave their folder, or be another's elsewhere."""

import pytest

from brainage.config.names import is_folder_name, is_name


@pytest.mark.parametrize("text", ["a", "7", "lfnn_l-1.5", "a" * 64])
def test_letters_digits_and_signs_are_a_name(text):
    assert is_name(text)
    assert is_folder_name(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "-a", "_a", "a b", "a/b", "a\n", "é", "a" * 65, "a%"]
)
def test_anything_else_is_none(text):
    assert not is_name(text)
    assert not is_folder_name(text)


def test_a_dot_at_the_end_is_for_names_that_are_no_folders():
    assert is_name("a.")
    assert not is_folder_name("a.")
