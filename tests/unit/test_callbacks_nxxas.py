import datetime as dt
import math
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plans as bp
from bluesky import preprocessors as bpp
from ophyd.sim import det, det1, motor, motor1, motor2

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter, nxxas
from beamline_ophyd.callbacks._live_file import LiveFile
from beamline_ophyd.callbacks.nxxas import rebuild
from beamline_ophyd.formats.journal import encode_line, read_journal
from beamline_ophyd.formats.problems import OutputError
from beamline_ophyd.formats.validate import validate_file

from ..processes import child

DEADLINE_S = 60.0


def opened(path: Any, mode: str = "r") -> Any:
    return h5py.File(path, mode)


@pytest.fixture
def make_writer(tmp_path):
    made = []

    def make(folder=tmp_path, **options):
        made.append(NXxasWriter(folder, **options))
        return made[-1]

    yield make
    for writer in made:
        assert writer.close(DEADLINE_S)


def send(writer, documents):
    for item in documents:
        writer(*item)
    return writer.wait(DEADLINE_S)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_finished_run_is_one_valid_file(make_writer, xafs_documents, tmp_path):
    seen = []
    writer = make_writer(on_file=lambda *given: seen.append(given))
    documents = xafs_documents(repeats=2)
    assert send(writer, documents)
    assert writer.problems == []
    assert names(tmp_path) == ["00007_Fe_foil_Fe_K_6f2d9b1e.nxs"]
    path = writer.files[documents[0][1]["uid"]]
    assert seen == [(documents[0][1]["uid"], path, documents[0][1])]
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


def test_both_definitions_in_one_entry(make_writer, xafs_documents):
    writer = make_writer()
    documents = xafs_documents(repeats=2, start={"user": "Ann", "proposal": "P-12"})
    assert send(writer, documents)
    data = ScanData.from_documents(documents)
    mu, errors = data.mu()
    (path,) = writer.files.values()
    with opened(path) as file:
        assert file.attrs["default"] == "entry"
        entry = file["entry"]
        assert entry.attrs["beamline_ophyd_layout"] == 1

        def text(name):
            return entry[name].asstr()[()]

        assert text("definition") == "NXxas"
        assert text("entry_identifier_uuid") == data.uid
        assert dt.datetime.fromisoformat(text("start_time")).timestamp() == 1_760_000_000.25
        assert dt.datetime.fromisoformat(text("end_time")).tzinfo is not None
        assert entry["duration"][()] == 77
        assert entry["duration"].dtype.kind == "i"
        assert (text("element/symbol"), text("element/name")) == ("Fe", "iron")
        assert text("edge/name") == "K"
        assert entry["is_experimental"][()] == False  # noqa: E712 - a numpy bool
        np.testing.assert_array_equal(entry["intensity"], mu)
        np.testing.assert_array_equal(entry["intensity_errors"], errors)
        for link in ("data/energy", "instrument/monochromator/energy", "measurement/energy",
                     "instrument/energy/value", "instrument/positioners/energy"):  # fmt: skip
            assert entry[link] == entry["energy"]
        assert entry["energy"].attrs["target"] == "/entry/energy"
        assert next(iter(entry["measurement"])) == "energy"
        assert entry["measurement/sec"] == entry["monitor/count_time"]
        assert entry["instrument/incoming_beam/data"] == entry["instrument/i0/data"]
        assert entry["instrument/absorbed_beam/data"] == entry["instrument/itrans/data"]
        assert text("data/mode") == "Transmission"
        assert list(entry["data"].attrs["auxiliary_signals"]) == ["i0", "itrans", "iref"]
        assert text("monitor/mode") == "timer"
        assert entry["monitor/preset"][()] == 1.0
        crystal = entry["instrument/monochromator/crystal"]
        assert crystal["reflection"][()].tolist() == [1, 1, 1]
        assert crystal["type"].asstr()[()] == "Si"
        assert crystal["d_spacing"][()] == 3.135601
        i0 = entry["instrument/i0"]
        assert i0["detection_gas_path"][()] == 15.0
        assert i0["detection_gas_path"].attrs["units"] == "cm"
        assert i0["configuration/gas"].asstr()[()] == "N2"
        assert i0["configuration/ev_per_count"][()] == 2.5e6
        assert text("user/name") == "Ann"
        assert text("experiment_identifier") == "P-12"
        assert text("process/parameters/formula") == "intensity = numpy.log(i0 / itrans)"
        assert entry["process/parameters/e0_shift"][()] == 0.5
        assert entry["bluesky/points_planned"][()] == 24
        assert entry["bluesky/points_taken"][()] == 24
        assert len(entry["bluesky/streams/primary/data/I0"]) == 24
        assert text("bluesky/exit_status") == "success"
        assert text("xdi/Sample/prep") == "foil, 5 µm"


def test_file_can_be_read_while_it_grows(make_writer, xafs_documents, tmp_path):
    writer = make_writer()
    documents = xafs_documents(points=6, repeats=2)
    sent = []
    for item in documents[:-1]:
        writer(*item)
        sent.append(item)
        assert writer.wait(DEADLINE_S)
        (part,) = tmp_path.iterdir()
        assert part.name.endswith(".nxs.part")
        assert ScanData.from_nexus(part) == ScanData.from_documents(sent)
        with opened(part) as file:
            taken = len(sent) - 2
            assert file["entry/bluesky/exit_status"].asstr()[()] == "running"
            if taken >= 0:
                assert len(file["entry/data/intensity"]) == min(taken, 6)
    assert send(writer, documents[-1:])
    assert [p.suffix for p in tmp_path.iterdir()] == [".nxs"]


