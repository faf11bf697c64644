import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline_ophyd import ScanData
from beamline_ophyd.formats.problems import OutputError, ReadError
from beamline_ophyd.formats.xdi import XDIError
from beamline_ophyd.formats.xdi_dictionary import item_text, item_value, one_line
from beamline_ophyd.formats.xdi_read import HC_EV_ANGSTROM, parse_xdi

MEASURED = [
    "CuO_tenorite_13K_01.xdi",
    "Cu_Foil_rt_2016Foils.xdi",
    "Fe_metal_rt_01.xdi",
    "Ni2O3_rt_01.xdi",
    "Pb_Foil_L3_rt_2016Foils.xdi",
    "cu_metal_rt.xdi",
]


def written(xafs_documents, tmp_path, **options):
    return ScanData.from_documents(xafs_documents(**options)).to_xdi(tmp_path / "a.xdi")


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_first_line_required_recommended_and_defined_words(xafs_documents, tmp_path):
    start = {
        "Facility": {"name": "a ring", "xray_source": "undulator", "energy": 3.0, "Current": 200},
        "Sample": {"name": "rust", "formula": "Fe2O3", "temperature": 295.5, "pH": 7},
        "users": [{"name": "Ann"}, {"name": "Bob"}],
        "comment": "two\n  lines",
    }
    path = written(xafs_documents, tmp_path, start=start)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# XDI/1.0 bluesky/1.15.1 beamline_ophyd/")
    for line in (
        "# Element.symbol: Fe",
        "# Element.edge: K",
        "# Mono.name: Si(111)",
        "# Mono.d_spacing: 3.135601",
        "# Scan.edge_energy: 7112.0 eV",
        "# Detector.i0: N2, 15.0 cm",
        "# Detector.it: N2, 15.0 cm",
        "# Detector.ir: N2, 15.0 cm",
        "# Facility.energy: 3.0 GeV",
        "# Facility.current: 200 mA",
        "# Sample.temperature: 295.5 K",
        "# Sample.stoichiometry: Fe2 O3",
        "# Sample.experimenters: Ann, Bob",
        "# Sample.pH: 7",
        "# Column.1: energy eV",
        "# Column.3: itrans counts",
        "# beamline_ophyd.exit_status: success",
        "#   lines",
        "# energy i0 itrans irefer dwell_time mutrans murefer",
    ):
        assert line in lines
    (began,) = (line for line in lines if line.startswith("# Scan.start_time"))
    assert "2025-10-09T" in began
    assert began[-6] in "+-"


def test_xdi_comes_back_to_the_last_bit(xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents(repeats=3))
    back = ScanData.from_xdi(data.to_xdi(tmp_path / "a.xdi"))
    assert back.energy.tobytes() == data.energy.tobytes()
    assert back.mu()[0].tobytes() == data.mu()[0].tobytes()
    assert back.mu("reference")[0].tobytes() == data.mu("reference")[0].tobytes()
    assert (back.uid, back.mode) == (data.uid, data.mode)
    assert back.about.families["Sample"]["prep"] == "foil, 5 µm"
    assert back.metadata["start"]["scan_id"] == 7
    assert "# beamline_ophyd.readings_merged: 3" in (tmp_path / "a.xdi").read_text()


@pytest.mark.parametrize("name", MEASURED)
def test_measured_files_become_runs_and_go_through_every_form(
    reference_data, measured_columns, tmp_path, name
):
    columns = measured_columns(name)
    data = ScanData.from_file(reference_data / name)
    assert data.roles.channels.keys() == columns.keys() - {"energy"}
    for role, values in columns.items():
        assert data.columns[role].tobytes() == values.tobytes()
    nexus = ScanData.from_file(data.to_nexus(tmp_path / "a.nxs"))
    assert nexus == data
    again = ScanData.from_file(data.to_xdi(tmp_path / "a.xdi"))
    assert again.uid == data.uid
    assert again.mu()[0].tobytes() == data.mu()[0].tobytes()
    before, after = parse_xdi(reference_data / name), parse_xdi(tmp_path / "a.xdi")
    assert after.applications[: len(before.applications)] == before.applications
    assert after.comments == before.comments
    for family, items in before.fields.items():
        if family in ("ScanParameters", "GSE"):
            assert after.fields[family] == items


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"Element": {}}, "Element.symbol, Element.edge"),
        ({"Mono": {"name": "Si(111)"}}, "Mono.d_spacing"),
        ({"Mono": {"d_spacing": -1.0}}, "Mono.d_spacing"),
        ({"Mono": {"d_spacing": float("nan")}}, "Mono.d_spacing"),
    ],
)
def test_what_is_required_is_asked_for(xafs_documents, tmp_path, start, words):
    data = ScanData.from_documents(xafs_documents(start=start))
    with pytest.raises(XDIError, match=f"{words}.*give metadata"):
        data.to_xdi(tmp_path / "a.xdi")
    given = {"Element": {"symbol": "Fe", "edge": "K"}, "Mono": {"d_spacing": 3.1}}
    assert "Mono.d_spacing: 3.1" in data.to_xdi(tmp_path / "a.xdi", metadata=given).read_text()


