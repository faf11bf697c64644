import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.apart import validate_files
from beamline_ophyd.formats.validate import validate_file

from ..kinds import documents_of


@pytest.fixture(scope="module")
def original(xafs_documents, tmp_path_factory):
    """A file without a fault, of which each test has a copy."""
    path = tmp_path_factory.mktemp("original") / "a.nxs"
    ScanData.from_documents(xafs_documents()).to_nexus(path)
    assert validate_file(path) == []
    return path


@pytest.fixture
def good(original, tmp_path):
    return Path(shutil.copy(original, tmp_path))


def with_baseline(documents, key):
    """The run with a baseline reading of one data key, in no unit of energy."""
    start, *rest = documents
    run = start[1]["uid"]
    descriptor = {
        "uid": f"{run}-b",
        "run_start": run,
        "name": "baseline",
        "time": 0.0,
        "data_keys": {key: {"source": "x", "dtype": "number", "shape": [], "units": "J"}},
    }
    event = {
        "uid": f"{run}-b0",
        "descriptor": f"{run}-b",
        "seq_num": 1,
        "time": 0.0,
        "data": {key: 1.5},
        "timestamps": {key: 0.0},
    }
    return [start, ("descriptor", descriptor), ("event", event), *rest]


def delete(path):
    def damage(file: Any):
        del file[path]

    return damage


def replace(path, value, **attrs):
    def damage(file: Any):
        old = dict(file[path].attrs)
        del file[path]
        file[path] = value
        file[path].attrs.update({**{k: v for k, v in old.items() if k != "target"}, **attrs})

    return damage


def attribute(path, name, value):
    def damage(file: Any):
        if value is None:
            del file[path].attrs[name]
        else:
            file[path].attrs[name] = value

    return damage


def link(path, to):
    def damage(file: Any):
        if path in file:
            del file[path]
        file[path] = to

    return damage


DAMAGES = {
    "no entry": (attribute("entry", "NX_class", "NXcollection"), "no NXentry"),
    "no default": (attribute("/", "default", None), "nothing to plot"),
    "default of the entry": (attribute("entry", "default", "sample"), "is no NXdata"),
    "no default of the entry": (attribute("entry", "default", None), "no default attribute"),
    "short intensity": (replace("entry/intensity", np.zeros(3), units=""), "3,"),
    "short detector": (replace("entry/instrument/iref/data", np.zeros(5)), "for 12 energies"),
    "bad energies": (
        replace("entry/energy", np.full(12, np.nan), units="eV"),
        "not finite",
    ),
    "no unit": (attribute("entry/intensity", "units", None), "has no units"),
    "energy in degrees": (attribute("entry/energy", "units", "deg"), "has the unit 'deg'"),
    "naive time": (replace("entry/start_time", "2026-01-02T03:04:05"), "offset from UTC"),
    "no time": (replace("entry/end_time", "yesterday"), "'yesterday' is no ISO 8601"),
    "no start time": (delete("entry/start_time"), "no start_time"),
    "fractional duration": (replace("entry/duration", 77.5), "whole seconds"),
    "broken link": (link("entry/x", h5py.SoftLink("/nowhere")), "not there"),
    "external link": (link("entry/x", h5py.ExternalLink("/etc/hostname", "/")), "another file"),
    "wrong target": (attribute("entry/energy", "target", "/entry/title"), "not the same object"),
    "no signal": (attribute("entry/data", "signal", "mu"), "signal 'mu' is not there"),
    "no axis": (attribute("entry/data", "axes", ["theta"]), "axis 'theta' is not there"),
    "no auxiliary": (attribute("entry/data", "auxiliary_signals", ["x"]), "'x' is not there"),
    "no edge": (replace("entry/edge/name", "1s"), "'1s' is no edge"),
    "no energy": (delete("entry/energy"), "energy"),
    "unfinished": (replace("entry/bluesky/exit_status", "running"), "never finished"),
    "no status": (delete("entry/bluesky/exit_status"), "no exit_status"),
    "miscounted": (replace("entry/bluesky/points_taken", 13), "12 events are there"),
    "lost events": (
        replace("entry/bluesky/streams/primary/data/I0", np.zeros(4), units="counts"),
        "4 rows for 12 events",
    ),
    "no start document": (delete("entry/bluesky/documents/start"), "does not give its run back"),
    "broken document": (
        replace("entry/bluesky/documents/start", "{"),
        "does not give its run back",
    ),
    "no array": (replace("entry/bluesky/streams/primary/time", 3.0, units="s"), "is damaged"),
    "odd count": (replace("entry/bluesky/points_taken", np.zeros(2), units=""), "is damaged"),
    "odd target": (attribute("entry/energy", "target", np.zeros(2)), "is damaged"),
    "odd class": (replace("entry/data/energy", h5py.Empty("f8"), units="eV"), "is damaged"),
    "newer": (attribute("entry", "beamline_ophyd_layout", 9), "layout 9 is newer"),
}