def test_flush_follows_by_age_alone(make_writer, xafs_documents, tmp_path):
    writer = make_writer(flush_interval=0.05)
    for item in xafs_documents(taken=5, exit_status=None):
        writer(*item)
    deadline = time.monotonic() + DEADLINE_S
    found = 0
    while found < 5 and time.monotonic() < deadline:
        parts = [p for p in tmp_path.iterdir() if p.suffix == ".part" and p.stat().st_size]
        found = len(ScanData.from_nexus(parts[0]).columns.get("I0", ())) if parts else 0
    assert found == 5


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.45), (0.05, 0.35), (0.09, 0.27), (5.0, 0.25)])
def test_time_that_a_flush_takes_is_part_of_what_is_promised(
    make_writer, xafs_documents, monkeypatch, took, pause
):
    clock = [100.0]
    monkeypatch.setattr(nxxas, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def save(live):
        clock[0] += took
        live.dirty = False
        return 0

    monkeypatch.setattr(LiveFile, "save", save)
    writer = make_writer(flush_interval=0.5)
    assert writer._worker.tick_interval == 0.25  # nothing is known yet of this machine
    assert send(writer, xafs_documents(taken=5, exit_status=None))
    assert writer._worker.tick_interval == pytest.approx(pause)
    # A document that comes as a flush begins waits for it, for the pause, for the next flush.
    if took <= 0.1:
        assert took + writer._worker.tick_interval + took <= 0.45 + 1e-9


FIRST_FLUSH = """
import pickle, sys
from beamline_ophyd.callbacks import NXxasWriter
writer = NXxasWriter(sys.argv[1])
for item in pickle.load(sys.stdin.buffer):
    writer(*item)
assert writer.wait(60)
assert not writer.problems, writer.problems
print(*sys.modules)
"""


def test_first_flush_waits_for_no_library_to_load(xafs_documents, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FLUSH, str(tmp_path)],
        input=pickle.dumps(xafs_documents()),
        capture_output=True,
        check=True,
        timeout=150,
    )
    loaded = set(done.stdout.decode().split())
    assert "h5py" in loaded
    assert not loaded & {"xraydb", "scipy", "sqlalchemy", "matplotlib", "tiled"}


@pytest.mark.parametrize("status", ["abort", "fail"])
def test_run_that_ended_badly_says_so(make_writer, xafs_documents, status):
    writer = make_writer()
    reason = "BL02:MONO:ENERGY did not arrive"
    assert send(writer, xafs_documents(taken=7, exit_status=status, reason=reason))
    (path,) = writer.files.values()
    assert validate_file(path) == []
    with opened(path) as file:
        collection = file["entry/bluesky"]
        assert collection["exit_status"].asstr()[()] == status
        assert collection["exit_reason"].asstr()[()] == reason
        assert collection["points_planned"][()] == 12
        assert collection["points_taken"][()] == 7
        assert len(file["entry/energy"]) == 7


def test_run_without_stop_is_finished_by_close(xafs_documents, tmp_path):
    writer = NXxasWriter(tmp_path)
    for item in xafs_documents(taken=3, exit_status=None):
        writer(*item)
    assert writer.close(DEADLINE_S)
    (path,) = writer.files.values()
    assert validate_file(path) == []
    with opened(path) as file:
        assert file["entry/bluesky/exit_status"].asstr()[()] == "unknown"
        assert "no stop document" in file["entry/bluesky/exit_reason"].asstr()[()]


