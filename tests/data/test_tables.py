import numpy as np
import pytest

from brainage.data.tables import join_tables, read_feature_table
from brainage.errors import DataError

HEADER = "sub_id,age,sex,site,sitenum,lh_thickness,CSF"
ROWS = ("sub-1,29.72,0,ds1,4,2.5,901.5", "sub-2,6,1,ds2,6,3.0,0")


def write(folder, header=HEADER, rows=ROWS, name="table.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_people_and_features_are_told_apart(tmp_path):
    table = read_feature_table(write(tmp_path))
    assert table.names == ("lh_thickness", "CSF")
    np.testing.assert_array_equal(table.features_NF, [[2.5, 901.5], [3.0, 0.0]])
    np.testing.assert_array_equal(table.ages_years, [29.72, 6.0])
    assert (table.subjects, table.sites) == (["sub-1", "sub-2"], ["ds1", "ds2"])
    assert [record.sex for record in table.records] == ["0", "1"]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER.replace("age,", ""), "s,0,d,1,2,3", r"table\.csv: expected the columns age"),
        (HEADER.replace(",CSF", ",lh_thickness"), "s,9,0,d,1,2,3", "several of lh_thickness"),
        ("sub_id,age,sex,site", "s,9,0,d", "columns of features, got none"),
        (HEADER, "s,9,0,d,1,2", "row 1: expected 7 cells, got 6"),
        (HEADER, "s,9,0,d,1,2,", "row 1: CSF: expected a number, got ''"),
        (HEADER, "s,9,0,d,1,nan,3", "row 1: lh_thickness: expected a number, got 'nan'"),
        (HEADER, "s,n/a,0,d,1,2,3", "row 1: age: expected years, got 'n/a'"),
        (HEADER, "s,-3,0,d,1,2,3", "row 1: age: expected an age in years from 0 up, got '-3'"),
        (HEADER, "s,9,0,,1,2,3", "row 1: site: expected a name, got an empty cell"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, header, row, message):
    with pytest.raises(DataError, match=message):
        read_feature_table(write(tmp_path, header, [row]))


def test_a_missing_and_an_empty_file_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: is missing; .*--data"):
        read_feature_table(tmp_path / "none.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match=r"empty\.csv: expected a header"):
        read_feature_table(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="expected rows below the header"):
        read_feature_table(write(tmp_path, rows=[]))


def test_tables_are_joined_by_the_names_of_their_columns(tmp_path):
    first = read_feature_table(write(tmp_path))
    turned = read_feature_table(
        write(tmp_path, HEADER.replace("lh_thickness,CSF", "CSF,lh_thickness"), name="b.csv")
    )
    joined = join_tables([first, turned])
    assert len(joined) == 4
    np.testing.assert_array_equal(joined.features_NF[2], first.features_NF[0][::-1])
    other = read_feature_table(write(tmp_path, HEADER.replace("CSF", "fluid"), name="c.csv"))
    with pytest.raises(DataError, match=r"got CSF, fluid in one of them only"):
        join_tables([first, other])
