"""Detectors, source, sample, baseline and monitors in a file."""

from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import NXxasWriter
from beamline_ophyd.formats.validate import validate_file

from ..kinds import documents_of
from ..runs import BEGAN, MCA_CHANNELS, numbered, of, with_spectra

DEADLINE_S = 60.0


def opened(path) -> Any:
    return h5py.File(path)


def written(documents, tmp_path, **options):
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs", mode="w", **options)
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)
    return path


def with_images(documents, file, form):
    """The run with a camera, whose images are in a file."""
    start, descriptor, *rest = documents
    events, stop = rest[:-1], rest[-1]
    about = {"source": "x", "dtype": "array", "shape": [4, 4]}
    external = "STREAM:" if form == "stream" else "FILESTORE:"
    descriptor[1]["data_keys"]["camera"] = {**about, "external": external}
    run = start[1]["uid"]
    if form == "stream":
        resource = {"uid": "sr", "run_start": run, "data_key": "camera",
                    "mimetype": "application/x-hdf5", "uri": f"file://localhost{file}",
                    "parameters": {"dataset": "/images"}}  # fmt: skip
        span = {"start": 0, "stop": len(events)}
        datum = {"uid": "sr/0", "stream_resource": "sr", "descriptor": descriptor[1]["uid"],
                 "indices": span, "seq_nums": {"start": 1, "stop": len(events) + 1}}  # fmt: skip
        return [start, ("stream_resource", resource), descriptor, *events,
                ("stream_datum", datum), stop]  # fmt: skip
    resource = {"uid": "res", "run_start": run, "spec": "AD_HDF5", "root": str(file.parent),
                "resource_path": file.name, "resource_kwargs": {"path": "/images"}}  # fmt: skip
    datums = [f"res/{row}" for row in range(len(events))]
    page = {"resource": "res", "datum_id": datums, "datum_kwargs": {"point_number": [0]}}
    for datum, (_, event) in zip(datums, events, strict=True):
        event["data"]["camera"] = datum
        event["timestamps"]["camera"] = BEGAN
        event["filled"]["camera"] = False
    return [start, ("resource", resource), ("datum_page", page), descriptor, *events, stop]


def test_spectra_of_a_fluorescence_detector_and_its_rois(xafs_documents, tmp_path):
    documents = with_spectra(xafs_documents())
    with opened(written(documents, tmp_path)) as file:
        mca = file["entry/instrument/mca"]
        assert mca.attrs["NX_class"] == "NXdetector"
        assert mca["data"] == file["entry/bluesky/streams/primary/data/mca"]
        np.testing.assert_array_equal(mca["data"][3], 3 + np.arange(MCA_CHANNELS))
        roi = mca["rois/roi_0"]
        assert (roi["low"][()], roi["high"][()]) == (3, 9)
        assert roi["name"].asstr()[()] == "Fe Ka"
        assert (mca["rois/roi_1/low"][()], mca["rois/roi_1/size"][()]) == (10, 5)
        assert mca["configuration/preset_real"][()] == 1.0


def test_spectra_are_merged_as_the_readings_are(xafs_documents, tmp_path):
    documents = with_spectra(xafs_documents(points=4, repeats=2))
    with opened(written(documents, tmp_path)) as file:
        expected = [[row + 4 + row + 2 * n for n in range(MCA_CHANNELS)] for row in range(4)]
        np.testing.assert_array_equal(file["entry/instrument/mca/data"], expected)