def test_second_close_is_no_problem(xafs_documents, tmp_path):
    writer = NXxasWriter(tmp_path)
    for item in xafs_documents():
        writer(*item)
    assert writer.close(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    assert writer.problems == []


@pytest.mark.parametrize("keep", [1, 2])
def test_run_without_events(make_writer, xafs_documents, keep):
    writer = make_writer()
    documents = xafs_documents(taken=0, exit_status="abort")
    assert send(writer, [*documents[:keep], documents[-1]])
    assert writer.problems == []
    (path,) = writer.files.values()
    assert validate_file(path) == []


def test_interleaved_runs(make_writer, xafs_documents):
    writer = make_writer()
    runs = [xafs_documents(uid=f"run{n}", seed=n) for n in range(3)]
    for items in zip(*runs, strict=True):
        for item in items:
            writer(*item)
    assert writer.wait(DEADLINE_S)
    for run in runs:
        path = writer.files[run[0][1]["uid"]]
        assert ScanData.from_nexus(path) == ScanData.from_documents(run)


@pytest.fixture
def run_engine():
    return RunEngine({})


def test_runs_of_other_plans_get_a_plain_entry(make_writer, run_engine):
    writer = make_writer(template="{plan_name}")
    run_engine.subscribe(writer)
    run_engine(bp.count([det1], 3))
    run_engine(bp.scan([det], motor, -1, 1, 5))
    run_engine(bp.grid_scan([det1], motor1, 0, 1, 3, motor2, 0, 1, 2))
    run_engine(
        bpp.baseline_wrapper(bp.scan([det], motor, 0, 1, 2, md={"plan_name": "b"}), [motor1])
    )
    assert writer.wait(DEADLINE_S)
    assert writer.problems == []
    files = {path.stem: path for path in writer.files.values()}
    assert sorted(files) == ["b", "count", "grid_scan", "scan"]
    for path in files.values():
        assert validate_file(path) == []
    with opened(files["scan"]) as file:
        data = file["entry/data"]
        assert data.attrs["signal"] == "det"
        assert list(data.attrs["axes"]) == ["motor"]
        assert data["motor"][()].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
        assert "definition" not in file["entry"]
    with opened(files["b"]) as file:
        assert len(file["entry/bluesky/streams/baseline/data/motor1"]) == 2


def test_absorption_run_of_a_foreign_plan_needs_only_a_mapping(make_writer, run_engine):
    mapping = {"energy": "motor", "i0": "det", "itrans": "det1"}
    writer = make_writer(mapping=mapping)
    run_engine.subscribe(writer)
    run_engine(bp.scan([det, det1], motor, 1, 2, 5, md={"Element": {"symbol": "Fe", "edge": "K"}}))
    assert writer.wait(DEADLINE_S)
    (path,) = writer.files.values()
    with opened(path) as file:
        assert file["entry/definition"].asstr()[()] == "NXxas"
        intensity = file["entry/intensity"][:]
    read = ScanData.from_file(path)
    assert read.roles.channels == {"i0": "det", "itrans": "det1"}
    np.testing.assert_array_equal(read.mu()[0], intensity)


def test_strings_enums_arrays_and_nan(make_writer):
    from beamline_ophyd.formats.journal import dumps

    writer = make_writer()
    values = [
        ("closed", float("nan"), [1.0, 2.0]),
        ("open", float("inf"), [3.0, float("nan")]),
        ("µ\0", -0.0, [5.0, 6.0]),
    ]
    keys = {k: {"source": "x", "dtype": "string", "shape": []} for k in ("state", "x", "mca 1")}
    documents = [
        ("start", {"uid": "r", "time": 0.0}),
        ("descriptor", {"uid": "d", "run_start": "r", "name": "primary", "data_keys": keys}),
    ]
    for row, (state, x, mca) in enumerate(values):
        data = {"state": state, "x": x, "mca 1": mca}
        stamps = dict.fromkeys(data, 0.0)
        event = {"uid": f"e{row}", "descriptor": "d", "seq_num": row + 1, "time": 0.0}
        documents.append(("event", event | {"data": data, "timestamps": stamps}))
    documents.append(
        ("stop", {"uid": "s", "run_start": "r", "time": 1.0, "exit_status": "success"})
    )
    assert send(writer, documents)
    (path,) = writer.files.values()
    assert validate_file(path) == []
    back = [d["data"] for name, d in ScanData.from_nexus(path).run.documents() if name == "event"]
    expected = [d["data"] for name, d in documents if name == "event"]
    back = [{key: getattr(v, "tolist", lambda v=v: v)() for key, v in row.items()} for row in back]
    assert dumps(back) == dumps(expected)


ODD_READINGS = {
    "open": ("boolean", [], [True, False, True]),
    "range": ("integer", [], [2, 0, 1]),  # an enum by its number, with its words beside it
    "found": ("array", [None], [[1.0, 2.0], [], [3.0, 4.0, 5.0]]),
    "rows": ("array", [2, None], [[[1, 2], [3]], [[4], [5]], [[], []]]),
    "names": ("array", [2], [["a", "b"], ["c", "µ"], ["", "d"]]),
    "huge": ("integer", [], [2**63 - 1, -(2**63), 0]),
}


def test_booleans_enums_and_arrays_of_any_shape(make_writer):
    keys = {
        key: {"source": "x", "dtype": dtype, "shape": shape}
        for key, (dtype, shape, _) in ODD_READINGS.items()
    }
    keys["range"] |= {"choices": ["1 nA/V", "10 nA/V", "100 nA/V"]}
    documents = [
        ("start", {"uid": "r", "time": 0.0}),
        ("descriptor", {"uid": "d", "run_start": "r", "name": "primary", "data_keys": keys}),
    ]
    for row in range(3):
        data = {key: values[row] for key, (_, _, values) in ODD_READINGS.items()}
        event = {"uid": f"e{row}", "descriptor": "d", "seq_num": row + 1, "time": float(row)}
        documents.append(("event", event | {"data": data, "timestamps": dict.fromkeys(data, 0.0)}))
    documents.append(
        ("stop", {"uid": "s", "run_start": "r", "time": 3.0, "exit_status": "success"})
    )
    writer = make_writer()
    for item in documents:
        assert send(writer, [item])  # on disk one by one: types and shapes come up on the way
    assert writer.problems == []
    path = writer.files["r"]
    assert validate_file(path) == []
    back = [doc for name, doc in ScanData.from_nexus(path).run.documents() if name == "event"]
    for key, (_, _, values) in ODD_READINGS.items():
        found = [event["data"][key] for event in back]
        assert found == values, key
        assert [type(value) for value in found] == [type(value) for value in values], key
    with opened(path) as file:
        data = file["entry/bluesky/streams/primary/data"]
        assert data["open"].dtype == bool
        assert data["huge"][()].tolist() == ODD_READINGS["huge"][2]
        # What has no one shape stands as text that says so.
        assert {key for key in data if "encoding" in data[key].attrs} == {"found", "rows", "names"}


@pytest.mark.slow("a million points")
def test_a_million_points_as_event_pages(make_writer, tmp_path):
    points, rows = 1_000_000, 50_000
    random = np.random.default_rng(1)
    columns = {
        "energy": np.linspace(7000.0, 8000.0, points),
        "I0": random.normal(1e6, 1e3, points),
        "It": random.normal(5e5, 1e3, points),
    }
    keys = {key: {"source": "x", "dtype": "number", "shape": []} for key in columns}
    keys["energy"]["units"] = "eV"
    writer = make_writer(mapping={"energy": "energy", "i0": "I0", "itrans": "It"})
    writer("start", {"uid": "r", "time": 0.0, "num_points": points})
    writer(
        "descriptor",
        {"uid": "d", "run_start": "r", "name": "primary", "time": 0.0, "data_keys": keys},
    )
    for first in range(0, points, rows):
        numbers = range(first, first + rows)
        times = [1e-4 * number for number in numbers]
        page = {"descriptor": "d", "seq_num": [number + 1 for number in numbers], "time": times}
        page |= {"uid": [f"e{number}" for number in numbers], "filled": {}}
        page["data"] = {key: column[first : first + rows] for key, column in columns.items()}
        writer("event_page", page | {"timestamps": dict.fromkeys(columns, times)})
    writer("stop", {"uid": "s", "run_start": "r", "time": 100.0, "exit_status": "success"})
    assert writer.close(10 * DEADLINE_S)
    assert writer.problems == []
    with opened(writer.files["r"]) as file:
        assert file["entry/bluesky/points_taken"][()] == points
        assert file["entry/energy"][()].tobytes() == columns["energy"].tobytes()
        expected = np.log(columns["I0"] / columns["It"])
        assert file["entry/intensity"][()].tobytes() == expected.tobytes()
        events = file["entry/bluesky/streams/primary"]
        assert events["seq_num"][[0, points - 1]].tolist() == [1, points]
        assert events["uid"].asstr()[points - 1] == f"e{points - 1}"
        for key, column in columns.items():
            assert events[f"data/{key}"][()].tobytes() == column.tobytes()


@pytest.mark.parametrize("step", [-3600.0, 3600.0, -1e9])
def test_clock_that_is_set_in_mid_run(make_writer, xafs_documents, step):
    expected = ScanData.from_documents(xafs_documents(6, 2))
    documents = xafs_documents(6, 2)
    for name, doc in documents[2 + 4 :]:
        doc["time"] += step
        if name == "event":
            doc["timestamps"] = {key: stamp + step for key, stamp in doc["timestamps"].items()}
    writer = make_writer(repeats="entries")
    assert send(writer, documents)
    assert writer.problems == []
    (path,) = writer.files.values()
    assert validate_file(path) == []
    back = ScanData.from_nexus(path)
    assert list(back.run.documents()) == documents
    np.testing.assert_array_equal(back.mu()[0], expected.mu()[0])
    with opened(path) as file:
        # How long it took nobody knows, if the clock says that it ended before it began.
        for entry, seconds in (("entry", 77), ("entry_sweep_1", 4), ("entry_sweep_2", 4)):
            steps = step if entry != "entry_sweep_2" else 0.0
            if seconds + steps < 0:
                assert "duration" not in file[entry]
            else:
                assert file[entry]["duration"][()] == pytest.approx(seconds + steps, abs=1)


@pytest.mark.parametrize("last", [None, 3, "a\0"])
def test_column_that_changes_its_type_in_mid_run(make_writer, tmp_path, last):
    writer = make_writer()
    keys = {k: {"source": "x", "dtype": "string", "shape": []} for k in ("state", "x")}
    documents = [
        ("start", {"uid": "r", "time": 0.0}),
        ("descriptor", {"uid": "d", "run_start": "r", "name": "primary", "data_keys": keys}),
    ]
    for row, (state, x) in enumerate([("open", 1.0), (last, 2.0), ("shut", "bad")]):
        event = {"uid": f"e{row}", "descriptor": "d", "seq_num": row + 1, "time": 0.0}
        data = {"state": state, "x": x}
        stamps = dict.fromkeys(data, 0.0)
        documents.append(("event", event | {"data": data, "timestamps": stamps}))
    documents.append(
        ("stop", {"uid": "s", "run_start": "r", "time": 1.0, "exit_status": "success"})
    )
    for item in documents:
        assert send(writer, [item])
    at_once = ScanData.from_documents(documents).to_nexus(tmp_path / "at once.nxs")
    assert validate_file(writer.files["r"]) == []
    assert ScanData.from_nexus(writer.files["r"]) == ScanData.from_nexus(at_once)
    with opened(writer.files["r"]) as live, opened(at_once) as whole:
        assert dict(live["entry"].attrs) == dict(whole["entry"].attrs)
        assert ("data" in live["entry"]) == ("data" in whole["entry"])


def test_taken_name_is_never_overwritten(make_writer, xafs_documents, tmp_path, caplog):
    (tmp_path / "Fe.nxs").write_text("precious")
    writer = make_writer(template="{element}")
    with pytest.raises(OutputError, match=r"Fe\.nxs exists already"):
        writer.preflight(xafs_documents()[0][1], num_points=10)
    assert send(writer, xafs_documents())
    assert (tmp_path / "Fe.nxs").read_text() == "precious"
    assert names(tmp_path) == ["Fe-2.nxs", "Fe.nxs"]
    assert "next free name" in caplog.text


def test_mode_w_replaces(make_writer, xafs_documents, tmp_path):
    (tmp_path / "Fe.nxs").write_text("old")
    writer = make_writer(template="{element}.nxs", mode="w")
    writer.preflight(xafs_documents()[0][1], num_points=10)
    assert send(writer, xafs_documents())
    assert names(tmp_path) == ["Fe.nxs"]
    assert validate_file(tmp_path / "Fe.nxs") == []


def test_runs_as_entries_of_one_file(make_writer, xafs_documents, tmp_path):
    writer = make_writer(template="{sample}", mode="a")
    uids = [f"{number}f2d9b1e-0000-4000-8000-000000000001" for number in range(3)]
    for number, uid in enumerate(uids):
        assert send(writer, xafs_documents(uid=uid, seed=number))
        assert names(tmp_path) == ["Fe_foil.nxs"]
        assert validate_file(tmp_path / "Fe_foil.nxs") == []
    assert writer.problems == []
    assert set(writer.files.values()) == {tmp_path / "Fe_foil.nxs"}
    with opened(tmp_path / "Fe_foil.nxs") as file:
        assert sorted(file) == ["entry", "entry_1", "entry_2"]
        assert file.attrs["default"] == "entry"
        assert file["entry_2/data/energy"] == file["entry_2/energy"]
        assert file["entry_2/energy"].attrs["target"] == "/entry_2/energy"
    for number, (uid, entry) in enumerate(zip(uids, ("entry", "entry_1", "entry_2"), strict=True)):
        data = ScanData.from_nexus(tmp_path / "Fe_foil.nxs", entry=entry)
        assert data == ScanData.from_documents(xafs_documents(uid=uid, seed=number))


def test_what_cannot_be_added_to_is_kept_beside(xafs_documents, tmp_path):
    (tmp_path / "run.nxs").write_text("no HDF5")
    writer = NXxasWriter(tmp_path, template="run", mode="a")
    send(writer, xafs_documents())
    assert writer.close(DEADLINE_S)
    assert (tmp_path / "run.nxs").read_text() == "no HDF5"
    assert "run.nxs could not be written" in str(writer.problems[0])
    part = ScanData.from_nexus(tmp_path / "run.nxs.part")
    assert part == ScanData.from_documents(xafs_documents())


def test_part_file_of_another_process_is_left_alone(make_writer, xafs_documents, tmp_path):
    (tmp_path / "Fe.nxs.part").write_text("somebody's")
    writer = make_writer(template="{element}")
    assert send(writer, xafs_documents())
    assert (tmp_path / "Fe.nxs.part").read_text() == "somebody's"
    assert validate_file(tmp_path / "Fe.nxs") == []


def test_template_with_subfolders_and_values_that_try_to_escape(
    make_writer, xafs_documents, tmp_path
):
    writer = make_writer(template="{date}/{sample}")
    start = {"Sample": {"name": "../../etc/passwd"}}
    assert send(writer, xafs_documents(start=start))
    (path,) = writer.files.values()
    assert path.parent.parent == tmp_path
    assert path.name == "etc_passwd.nxs"


@pytest.mark.parametrize(
    ("template", "name"),
    [("{scan_id}", "00007.nxs"), ("{scan_id:03d}", "007.nxs"), ("{scan_id:x}", "7.nxs")],
)
def test_scan_number_takes_a_format(make_writer, xafs_documents, tmp_path, template, name):
    writer = make_writer(template=template)
    assert send(writer, xafs_documents())
    assert names(tmp_path) == [name]


def test_run_whose_name_cannot_be_made_is_called_by_its_uid(make_writer, xafs_documents, tmp_path):
    writer = make_writer(template="{date}")
    documents = xafs_documents(uid="r/1", start={"time": 1e300})
    assert send(writer, documents)
    (problem,) = writer.problems
    assert "its name cannot be made" in str(problem)
    (path,) = writer.files.values()
    assert path.name == "r_1.nxs"
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "x"}, "mode is 'x'; give one of 'w-', 'w', 'a'"),
        ({"compression": 10}, "compression is 10; give a gzip level, 0"),
        ({"definition": "NXmx"}, "definition is 'NXmx'; give one of NXxas"),
        ({"template": "{place}"}, r"'place' is no field; allowed are .*\{sample\}"),
        ({"template": "../{uid}"}, "leaves the folder"),
        ({"template": "{}_{uid8}"}, r"'' is no field; allowed are .*\{sample\}"),
        ({"template": "{uid8:05d}"}, r"cannot be filled in.*allowed are .*\{sample\}"),
        ({"template": "{uid8!x}"}, r"cannot be filled in.*allowed are .*\{sample\}"),
        ({"template": "{uid8"}, r"expected '}'.*allowed are .*\{sample\}"),
        ({"mapping": {"i0": "I0"}}, r"mapping has no energy; give one such as \{"),
        ({"mapping": {"energy": "E", "I0": "I0"}}, "mapping has I0; it takes energy, i0, itrans"),
        ({"mapping": {"energy": 3}}, "mapping has 3 as energy; give the name of a data key"),
        ({"mapping": {"energy": "E", "mode": "magic"}}, "has mode 'magic'; give one of 'transm"),
        ({"flush_interval": -1.0}, "flush_interval is -1.0; give seconds, more than 0"),
        ({"flush_interval": math.nan}, "flush_interval is nan; give seconds, more than 0"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        NXxasWriter(tmp_path, **options)


def test_preflight_names_the_folder_and_the_remedy(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"absent does not exist; create it"):
        NXxasWriter(tmp_path / "absent").preflight({}, num_points=10)
    with pytest.raises(OutputError, match=r"/proc is not writable"):
        NXxasWriter("/proc").preflight({}, num_points=10)
    writer = NXxasWriter(tmp_path)
    writer.preflight({}, num_points=10)
    points = shutil.disk_usage(tmp_path).free // 1000
    with pytest.raises(OutputError, match=r"MB left, a run of \d+ points may need"):
        writer.preflight({}, num_points=points)
    assert names(tmp_path) == []


def test_documents_of_no_run_are_reported_not_raised(make_writer):
    writer = make_writer()
    writer("event", {"descriptor": "nobody's", "seq_num": 1})
    writer("start", {})
    assert writer.wait(DEADLINE_S)
    assert len(writer.problems) == 2


def test_contract_that_is_broken_costs_only_the_definition(make_writer, xafs_documents):
    writer = make_writer()
    documents = xafs_documents()
    documents[0][1]["xafs"]["points_per_sweep"] = -1
    assert send(writer, documents)
    (problem,) = writer.problems
    assert "points_per_sweep" in str(problem)
    (path,) = writer.files.values()
    assert validate_file(path) == []


def test_run_that_does_not_say_its_edge(make_writer, xafs_documents, caplog):
    writer = make_writer()
    documents = xafs_documents()
    del documents[0][1]["Element"]
    assert send(writer, documents)
    assert writer.problems == []
    assert 'give md={"Element"' in caplog.text
    (path,) = writer.files.values()
    assert validate_file(path) == []


def test_on_file_that_raises_is_reported(make_writer, xafs_documents):
    def fail(uid, path, start):
        raise RuntimeError("no server")

    writer = make_writer(on_file=fail)
    assert send(writer, xafs_documents())
    assert "no server" in str(writer.problems[0])
    assert len(writer.files) == 1


def test_points_that_did_not_fit_are_filled_in_from_the_journal(xafs_documents, tmp_path):
    journal = Journal(tmp_path / "journal")
    hold, entered = threading.Event(), threading.Event()

    def on_file(uid, path, start):
        entered.set()
        assert hold.wait(DEADLINE_S)

    writer = NXxasWriter(tmp_path, journal=journal, on_file=on_file)
    for item in xafs_documents(uid="first"):
        writer(*item)
    assert entered.wait(DEADLINE_S)
    writer._worker._capacity = 5
    documents = xafs_documents(uid="second", points=50)
    for item in documents:
        journal(*item)
        writer(*item)
    gap = writer._worker.has_gap("second")
    hold.set()
    assert writer.close(DEADLINE_S)
    assert gap
    assert ScanData.from_nexus(writer.files["second"]) == ScanData.from_documents(documents)


def with_monitor(documents, readings):
    """The run with a monitor stream that goes on through it."""
    start, descriptor, *rest = documents
    run = start[1]["uid"]
    keys = {"ring_current": {"source": "x", "dtype": "number", "shape": []}}
    monitor = {"uid": f"{run}-m", "run_start": run, "name": "ring_monitor", "data_keys": keys}
    events = [
        ("event", {"uid": f"{run}-m{n}", "descriptor": f"{run}-m", "seq_num": n + 1, "time": 0.0,
                   "data": {"ring_current": 1.0 * n}, "timestamps": {"ring_current": 0.0}})
        for n in range(readings)
    ]  # fmt: skip
    return [start, descriptor, ("descriptor", monitor), *rest[:-1], *events, rest[-1]]


def after_a_gap(first, documents, folder, damage=lambda journal: None):
    """The writer, once it has dealt with a run of which it could not take more than 5 points."""
    hold, entered = threading.Event(), threading.Event()

    def on_file(uid, path, start):
        entered.set()
        assert hold.wait(DEADLINE_S)

    journal = Journal(folder / "journal")
    writer = NXxasWriter(folder, journal=journal, on_file=on_file)
    for item in first:
        writer(*item)
    assert entered.wait(DEADLINE_S)
    writer._worker._capacity = 5
    for item in documents:
        journal(*item)
        writer(*item)
    assert writer._worker.has_gap(documents[0][1]["uid"])
    damage(journal)
    hold.set()
    assert writer.close(DEADLINE_S)
    return writer


def test_readings_of_a_monitor_that_were_dropped_come_from_the_journal(xafs_documents, tmp_path):
    documents = with_monitor(xafs_documents(uid="second", taken=4), readings=20)
    writer = after_a_gap(xafs_documents(uid="first"), documents, tmp_path)
    found = ScanData.from_nexus(writer.files["second"])
    assert found == ScanData.from_documents(documents)
    assert len(found.run.streams["ring_monitor"]) == 20


def test_gap_with_a_journal_that_raises_of_any_kind(xafs_documents, tmp_path, monkeypatch):
    def unreadable(*args):
        raise KeyError("uid")

    documents = xafs_documents(uid="second", points=50)

    def damage(journal):
        monkeypatch.setattr(nxxas, "builder_from", unreadable)

    writer = after_a_gap(xafs_documents(uid="first"), documents, tmp_path, damage)
    assert any("not readable: KeyError('uid')" in str(p) for p in writer.problems)
    assert len(ScanData.from_nexus(writer.files["second"]).columns["I0"]) == 5


def test_gap_without_a_journal_costs_only_the_points_in_it(xafs_documents, tmp_path):
    hold, entered = threading.Event(), threading.Event()

    def on_file(uid, path, start):
        entered.set()
        assert hold.wait(DEADLINE_S)

    writer = NXxasWriter(tmp_path, journal=Journal(tmp_path / "not subscribed"), on_file=on_file)
    for item in xafs_documents(uid="first"):
        writer(*item)
    assert entered.wait(DEADLINE_S)
    writer._worker._capacity = 5
    for item in xafs_documents(uid="second", points=50):
        writer(*item)
    hold.set()
    assert writer.close(DEADLINE_S)
    assert validate_file(writer.files["second"]) == []
    assert len(ScanData.from_nexus(writer.files["second"]).columns["I0"]) == 5
    assert any("points are missing" in str(p) for p in writer.problems)


def test_folder_removed_in_mid_run(xafs_documents, tmp_path):
    journal, folder = Journal(tmp_path / "journal"), tmp_path / "files"
    folder.mkdir()
    writer = NXxasWriter(folder, journal=journal)
    documents = xafs_documents()
    for number, item in enumerate(documents):
        journal(*item)
        writer(*item)
        if number == 6:
            assert writer.wait(DEADLINE_S)
            shutil.rmtree(folder)
    assert not writer.wait(DEADLINE_S)
    uid = documents[0][1]["uid"]
    assert uid not in writer.files
    assert any(str(folder) in str(p) and "rebuild(" in str(p) for p in writer.problems)
    assert read_journal(journal.path(uid)).complete
    folder.mkdir()
    path = rebuild(journal.path(uid), folder)
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)
    assert validate_file(path) == []
    writer.close(DEADLINE_S)


