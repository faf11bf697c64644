"""Documents to a file, to documents, to a file again: nothing is lost, nothing is added.

The documents are composed by event-model, which checks them against its schema: arbitrary ones by
hypothesis, and those of real plans, bluesky's among them.
"""

import itertools
import math
from typing import Any

import h5py
import numpy as np
import pytest
from event_model import ComposeRunBundle, compose_run, pack_event_page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file

from ..kinds import PLANS, documents_of

TIMES_OF_WRITING = {("", "file_time"), ("entry/process/date", "")}

NUMBERS = {
    "number": st.floats(width=64),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "string": st.text(max_size=8),
}
# All that event-model allows as the name of a reading.
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="./"), min_size=1, max_size=6
)
UNITS = st.sampled_from(["eV", "keV", "counts", "µm", ""])
STREAMS = ("primary", "baseline", "a/b .")


def contents(path):
    """Every dataset, attribute and link of a file to its value, but for the times of writing."""
    found: dict[tuple[str, str], Any] = {}
    with h5py.File(path) as file:

        def look(name, node):
            for key, value in node.attrs.items():
                found[name, key] = plain(value)
            if isinstance(node, h5py.Dataset):
                found[name, ""] = (str(node.dtype), plain(node[()]))

        look("", file)
        file.visititems_links(lambda name, link: look(name, file[name]))
    return {key: value for key, value in found.items() if key not in TIMES_OF_WRITING}


def plain(value):
    """To compare bit by bit: nan is no difference, and -0.0 is one."""
    array = np.asarray(value)
    return array.tolist() if array.dtype == object else (array.shape, array.tobytes())


def goes_round(documents, folder):
    """The run of some documents, after its way through two files that must not differ."""
    data = ScanData.from_documents(documents)
    first = data.to_nexus(folder / "a.nxs", mode="w")
    back = ScanData.from_nexus(first)
    assert back == data
    again = ScanData.from_documents(list(back.run.documents()))
    second = again.to_nexus(folder / "b.nxs", mode="w")
    assert contents(second) == contents(first)
    return first, data


def test_the_sign_of_a_zero_is_a_difference(xafs_documents, tmp_path):
    documents = xafs_documents()
    found = []
    for zero in (0.0, -0.0):
        documents[2][1]["data"]["Ir"] = zero
        found.append(contents(goes_round(documents, tmp_path)[0]))
    differing = {name for name in found[0] if found[0][name] != found[1][name]}
    assert ("entry/bluesky/streams/primary/data/Ir", "") in differing


@pytest.mark.parametrize("kind", list(PLANS))
def test_documents_of_real_plans(kind, tmp_path):
    path, _ = goes_round(documents_of(kind), tmp_path)
    assert validate_file(path) == []


@pytest.mark.parametrize("options", [{"repeats": 2}, {"mode": "fluorescence"}, {"taken": 3}])
def test_documents_of_spectra(xafs_documents, tmp_path, options):
    goes_round(xafs_documents(**options), tmp_path)


def data_key(draw, kind):
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)) if kind == "array" else []
    return {"source": "s", "dtype": kind, "shape": shape, "units": draw(UNITS)}


def reading(draw, about):
    if about["dtype"] != "array":
        return draw(NUMBERS[about["dtype"]])
    size = math.prod(about["shape"])
    flat = draw(st.lists(NUMBERS["number"], min_size=size, max_size=size))
    return np.reshape(flat, about["shape"]).tolist()


@st.composite
def valid_runs(draw):
    """A run as event-model composes it.

    Streams whose units change on the way, events singly and as pages, data elsewhere in the old
    form and the new one, a stop or none.
    """
    run: ComposeRunBundle = compose_run(time=draw(st.floats(0, 4e9)))
    documents: list[tuple[str, Any]] = [("start", run.start_doc)]
    for name in draw(st.lists(st.sampled_from(STREAMS), unique=True, max_size=3)):
        kinds = st.sampled_from([*NUMBERS, "array"])
        keys = {key: data_key(draw, draw(kinds)) for key in draw(st.sets(NAMES, max_size=3))}
        for number in range(draw(st.integers(1, 2))):
            if number:  # the same stream, described anew
                keys = {key: {**about, "units": draw(UNITS)} for key, about in keys.items()}
            described = run.compose_descriptor(name=name, data_keys=keys)
            documents.append(("descriptor", described.descriptor_doc))
            events = []
            for _ in range(draw(st.integers(0, 3))):
                data = {key: reading(draw, about) for key, about in keys.items()}
                stamps = dict.fromkeys(data, draw(st.floats(0, 4e9)))
                events.append(described.compose_event(data=data, timestamps=stamps))
            if events and draw(st.booleans()):
                documents.append(("event_page", pack_event_page(*events)))
            else:
                documents += [("event", event) for event in events]
    documents += draw(st.sampled_from([[], *external(run)]))
    if draw(st.booleans()):
        status = draw(st.sampled_from(["success", "abort", "fail"]))
        documents.append(("stop", run.compose_stop(exit_status=status, reason="why: not")))
    return documents


def external(run):
    """References to data elsewhere: the old form, and the new one."""
    old = run.compose_resource(
        spec="AD_HDF5", root="/", resource_path="x.h5", resource_kwargs={"frame_per_point": 1}
    )
    yield [("resource", old.resource_doc), ("datum", old.compose_datum(datum_kwargs={"point": 0}))]
    new = run.compose_stream_resource(
        mimetype="application/x-hdf5", uri="file://localhost/x.h5", data_key="camera",
        parameters={"dataset": "/entry/data"},
    )  # fmt: skip
    yield [("stream_resource", new.stream_resource_doc)]


@given(documents=valid_runs())
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_valid_run(documents, tmp_path):
    _, data = goes_round(documents, tmp_path)
    descriptors = [doc for name, doc in documents if name == "descriptor"]
    for name, stream in itertools.groupby(descriptors, key=lambda doc: doc["name"]):
        described = list(stream)
        for key in described[0]["data_keys"]:
            units = [doc["data_keys"][key]["units"] or None for doc in described]
            kept = [u for d, u in zip(data.run.descriptors, data.run.units(name, key), strict=True)
                    if d["name"] == name]  # fmt: skip
            assert kept == units