def test_spectra_of_a_point_taken_again(xafs_documents, tmp_path):
    """While the run goes on what was every reading becomes the merge of some of them."""
    documents = with_spectra(numbered(xafs_documents(points=4, repeats=2), [0, 1, 2, 3, 1, 2, 0, 3],
                                      first_point=0, points_per_sweep=4, repeats=1))  # fmt: skip
    writer = NXxasWriter(tmp_path, template="a")
    for item in documents:
        writer(*item)
        assert writer.wait(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    assert writer.problems == []
    (path,) = writer.files.values()
    assert validate_file(path) == []
    with opened(path) as file:
        rows = file["entry/instrument/mca/data"][:, 0]
        assert rows.tolist() == [6, 4, 5, 7]


@pytest.mark.parametrize("form", ["stream", "datum"])
def test_images_in_another_file_are_named_and_linked_where_wanted(xafs_documents, tmp_path, form):
    images = np.arange(12 * 16.0).reshape(12, 4, 4)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = images
    documents = with_images(xafs_documents(), tmp_path / "images.h5", form)
    with opened(written(documents, tmp_path)) as file:
        camera = file["entry/instrument/camera"]
        assert camera["external/file"].asstr()[()].tolist() == [str(tmp_path / "images.h5")]
        assert camera["external/path"].asstr()[()].tolist() == ["/images"]
        assert "data" not in camera
    path = written(documents, tmp_path, external_links=True)
    with opened(path) as file:
        np.testing.assert_array_equal(file["entry/instrument/camera/data"], images)
    (tmp_path / "images.h5").unlink()
    (problem,) = validate_file(path)
    assert "images.h5: not there" in str(problem)


def test_images_behind_a_virtual_dataset(xafs_documents, tmp_path):
    images = np.arange(12 * 16.0).reshape(12, 4, 4)
    layout = h5py.VirtualLayout(images.shape, images.dtype)
    for number in range(2):  # as detectors write it: a file for each half of the frames
        with h5py.File(tmp_path / f"raw_{number}.h5", "w") as file:
            file["frames"] = images[6 * number : 6 * number + 6]
        source = h5py.VirtualSource(f"raw_{number}.h5", "frames", (6, 4, 4))
        layout[6 * number : 6 * number + 6] = source
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
    documents = with_images(xafs_documents(), tmp_path / "images.h5", "stream")
    path = written(documents, tmp_path, external_links=True)
    assert validate_file(path) == []
    with opened(path) as file:
        np.testing.assert_array_equal(file["entry/instrument/camera/data"], images)
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


@pytest.mark.parametrize("form", ["stream", "datum"])
def test_link_is_relative_so_that_both_can_be_moved(xafs_documents, tmp_path, form):
    for name in ("files", "images"):
        (tmp_path / "run" / name).mkdir(parents=True)
    images = tmp_path / "run/images/a.h5"
    with h5py.File(images, "w") as file:
        file["images"] = np.ones((12, 4, 4))
    documents = with_images(xafs_documents(), images, form)
    written(documents, tmp_path / "run/files", external_links=True)
    (tmp_path / "run").rename(tmp_path / "moved")
    with opened(tmp_path / "moved/files/a.nxs") as file:
        link = file.get("entry/instrument/camera/data", getlink=True)
        assert link.filename == "../images/a.h5"
        assert file["entry/instrument/camera/data"].shape == (12, 4, 4)


def test_link_to_a_far_file_is_absolute(xafs_documents, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    with h5py.File(tmp_path / "far.h5", "w") as file:
        file["images"] = np.ones((12, 4, 4))
    documents = with_images(xafs_documents(), tmp_path / "far.h5", "stream")
    with opened(written(documents, tmp_path / "a/b", external_links=True)) as file:
        link = file.get("entry/instrument/camera/data", getlink=True)
        assert link.filename == str(tmp_path / "far.h5")


def test_path_that_leaves_its_root_is_named_and_not_linked_to(xafs_documents, tmp_path):
    (tmp_path / "root").mkdir()
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["images"] = np.ones((12, 4, 4))
    documents = with_images(xafs_documents(), tmp_path / "root/private.h5", "datum")
    resource = next(doc for name, doc in documents if name == "resource")
    resource["resource_path"] = "../private.h5"
    with opened(written(documents, tmp_path, external_links=True)) as file:
        camera = file["entry/instrument/camera"]
        assert camera["external/file"].asstr()[()].tolist() == [f"{tmp_path}/root/../private.h5"]
        assert "data" not in camera


def test_live_file_links_to_images(xafs_documents, tmp_path):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = np.zeros((12, 4, 4))
    writer = NXxasWriter(tmp_path, external_links=True)
    for item in with_images(xafs_documents(), tmp_path / "images.h5", "stream"):
        writer(*item)
        assert writer.wait(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    (path,) = writer.files.values()
    assert validate_file(path) == []
    with opened(path) as file:
        assert file["entry/instrument/camera/data"].shape == (12, 4, 4)


def test_baseline_and_monitors(tmp_path):
    documents = documents_of("baseline")
    with opened(written(documents, tmp_path)) as file:
        entry = file["entry"]
        y = entry["baseline/y"]
        assert y.attrs["NX_class"] == "NXlog"
        assert y["value"].shape == (2,)
        began = entry["start_time"].asstr()[()]
        assert y["time"].attrs["start"] == began
        events = of(documents, "event", "baseline")
        stamps = [event["timestamps"]["y"] - documents[0][1]["time"] for event in events]
        np.testing.assert_allclose(y["time"], stamps)
        assert entry["monitors/x/value"][()].tolist() == [
            event["data"]["x"] for event in of(documents, "event", "x_monitor")
        ]


def test_scanned_axes_are_positioners(tmp_path):
    with opened(written(documents_of("mesh"), tmp_path)) as file:
        positioners = file["entry/instrument/positioners"]
        assert sorted(positioners) == ["x", "y"]
        assert positioners["x"].attrs["NX_class"] == "NXpositioner"
        assert positioners["x/value"] == file["entry/bluesky/streams/primary/data/x"]


def test_source_with_its_current_and_sample_with_its_place(xafs_documents, tmp_path):
    about = {"source": "x", "dtype": "number", "shape": [], "units": "mA"}
    start = {
        "Facility": {"name": "a ring", "energy": 3.0},
        "Sample": {"name": "ferrite", "prep": "pressed with cellulose", "temperature": 13.0},
        "queue": {"place": "holder 7"},
    }
    documents = xafs_documents(start=start)
    run = documents[0][1]["uid"]
    described = {"uid": "b", "run_start": run, "name": "baseline", "time": BEGAN,
                 "data_keys": {"ring_current": about}, "configuration": {}}  # fmt: skip
    event = {"uid": "b0", "descriptor": "b", "seq_num": 1, "time": BEGAN, "filled": {},
             "data": {"ring_current": 401.5}, "timestamps": {"ring_current": BEGAN}}  # fmt: skip
    documents[1:1] = [("descriptor", described), ("event", event)]
    with opened(written(documents, tmp_path)) as file:
        source, sample = file["entry/instrument/source"], file["entry/sample"]
        assert source["current"][()] == 401.5
        assert source["current"].attrs["units"] == "mA"
        assert source["energy"][()] == 3.0
        assert sample["description"].asstr()[()] == "pressed with cellulose"
        assert sample["temperature"][()].tolist() == [13.0]
        assert sample["place/name"].asstr()[()] == "holder 7"
