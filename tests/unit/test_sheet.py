"""Sheets of measurements: what is read, and what is said of what is wrong."""

import pytest

from beamline_ophyd.grid import energy_grid
from beamline_ophyd.presets import preset
from beamline_ophyd.sheet import SheetError, read_sheet

GOOD = """\
# made by hand
sample,place,Edge,regions,Repeats,mode,comment,sample.formula

Fe foil,fe_foil,Fe-K,quick,2,Transmission,"thin, but whole",Fe
5,cu_foil,8979,,,,,
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="foils.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return to_file


def test_rows_with_their_numbers_and_defaults(write):
    first, second = read_sheet(write(GOOD)).rows
    assert (first.number, first.sample, first.where) == (4, "Fe foil", "fe_foil")
    assert (first.edge, first.regions, first.repeats) == ("Fe-K", "quick", 2)
    assert (first.mode, first.comment) == ("transmission", "thin, but whole")
    assert first.about == {"formula": "Fe"}
    assert first.region_options == preset("quick")
    assert len(first.grid) == len(energy_grid("Fe-K", **preset("quick")))
    assert (second.number, second.sample, second.edge) == (5, "5", 8979.0)
    assert (second.regions, second.repeats, second.mode) == ("exafs", 1, None)
    assert second.grid.element == "Cu"


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "utf-8"), ("\t", "utf-8-sig")])
def test_what_spreadsheets_save_as_csv(write, delimiter, encoding):
    path = write(GOOD.replace(",", delimiter), encoding=encoding)
    assert [row.number for row in read_sheet(path).rows] == [4, 5]


def test_an_xlsx_sheet_is_the_same_as_its_csv(write, tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["# made by hand"])
    book.active.append(["sample", "place", "edge", "regions", "repeats", "mode", "comment",
                        "sample.formula"])  # fmt: skip
    book.active.append([])
    book.active.append(["Fe foil", "fe_foil", "Fe-K", "quick", 2.0, "transmission",
                        "thin, but whole", "Fe"])  # fmt: skip
    book.active.append([5, "cu_foil", 8979])
    book.save(tmp_path / "foils.xlsx")
    found = read_sheet(tmp_path / "foils.xlsx")
    assert found.problems == ()
    assert [row.key for row in found.rows] == [row.key for row in read_sheet(write(GOOD)).rows]
    assert found.rows[1].sample == "5"


def test_every_problem_of_every_row_is_told_at_once(write):
    path = write("""\
sample,place,x,y,edge,regions,repeats,mode,settle_time,skip
,a,,,Fe-K,exafs,1,,,
b,,1,,Xx-K,none,0.5,photons,-1,maybe
c,c,1,2,Fe-K,,two,,nan,
d,,1,2,Fe-K,,,,,
e,,1,2,,,,,,,more
""")
    found = read_sheet(path)
    assert [row.sample for row in found.rows] == ["d"]
    said = {(p.row, p.column): p.words for p in found.problems}
    assert set(said) == {
        (2, "sample"), (3, "edge"), (3, "regions"), (3, "repeats"), (3, "mode"),
        (3, "settle_time"), (3, "skip"), (3, "y"), (4, "place"), (4, "repeats"),
        (4, "settle_time"), (6, "edge"), (6, "skip"),
    }  # fmt: skip
    assert "no element 'Xx'" in said[3, "edge"]
    assert said[3, "regions"] == "there is no preset 'none'; there are exafs, quick, xanes"
    assert said[4, "repeats"] == "two is no number; write it like 12.5"
    words = str(found.refused(found.problems))
    assert words.startswith(f"{path} has 13 problems; nothing has moved\n  row 2, column sample: ")


def test_an_edge_that_the_regions_do_not_fit_is_named(write):
    (problem,) = read_sheet(write("sample,edge,regions\na,Ti-L3,exafs\nb,Fe-K,exafs\n")).problems
    assert (problem.row, problem.column) == (2, "regions")
    assert "edge" in problem.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column sample and no column edge"),
        ("sample\na\n", "has no column edge"),
        ("sample,edge\n", "has no rows below its header"),
        ("sample,edge,Sample\na,Fe-K,a\n", "more than one column sample"),
        ("sample,edge,speed\na,Fe-K,1\n", "has the columns speed; it may have sample, edge, "),
        ("sample,edge,sample.name\na,Fe-K,b\n", "has the columns sample.name"),
        ('sample,edge\n"a,Fe-K\n', "cannot be read"),
    ],
)
def test_a_sheet_that_is_none(write, text, words):
    with pytest.raises(SheetError, match=words):
        read_sheet(write(text))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"sample,edge\n\xff\xfe,Fe-K\n", "is no text in UTF-8"),
        ("a.xlsx", b"sample,edge\n", "is no XLSX file"),
    ],
)
def test_a_file_of_another_kind(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SheetError, match=words):
        read_sheet(path)


def test_a_sheet_that_is_not_there(tmp_path):
    with pytest.raises(SheetError, match=r"none\.csv cannot be read"):
        read_sheet(tmp_path / "none.csv")


def test_a_row_is_known_by_what_it_measures(write):
    before = read_sheet(write("sample,edge,comment\na,Fe-K,\nb,Cu-K,\nb,Cu-K,\n")).rows
    after = read_sheet(write("sample,edge,comment\nz,Ni-K,\nb,Cu-K,good\na,Fe-K,\nb,Cu-K,\n")).rows
    assert len({row.key for row in before}) == 3
    assert after[1].key == before[1].key
    assert after[2].key == before[0].key
    assert after[3].key == before[2].key


def test_a_preset_that_changed_makes_another_measurement(write, tmp_path):
    sheet = write("sample,edge,regions\na,Fe-K,ours\n")
    presets = tmp_path / "presets.yaml"
    keys = []
    for stop in (50, 60):
        presets.write_text(f"ours: {{bounds: [-50, {stop}], steps: [5], times: [1]}}\n")
        keys.append(read_sheet(sheet, presets).rows[0].key)
    assert keys[0] != keys[1]