def test_points_without_a_number_are_left_out_and_counted(xafs_documents, tmp_path):
    documents = xafs_documents()
    documents[4][1]["data"]["It"] = float("nan")
    documents[6][1]["data"]["Ir"] = float("inf")
    documents[8][1]["data"]["Ir"] = 0.0
    path = ScanData.from_documents(documents).to_xdi(tmp_path / "a.xdi")
    found = parse_xdi(path)
    assert found.table.shape == (10, 6)
    assert "murefer" not in found.labels  # one of its logarithms has no value
    assert found.fields["beamline_ophyd"]["points_left_out"] == "2"
    assert np.isfinite(found.table).all()


def test_run_without_points(xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents(taken=0))
    with pytest.raises(XDIError, match="no point"):
        data.to_xdi(tmp_path / "a.xdi")


def test_existing_file_is_kept_unless_asked(xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents())
    path = data.to_xdi(tmp_path / "a.xdi")
    with pytest.raises(OutputError, match="exists already"):
        data.to_xdi(path)
    assert data.to_xdi(path, mode="w") == path


def test_fluorescence(xafs_documents, tmp_path):
    path = written(xafs_documents, tmp_path, mode="fluorescence")
    back = ScanData.from_xdi(path)
    assert back.mode == "fluorescence"
    assert parse_xdi(path).labels == ("energy", "i0", "ifluor", "dwell_time", "mufluor")


def test_dialects(tmp_path):
    path = write(
        tmp_path / "a.xdi",
        "#xdi/1.1 A/1 B",
        "# column.1: Energy keV",
        "# Column.2: I0",
        "# ELEMENT.SYMBOL: fe",
        "# element.Symbol: Fe",
        "# Mono.D_Spacing:  3.1356",
        "# nonsense",
        "# Sample.name: rust: red",
        "# ///",
        "# # Sample.name: no",
        "#----",
        "# Energy I0 itrans extra",
        "  7.1  1e3 5e2 1",
        "",
        "7.2\t1.5E3 4e2 2",
    )
    found = parse_xdi(path)
    assert (found.version, found.applications) == ("1.1", ("A/1", "B"))
    assert found.labels == ("energy", "i0", "itrans", "extra")
    assert found.comments == "# Sample.name: no"
    data = ScanData.from_xdi(path)
    assert data.energy.tolist() == [7100.0, 7200.0]
    assert data.about.families["Mono"] == {"d_spacing": 3.1356}
    assert data.about.families["Sample"] == {"name": "rust: red"}
    assert data.about.element == "Fe"


@pytest.mark.parametrize(("unit", "factor"), [("degrees", 180 / np.pi), ("radians", 1.0)])
def test_angles_become_energies(tmp_path, unit, factor):
    theta = np.arcsin(HC_EV_ANGSTROM / (2 * 3.1356 * 7112.0))
    path = write(
        tmp_path / "a.xdi",
        "# XDI/1.0",
        f"# Column.1: angle {unit}",
        "# Column.2: i0",
        "# Column.3: itrans",
        "# Mono.d_spacing: 3.1356",
        "# ---",
        f"{float(theta * factor)!r} 2 1",
    )
    assert ScanData.from_xdi(path).energy == pytest.approx([7112.0], abs=1e-9)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["# nothing of the kind"], "no XDI file; the first line"),
        (["# XDI/1.0", "# ---", "1 2", "1 2 3"], "line 4: 3 values"),
        (["# XDI/1.0", "# ---", "1 2", "1 x"], "line 4: could not convert"),
    ],
)
def test_what_is_no_table_is_named_by_its_line(tmp_path, lines, words):
    with pytest.raises(ReadError, match=words):
        parse_xdi(write(tmp_path / "a.xdi", *lines))


def test_file_of_another_kind(tmp_path):
    with pytest.raises(ReadError, match="neither"):
        ScanData.from_file(write(tmp_path / "x", "text"))


def test_spectrum_without_raw_channels_has_columns_but_no_roles(tmp_path):
    path = write(tmp_path / "a.xdi", "# XDI/1.0", "# ---", "# energy mutrans", "7100 0.5")
    data = ScanData.from_xdi(path)
    assert data.columns["mutrans"].tolist() == [0.5]
    with pytest.raises(ValueError, match="give mapping"):
        data.mu()


@given(st.text(), st.sampled_from(["Sample", "Facility", "Own"]), st.text(max_size=5))
def test_any_value_is_one_line_and_comes_back_as_it_was_written(value, family, key):
    text = item_text(family, key, value)
    assert len(text.splitlines()) <= 1
    assert item_text(family, key, item_value(family, key, text)).split() == text.split()


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), ([1, 2], "[1,2]"), (3.5, "3.5"), (b"x", "b'x'")]
)
def test_values_that_are_no_text(value, text):
    assert one_line(value) == text
