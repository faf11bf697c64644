import subprocess
import sys
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamline_ophyd import ScanData
from beamline_ophyd.formats import nexus, nxxas
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.formats.problems import OutputError, ReadError
from beamline_ophyd.formats.run import RunBuilder
from beamline_ophyd.formats.validate import validate_file

MEASURED = [
    "Fe_Foil_rt_2016Foils.xdi",
    "Cu_Foil_rt_2016Foils.xdi",
    "Ni_metal_rt_02.xdi",
    "Ni2O3_rt_01.xdi",
]


def opened(path: Any, mode: str = "r") -> Any:
    return h5py.File(path, mode)


def test_columns_units_metadata_and_roles(xafs_documents):
    documents = xafs_documents()
    data = ScanData.from_documents(documents)
    assert data.uid == documents[0][1]["uid"]
    assert list(data.columns) == ["mono_energy", "I0", "It", "Ir", "dwell_time"]
    assert data.units["mono_energy"] == "eV"
    assert data.units["dwell_time"] == "s"
    assert data.metadata["start"] == documents[0][1]
    assert data.metadata["stop"] == documents[-1][1]
    assert data.metadata["families"]["Mono"]["name"] == "Si(111)"
    assert (data.about.element, data.about.edge, data.about.sample_name) == ("Fe", "K", "Fe foil")
    assert data.roles.channels == {"i0": "I0", "itrans": "It", "irefer": "Ir"}
    assert data.mode == "transmission"
    primary = f"{len(data.energy)} events of primary"
    assert f"run=<run {data.uid}: xafs_scan, {primary}, success>" in repr(data)


def test_mu_is_by_default_that_of_the_mode(xafs_documents):
    data = ScanData.from_documents(xafs_documents(mode="fluorescence"))
    mu, errors = data.mu()
    np.testing.assert_array_equal(mu, data.columns["If"] / data.columns["I0"])
    assert errors.shape == mu.shape == data.energy.shape


def test_sweeps_are_the_spectra_that_the_merge_is_made_of(xafs_documents):
    data = ScanData.from_documents(xafs_documents(repeats=3, taken=30))
    sweeps = data.sweeps()
    assert [len(sweep.index) for sweep in sweeps] == [12, 12, 6]
    np.testing.assert_array_equal(
        np.concatenate([sweep.channels["itrans"] for sweep in sweeps]), data.columns["It"]
    )
    total = sum(np.pad(s.channels["i0"], (0, 12 - len(s.index))) for s in sweeps)
    np.testing.assert_array_equal(total, data.merged().channels["i0"])


def test_run_that_is_no_spectrum_asks_for_a_mapping(xafs_documents):
    start, descriptor, *_ = xafs_documents(contract=False)
    descriptor[1]["data_keys"]["mono_energy"]["units"] = "deg"
    start[1]["hints"] = {}
    data = ScanData.from_documents([start, descriptor])
    assert data.roles is None
    with pytest.raises(ValueError, match=r"give mapping=.*mono_energy"):
        data.mu()


def test_journal_and_documents_are_equal(xafs_documents, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(encode_line(*item) for item in xafs_documents()))
    assert ScanData.from_journal(path) == ScanData.from_documents(xafs_documents())
    assert ScanData.from_journal(path) != ScanData.from_documents(xafs_documents(seed=2))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"repeats": 3, "taken": 20},
        {"mode": "fluorescence"},
        {"taken": 0, "exit_status": "abort", "reason": "no beam"},
        {"exit_status": None, "taken": 4},
        {"ev_per_count": None},
        {"contract": False},
        {"start": {"user": {"name": "Ann", "email": "ann@example.org"}, "x": [1, {"µ": None}]}},
    ],
)
def test_file_brings_every_document_back(xafs_documents, tmp_path, options):
    data = ScanData.from_documents(xafs_documents(**options))
    path = data.to_nexus(tmp_path / "a.nxs")
    back = ScanData.from_nexus(path)
    assert back == data
    if options.get("taken") != 0:
        assert back.mu()[0].tobytes() == data.mu()[0].tobytes()
    unfinished = [] if options.get("exit_status", "") is not None else ["unknown"]
    assert validate_file(path) == []
    with opened(path) as file:
        assert file["entry/bluesky/exit_status"].asstr()[()] in ["success", "abort", *unfinished]