KIND_DAMAGES = {
    "fractional counts": (
        "powder",
        replace("entry/instrument/detector/data", np.zeros(5), units="counts"),
        "counts are whole",
    ),
    "short pattern": (
        "powder",
        replace("entry/instrument/detector/data", np.zeros(3, int), units="counts"),
        "has (3,) values for (5,) angles",
    ),
    "no pattern": (
        "powder",
        delete("entry/instrument/detector/polar_angle"),
        "no detector with polar_angle and data",
    ),
    "map of another shape": ("mesh", replace("entry/data/x", np.zeros(7), units="um"), "axis 'x'"),
    "map without an axis": ("mesh", delete("entry/data/y"), "axis 'y' is not there"),
    "map without its signal": ("mesh", delete("entry/data/counter"), "'counter' is not there"),
    "fewer monitored": (
        "mesh",
        replace("entry/data/beam", np.zeros((2, 2)), units=""),
        "'beam' (2, 2) does not fit signal (2, 3)",
    ),
    "nothing plotted": ("count", attribute("entry", "default", "title"), "is no NXdata"),
    "log without units": ("baseline", attribute("entry/baseline/y/value", "units", None), "units"),
}


@pytest.mark.parametrize("name", list(KIND_DAMAGES))
def test_each_damage_of_other_kinds_is_named(tmp_path, name):
    kind, damage, words = KIND_DAMAGES[name]
    path = ScanData.from_documents(documents_of(kind)).to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    with h5py.File(path, "a") as file:
        damage(file)
    problems = validate_file(path, application=False)
    assert any(words in str(p) for p in problems), problems


def test_every_damage_has_a_reason_of_its_own(good, tmp_path):
    """What is said of one wrong file is said of no other, so that each check is needed."""
    said = {}
    for number, (name, (damage, _)) in enumerate(DAMAGES.items()):
        path = tmp_path / f"{number}.nxs"
        path.write_bytes(good.read_bytes())
        with h5py.File(path, "a") as file:
            damage(file)
        said[name] = frozenset(map(str, validate_file(path, application=False)))
    assert all(said.values())
    plain = {n: {w.replace(f"{i}.nxs", "") for w in s} for i, (n, s) in enumerate(said.items())}
    assert len(set(map(frozenset, plain.values()))) == len(DAMAGES)


@pytest.mark.parametrize("name", list(DAMAGES))
def test_each_damage_is_named(good, name):
    damage, words = DAMAGES[name]
    with h5py.File(good, "a") as file:
        damage(file)
    problems = validate_file(good, application=False)
    assert any(words in str(p) for p in problems), problems


def test_a_device_may_be_called_energy(xafs_documents, tmp_path):
    documents = with_baseline(xafs_documents(), "energy")
    assert validate_file(ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")) == []


def test_no_damaged_byte_stops_the_check(good, tmp_path):
    whole, random = good.read_bytes(), np.random.default_rng(1)
    paths = [tmp_path / f"{number}.nxs" for number in range(100)]
    for path in paths:
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 50):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
    found = validate_files([*paths, good], application=False)
    assert len(found) == len(paths) + 1
    assert all(str(problem) for problems in found for problem in problems)
    assert found[-1] == []
    # Most damage is found; some of it is in values that may be anything, or in unused room.
    assert sum(map(bool, found)) > len(paths) / 2


def test_what_only_the_definition_knows(good):
    with h5py.File(good, "a") as file:
        del file["entry/sample/name"]
    assert validate_file(good, application=False) == []
    (problem,) = validate_file(good)
    assert problem.where == "/entry/sample/name"
    assert "required" in problem.message


def test_what_is_no_hdf5_file(tmp_path):
    (tmp_path / "x").write_text("text")
    (problem,) = validate_file(tmp_path / "x")
    assert "cannot be read as HDF5" in str(problem)
    assert "cannot be read" in str(validate_file(tmp_path / "absent")[0])


def test_truncated_file(good):
    good.write_bytes(good.read_bytes()[:-1000])
    assert validate_file(good)


def test_validation_is_silent_and_leaves_the_validators_logger_alone(good, capsys):
    from nexusformat.nexus import validate

    before = list(validate.logger.handlers), validate.logger.level
    validate_file(good)
    assert (list(validate.logger.handlers), validate.logger.level) == before
    assert capsys.readouterr().out == ""


def test_values_in_a_code_that_they_are_not_in(xafs_documents, tmp_path):
    documents = xafs_documents()
    documents[1][1]["data_keys"]["state"] = {"source": "x", "dtype": "string", "shape": []}
    for name, doc in documents:
        if name == "event":
            doc["data"]["state"] = "open"
            doc["timestamps"]["state"] = 0.0
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    with h5py.File(path, "r+") as file:
        file["entry/bluesky/streams/primary/data/state"].attrs["encoding"] = "json"
    (problem,) = validate_file(path)
    assert "does not give its run back" in problem.message


def test_words_of_xdi_and_of_devices_mean_what_those_mean_by_them(xafs_documents, tmp_path):
    start = {
        "Scan": {"start_time": "2020-01-02T03:04:05", "end_time": "late", "duration": 1.5},
        "Sample": {"name": "foil", "energy": 5.0},
    }
    documents = xafs_documents(start=start)
    data = documents[1][1]["configuration"]["I0"]["data"]
    data |= {"I0_date": "yesterday", "I0_duration": 0.5, "I0_energy": 9.0}
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")
    with h5py.File(path) as file:
        assert "entry/xdi/Scan/duration" in file
        assert "entry/instrument/i0/configuration/duration" in file
    assert validate_file(path) == []