def test_run_that_could_not_be_written_is_tried_again(xafs_documents, tmp_path):
    folder = tmp_path / "files"
    writer = NXxasWriter(folder, template="{uid}")
    assert not send(writer, xafs_documents(uid="first"))
    folder.mkdir()
    assert send(writer, xafs_documents(uid="second"))
    assert names(folder) == ["first.nxs", "second.nxs"]
    assert sorted(writer.files) == ["first", "second"]
    assert writer.close(DEADLINE_S)


def test_file_is_written_when_there_is_room_again_though_nothing_is_measured(
    xafs_documents, tmp_path, monkeypatch
):
    monkeypatch.setattr(nxxas, "RETRY_S", 0.02)
    folder, written = tmp_path / "files", threading.Event()
    writer = NXxasWriter(folder, template="run", on_file=lambda *_: written.set())
    assert not send(writer, xafs_documents())
    assert not writer.wait(DEADLINE_S)
    folder.mkdir()
    assert written.wait(DEADLINE_S)
    assert names(folder) == ["run.nxs"]
    assert writer.close(DEADLINE_S)


def test_next_run_is_written_while_the_disk_takes_the_one_before(
    xafs_documents, tmp_path, monkeypatch
):
    both, taken, sync = threading.Event(), threading.Event(), os.fsync
    syncing = []

    def slow(file):
        syncing.append(file)
        if len(syncing) == 2:
            both.set()
        assert taken.wait(DEADLINE_S)
        sync(file)

    monkeypatch.setattr(os, "fsync", slow)
    named = []
    writer = NXxasWriter(tmp_path, template="{uid}", on_file=lambda uid, *_: named.append(uid))
    with writer._worker._cond:  # the writer's thread finds the documents of both in its queue
        for item in (*xafs_documents(uid="first"), *xafs_documents(uid="second")):
            writer(*item)
    assert both.wait(DEADLINE_S)
    assert named == []
    assert names(tmp_path) == ["first.nxs.part", "second.nxs.part"]
    assert not writer.wait(0.0)
    assert validate_file(tmp_path / "first.nxs.part") == []
    taken.set()
    assert writer.wait(DEADLINE_S)
    assert names(tmp_path) == ["first.nxs", "second.nxs"]
    assert named == ["first", "second"]
    assert writer.close(DEADLINE_S)