@pytest.mark.parametrize("name", MEASURED)
def test_measured_spectra_come_back_to_the_last_bit(
    xafs_documents, measured_columns, tmp_path, name
):
    columns = measured_columns(name)
    points = len(columns["energy"])
    documents = xafs_documents(points=points, columns=columns)
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")
    back = ScanData.from_nexus(path)
    assert list(back.run.documents()) == documents
    with opened(path) as file:
        assert file["entry/energy"][()].tobytes() == columns["energy"].tobytes()
        assert file["entry/instrument/i0/data"][()].tobytes() == columns["i0"].tobytes()
        assert file["entry/instrument/itrans/data"][()].tobytes() == columns["itrans"].tobytes()
        expected = np.log(columns["i0"] / columns["itrans"])
        assert file["entry/intensity"][()].tobytes() == expected.tobytes()


scalars = st.one_of(
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(), max_size=10),
    st.lists(st.floats(), min_size=3, max_size=3),
    st.lists(st.integers(-5, 5), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@st.composite
def runs(draw):
    """Runs of any readings, valid documents or not: streams, several descriptors."""
    yield_ = [("start", {"uid": "r", "time": draw(st.floats(0, 4e9))})]
    extra = draw(st.dictionaries(st.text(max_size=6), scalars, max_size=3))
    yield_[0][1].update({k: v for k, v in extra.items() if k not in ("uid", "time")})
    kinds = {}
    seq_num = {}
    for number in range(draw(st.integers(0, 3))):
        stream = draw(st.sampled_from(["primary", "baseline", "a/b ."]))
        keys = draw(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=3))
        uid = f"d{number}"
        descriptor = {"uid": uid, "run_start": "r", "name": stream, "time": 0.0}
        descriptor["data_keys"] = {k: {"source": "s", "dtype": "number", "shape": []} for k in keys}
        descriptor["configuration"] = {}
        yield_.append(("descriptor", descriptor))
        for key in keys:
            kinds.setdefault((stream, key), draw(st.sampled_from(scalars.original_strategies)))
        for row in range(draw(st.integers(0, 3))):
            seq_num[stream] = seq_num.get(stream, 0) + 1
            yield_.append(
                (
                    "event",
                    {
                        "uid": f"{uid}-{row}",
                        "descriptor": uid,
                        "seq_num": seq_num[stream],
                        "time": draw(st.floats(allow_nan=False)),
                        "data": {k: draw(kinds[stream, k]) for k in keys},
                        "timestamps": {k: draw(st.floats(0, 4e9)) for k in keys},
                        "filled": {},
                    },
                )
            )
    if draw(st.booleans()):
        yield_.append(("stop", {"uid": "s", "run_start": "r", "time": 1.0, "exit_status": "fail"}))
    return yield_


@given(documents=runs())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_run_comes_back_from_a_file(documents, tmp_path):
    data = ScanData.from_documents(documents)
    back = ScanData.from_nexus(data.to_nexus(tmp_path / "a.nxs", mode="w"))
    assert back == data
    assert ScanData.from_documents(data.run.documents()) == data


def test_pages_and_single_events_are_the_same_run(xafs_documents):
    start, descriptor, *events, stop = xafs_documents()
    docs = [doc for _, doc in events]
    page = {"descriptor": docs[0]["descriptor"]}
    page |= {key: [doc[key] for doc in docs] for key in ("uid", "seq_num", "time")}
    for part in ("data", "timestamps"):
        page[part] = {key: [doc[part][key] for doc in docs] for key in docs[0][part]}
    paged = ScanData.from_documents([start, descriptor, ("event_page", page), stop])
    bulk = ScanData.from_documents(
        [start, descriptor, ("bulk_events", {docs[0]["descriptor"]: docs}), stop]
    )
    assert paged == bulk == ScanData.from_documents(xafs_documents())


