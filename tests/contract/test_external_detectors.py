"""Detectors of other people that write into files of their own, and our file beside them."""

from typing import Any

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plans as bp
from ophyd.sim import SynSignalWithRegistry, motor
from ophyd_async.core import StaticFilenameProvider, StaticPathProvider, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter
from beamline_ophyd.formats.validate import validate_file

DEADLINE_S = 60.0


@pytest.fixture
def measured(tmp_path):
    """The file of a run, by its plan: measured(lambda: plan)."""
    engine = RunEngine({}, context_managers=[])
    files = tmp_path / "files"
    files.mkdir()
    journal = Journal(tmp_path / "journal")
    writer = NXxasWriter(files, template="run", external_links=True, journal=journal)
    engine.subscribe(journal)
    engine.subscribe(writer)

    def run(plan):
        returned: Any = engine(plan)
        (uid,) = returned
        assert writer.wait(DEADLINE_S)
        assert writer.problems == []
        return writer.files[uid], journal.path(uid)

    yield run
    assert writer.close(DEADLINE_S)


def opened(path) -> Any:
    return h5py.File(path)


def test_stream_documents_of_an_ophyd_async_detector(measured, tmp_path):
    (tmp_path / "images").mkdir()
    place = StaticPathProvider(StaticFilenameProvider("blobs"), tmp_path / "images")
    with init_devices():
        detector = SimBlobDetector(place, PatternGenerator(), name="camera")
    path, journal = measured(bp.count([detector], 3))
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_journal(journal)
    with opened(path) as file:
        camera = file["entry/instrument/camera"]
        link = camera.get("data", getlink=True)
        assert link.filename == "../images/blobs.h5"
        assert camera["data"].shape[0] == 3
        with opened(tmp_path / "images/blobs.h5") as images:
            np.testing.assert_array_equal(camera["data"], images[link.path])


def test_datum_documents_of_ophyds_simulated_detector(measured, tmp_path):
    """It writes NPY files, which HDF5 cannot link to: they are named."""
    detector = SynSignalWithRegistry(
        func=lambda: np.ones((4, 4)), name="img", labels={"detectors"}, save_path=str(tmp_path)
    )
    path, journal = measured(bp.scan([detector], motor, 0, 1, 3))
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_journal(journal)
    with opened(path) as file:
        image = file["entry/instrument/img"]
        assert "data" not in image
        assert image["external/mimetype"].asstr()[()].tolist() == ["NPY_SEQ"]
        (named,) = image["external/file"].asstr()[()]
        assert named.startswith(str(tmp_path))