def test_file_that_the_disk_refuses_at_last_has_no_name_and_is_written_again(
    xafs_documents, tmp_path, monkeypatch
):
    monkeypatch.setattr(nxxas, "RETRY_S", 0.02)
    refusals, sync, written = [OSError(5, "Input/output error")], os.fsync, threading.Event()

    def refusing(file):
        if refusals:
            raise refusals.pop()
        sync(file)

    monkeypatch.setattr(os, "fsync", refusing)
    writer = NXxasWriter(tmp_path, template="run", on_file=lambda *_: written.set())
    send(writer, xafs_documents())
    assert written.wait(DEADLINE_S)
    assert "Input/output error; it is tried again" in str(writer.problems[0])
    assert writer.close(DEADLINE_S)
    assert names(tmp_path) == ["run.nxs"]
    assert validate_file(tmp_path / "run.nxs") == []


def test_rebuild_of_a_journal_that_was_cut_short(xafs_documents, tmp_path):
    lines = [encode_line(*item) for item in xafs_documents()]
    journal = tmp_path / "r.jsonl"
    journal.write_bytes(b"".join(lines[:8]) + lines[8][:30])
    path = rebuild(journal, tmp_path, template="{element}", compression=0)
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_documents(xafs_documents()[:8])
    with opened(path) as file:
        assert file["entry/bluesky/exit_status"].asstr()[()] == "unknown"
    with pytest.raises(TypeError, match="nonsense"):
        rebuild(journal, tmp_path, nonsense=1)
    journal.write_bytes(b"")
    with pytest.raises(OutputError, match="no start document"):
        rebuild(journal, tmp_path)