def test_external_data_stay_as_references(xafs_documents, tmp_path):
    start, descriptor, *events, stop = xafs_documents()
    resource = {"uid": "sr", "run_start": start[1]["uid"], "data_key": "camera",
                "mimetype": "application/x-hdf5", "uri": "file://localhost/x.h5",
                "parameters": {}}  # fmt: skip
    datum = {"uid": "sr/0", "stream_resource": "sr", "descriptor": descriptor[1]["uid"],
             "indices": {"start": 0, "stop": 12}, "seq_nums": {"start": 1, "stop": 13}}  # fmt: skip
    camera = {"source": "x", "dtype": "array", "shape": [1, 4, 4], "external": "STREAM:"}
    descriptor[1]["data_keys"]["camera"] = camera
    documents = [start, ("stream_resource", resource), descriptor, *events,
                 ("stream_datum", datum), stop]  # fmt: skip
    data = ScanData.from_documents(documents)
    path = data.to_nexus(tmp_path / "a.nxs")
    assert ScanData.from_nexus(path) == data
    assert list(ScanData.from_nexus(path).run.documents()) == documents
    assert validate_file(path) == []


def test_file_of_another_program(tmp_path):
    """A classic NXxas file without any entry-level field of the draft."""
    path = tmp_path / "other.nxs"
    energy, i0, absorbed = np.linspace(7000, 7100, 5), np.full(5, 10.0), np.full(5, 5.0)
    with opened(path, "w") as file:
        entry = file.create_group("scan_1")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"], entry["title"] = "NXxas", "a foil"
        entry["start_time"] = "2020-01-02T03:04:05+01:00"
        entry["instrument/monochromator/energy"] = energy
        entry["instrument/incoming_beam/data"] = i0
        entry["instrument/absorbed_beam/data"] = absorbed
        entry["data/mode"] = "Transmission"
        entry["sample/name"] = "Fe"
    data = ScanData.from_nexus(path)
    np.testing.assert_array_equal(data.energy, energy)
    np.testing.assert_array_equal(data.mu()[0], np.log(i0 / absorbed))
    assert data.about.sample_name == "Fe"
    assert data.metadata["start"]["time"] == 1577930645.0


def test_files_without_a_run_are_refused(tmp_path):
    path = tmp_path / "x.h5"
    with opened(path, "w") as file:
        file["x"] = 1
    with pytest.raises(ReadError, match="no NXentry"):
        ScanData.from_nexus(path)
    with opened(path, "w") as file:
        file.create_group("e").attrs["NX_class"] = "NXentry"
    with pytest.raises(ReadError, match=r"no energy and detector arrays.*monochromator"):
        ScanData.from_nexus(path)


def test_newer_layout_is_refused(xafs_documents, tmp_path):
    path = ScanData.from_documents(xafs_documents()).to_nexus(tmp_path / "a.nxs")
    with opened(path, "a") as file:
        file["entry"].attrs["beamline_ophyd_layout"] = 99
    with pytest.raises(ReadError, match="layout 99"):
        ScanData.from_nexus(path)


def test_existing_file_is_kept_unless_told(xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents())
    path = data.to_nexus(tmp_path / "a.nxs")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        data.to_nexus(path)
    assert path.read_bytes() == before
    ScanData.from_documents(xafs_documents(seed=5)).to_nexus(path, mode="w")
    assert path.read_bytes() != before


def test_documents_without_a_start_are_refused(xafs_documents):
    with pytest.raises(ValueError, match="no start document"):
        ScanData.from_documents(xafs_documents()[1:])
    with pytest.raises(ValueError, match="second start"):
        ScanData.from_documents([*xafs_documents(), *xafs_documents(uid="other")])


