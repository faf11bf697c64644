"""What an HDF5 file takes from other files."""

import h5py
import numpy as np
import pytest

from beamline_ophyd.serving._foreign import foreign_part


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["s"] = np.arange(4.0)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.nxs"


def virtual(file, source):
    layout = h5py.VirtualLayout(shape=(4,), dtype=float)
    layout[:] = source
    file.create_virtual_dataset("entry/deep/virtual", layout)


def test_a_file_with_all_kinds_of_its_own_parts_is_whole(path):
    with h5py.File(path, "w") as file:
        file["entry/data/x"] = np.arange(4.0)
        file["entry/soft"] = h5py.SoftLink("/entry/data/x")
        file["entry/dangling"] = h5py.SoftLink("/nowhere")
        file["entry/data/loop"] = file["entry"]  # a hard link that goes in a circle
        file["entry/type"] = np.dtype("f8")
        file["entry/text"] = ["a", "much longer text"]
        file.create_dataset("entry/packed", data=np.arange(100), chunks=(10,), compression="gzip")
        virtual(file, h5py.VirtualSource(file["entry/data/x"]))
    assert foreign_part(path) is None


def test_an_external_link_is_found_and_not_followed(path, other):
    with h5py.File(path, "w") as file:
        file["entry/deep/link"] = h5py.ExternalLink(str(other), "/s")
    found = foreign_part(path)
    assert found == f"/entry/deep/link is a link to the file {other}"
    other.unlink()
    assert foreign_part(path) == found


def test_values_in_another_file_are_found(path, tmp_path):
    raw = tmp_path / "writer.key"
    raw.write_bytes(b"0123456789")
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/deep/raw", (10,), "u1", external=[(str(raw), 0, 10)])
    assert foreign_part(path) == f"the values of /entry/deep/raw are in the file {raw}"


def test_a_virtual_dataset_of_another_file_is_found(path, other):
    with h5py.File(path, "w") as file:
        virtual(file, h5py.VirtualSource(str(other), "s", shape=(4,)))
    assert foreign_part(path) == f"the values of /entry/deep/virtual are in the file {other}"


def test_a_file_that_changes_is_looked_through_again(path, other):
    with h5py.File(path, "w") as file:
        file["x"] = 1.0
    assert foreign_part(path) is None
    with h5py.File(path, "a") as file:
        file["link"] = h5py.ExternalLink(str(other), "/s")
    assert "link" in str(foreign_part(path))


def test_what_is_no_hdf5_file(path):
    path.write_text("nothing")
    with pytest.raises(OSError, match="signature"):
        foreign_part(path)