LIMITED = """
import pickle, resource, signal, sys
from beamline_ophyd.callbacks import Journal, NXxasWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = sys.argv[1]
documents = pickle.load(sys.stdin.buffer)
writer = NXxasWriter(folder, template="run")
for item in documents[:10]:
    writer(*item)
assert writer.wait(30)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
for item in documents[10:-1]:
    writer(*item)
assert not writer.wait(30)
assert any("File too large" in str(p) for p in writer.problems), writer.problems
if sys.argv[2] == "freed":
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer(*documents[-1])
assert writer.wait(30) == (sys.argv[2] == "freed")
assert writer.close(30)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limits here")
@pytest.mark.parametrize("end", ["freed", "full"])
def test_full_disk(xafs_documents, tmp_path, end):
    """The process lives on; what was on disk stays; with room again the file is whole."""
    documents = xafs_documents(points=50)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), end],
        input=pickle.dumps(documents),
        capture_output=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr.decode()
    if end == "freed":
        assert names(tmp_path) == ["run.nxs"]
        assert ScanData.from_nexus(tmp_path / "run.nxs") == ScanData.from_documents(documents)
    else:
        assert names(tmp_path) == ["run.nxs.part"]
        left = ScanData.from_nexus(tmp_path / "run.nxs.part")
        assert left == ScanData.from_documents(documents[:10])


ENDLESS = """
import pickle, sys
from beamline_ophyd.callbacks import Journal, NXxasWriter
start, descriptor, *events = pickle.load(sys.stdin.buffer)
journal, writer = Journal(sys.argv[1] + "/journal"), NXxasWriter(sys.argv[1])
for item in (start, descriptor):
    journal(*item)
    writer(*item)