def test_imports_are_lazy():
    code = """
import sys
import beamline_ophyd.grid
import beamline_ophyd
assert not {"h5py", "bluesky", "tiled", "ophyd"} & set(sys.modules), "loaded too early"
from beamline_ophyd import ScanData
assert "h5py" in sys.modules
try:
    beamline_ophyd.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=150)


@pytest.mark.parametrize(
    "start",
    [
        {"motors": 1.0},
        {"motors": "m"},
        {"motors": [["x"], 2]},
        {"hints": 1},
        {"hints": {"dimensions": 1}},
        {"hints": {"dimensions": [1, [["x"]], ["x", "primary"], [[1], "primary"]]}},
    ],
)
def test_words_of_a_plan_that_mean_nothing_cost_nothing(start, tmp_path):
    page = {"descriptor": "d", "seq_num": [1], "time": [0.0], "uid": ["a"],
            "data": {"x": [1.0]}, "timestamps": {"x": [0.0]}}  # fmt: skip
    data = ScanData.from_documents(
        [
            ("start", {"uid": "r", "time": 0.0, **start}),
            ("descriptor", {"uid": "d", "name": "primary", "data_keys": {"x": {}}}),
            ("event_page", page),
        ]
    )
    assert data.roles is None
    assert ScanData.from_nexus(data.to_nexus(tmp_path / "a.nxs")) == data


def odd_start(**odd):
    return lambda documents: documents[0][1].update(odd)


def odd_descriptor(**odd):
    return lambda documents: documents[1][1].update(odd)


def odd_event(**odd):
    return lambda documents: documents[5][1].update(odd)


ODD = {
    "ragged list of a family": odd_start(Scan={"regions": [[1, 2], [3]]}),
    "ragged list of a user": odd_start(user={"name": "Ann", "shifts": [[1], [2, 3]]}),
    "array as user": odd_start(user=np.array([1, 2])),
    "array as title": odd_start(title=np.array([1, 2])),
    "array as plan": odd_start(plan_name=np.array([1, 2])),
    "array as sample": odd_start(Sample={"name": np.array([1, 2])}),
    "device without configuration": odd_descriptor(configuration={"I0": None}),
    "device with a word for it": odd_descriptor(configuration={"I0": "none"}),
    "ragged configuration": odd_descriptor(
        configuration={"I0": {"data": {"I0_rois": [[1, 2], [3]]}, "data_keys": {"I0_rois": None}}}
    ),
    "hints as lists": odd_descriptor(hints={"I0": ["I0"]}),
    "stamp that is none": odd_event(timestamps={"I0": None, "It": "noon"}),
    "time that is none": odd_event(time=None),
    "key that is missing": lambda documents: documents[5][1]["data"].pop("Ir"),
    "stamp that is missing": lambda documents: documents[5][1]["timestamps"].pop("Ir"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("contract", [True, False])
def test_one_odd_value_costs_only_itself(xafs_documents, tmp_path, odd, contract):
    documents = xafs_documents(contract=contract, start=None if contract else {"hints": {}})
    odd(documents)
    (tmp_path / "r.jsonl").write_bytes(b"".join(encode_line(*item) for item in documents))
    data = ScanData.from_journal(tmp_path / "r.jsonl")
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == data
    assert len(data.columns["I0"]) == 12
    with opened(path) as file:
        assert ("definition" in file["entry"]) == contract


@pytest.mark.parametrize("bad", [{"seq_num": None}, {"data": [1.0]}, {"descriptor": "nobody's"}])
def test_journal_with_a_document_that_cannot_be_taken(xafs_documents, tmp_path, bad, caplog):
    documents = xafs_documents()
    documents[5][1].update(bad)
    (tmp_path / "r.jsonl").write_bytes(b"".join(encode_line(*item) for item in documents))
    data = ScanData.from_journal(tmp_path / "r.jsonl")
    assert "event document of the journal left out" in caplog.text
    assert data == ScanData.from_documents(documents[:5] + documents[6:])


def test_page_whose_lengths_differ_changes_nothing(xafs_documents):
    builder = RunBuilder()
    documents = xafs_documents(taken=2)
    for item in documents[:4]:
        builder.add(*item)
    uid = documents[1][1]["uid"]
    page = {"descriptor": uid, "seq_num": [3, 4], "data": {"I0": [1.0, 2.0], "It": [1.0]}}
    with pytest.raises(ValueError, match="2 sequence numbers with 1 values of 'It'"):
        builder.add("event_page", page)
    assert builder.points() == 2
    assert {len(c) for c in builder.snapshot().streams["primary"].columns.values()} == {2}


def test_part_that_cannot_be_made_is_left_out_and_told(
    xafs_documents, tmp_path, monkeypatch, caplog
):
    def broken(*args):
        raise RuntimeError("no idea")

    monkeypatch.setattr(nxxas, "merge", broken)
    for name in ("users", "sample", "header", "fields_of"):
        monkeypatch.setattr(nexus, name, broken)
    data = ScanData.from_documents(xafs_documents())
    path = data.to_nexus(tmp_path / "a.nxs")
    assert ScanData.from_nexus(path) == data
    for part in ("the spectrum", "users", "sample", "the header", "xdi/Mono"):
        assert f"{part} is left out of the file" in caplog.text
    with opened(path) as file:
        assert file["entry/data"].attrs["signal"] == "I0"