row = 0
while True:
    event = dict(events[row % len(events)][1], seq_num=row + 1, uid=f"e{row}")
    journal("event", event)
    writer("event", event)
    row += 1
    if row == int(sys.argv[2]):
        writer.wait()
        print("flushed", row, flush=True)
    if row > int(sys.argv[2]):
        writer.wait(0.001)
"""


@pytest.mark.parametrize("after", [0.0, 0.013, 0.31, 0.77])
def test_sigkill_leaves_a_file_that_opens_and_a_whole_journal(xafs_documents, tmp_path, after):
    documents = xafs_documents(points=50, exit_status=None)
    command = [sys.executable, "-c", ENDLESS, str(tmp_path), "100"]
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(pickle.dumps(documents))
        process.stdin.close()
        assert process.stdout.readline() == b"flushed 100\n"
        killed = threading.Timer(after, process.kill)
        killed.start()
        assert process.wait(DEADLINE_S) == -signal.SIGKILL
    (journal,) = (tmp_path / "journal").iterdir()
    contents = read_journal(journal)
    assert contents.damaged == ()
    kept = [doc["seq_num"] for name, doc in contents.documents if name == "event"]
    assert kept == list(range(1, len(kept) + 1))
    (part,) = tmp_path.glob("*.part")
    found = ScanData.from_nexus(part)
    assert 100 <= len(found.columns["I0"]) <= len(kept)
    rows = len(found.columns["I0"])
    assert found == ScanData.from_documents(contents.documents[: rows + 2])
    path = rebuild(journal, tmp_path)
    assert len(ScanData.from_nexus(path).columns["I0"]) == len(kept)


def test_writer_costs_the_run_engine_next_to_nothing(make_writer, xafs_documents):
    """Handing over is a matter of microseconds, whatever the thread is busy with."""
    writer = make_writer()
    documents = xafs_documents(points=2000)
    began = time.thread_time()
    for item in documents:
        writer(*item)
    assert (time.thread_time() - began) / len(documents) < 200e-6
    assert writer.wait(DEADLINE_S)


def test_fork_leaves_the_parents_files_alone(make_writer, xafs_documents):
    writer = make_writer()
    documents = xafs_documents()
    assert send(writer, documents[:6])
    child = os.fork()
    if child == 0:
        for item in documents[6:]:
            writer(*item)
        os._exit(0 if not writer.close(1.0) and not writer.files else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert send(writer, documents[6:])
    (path,) = writer.files.values()
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)
