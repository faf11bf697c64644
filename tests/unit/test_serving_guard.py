"""Which data sources the server opens."""

import os
from collections import ChainMap
from types import SimpleNamespace

import h5py
import pytest
from fastapi import HTTPException
from tiled.storage import FileStorage
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from beamline_ophyd.serving._guard import GuardedAdapters

HDF5, CSV, TIFF, ZARR = "application/x-hdf5", "text/csv", "image/tiff", "application/x-zarr"


class Opened:
    @classmethod
    def from_catalog(cls, data_source, node, /, **parameters):
        return data_source.assets[0].data_uri

    @classmethod
    def from_uris(cls, *uris, **parameters):
        return uris


@pytest.fixture
def place(tmp_path):
    for name in ("files/sub", "arrays/sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("files/sub/a.nxs", "arrays/b.nxs", "secret.nxs"):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = 1.0
    for name in ("files/a.csv", "files/a.tiff", "arrays/sub/a.csv"):
        (tmp_path / name).touch()
    (tmp_path / "files/link.nxs").symlink_to(tmp_path / "secret.nxs")
    (tmp_path / "files/inside.nxs").symlink_to(tmp_path / "files/sub/a.nxs")
    (tmp_path / "files/way").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "files/pipe.nxs")
    (tmp_path / "filesystem.nxs").touch()
    (tmp_path / "files/text.nxs").write_text("no HDF5")
    return tmp_path


@pytest.fixture
def adapters(place):
    """The adapters of a server over that place."""

    def storage(name):
        found = FileStorage(uri=f"file://localhost{place / name}")
        return {found.uri: found}

    context = SimpleNamespace(
        adapters_by_mimetype=ChainMap({TIFF: Opened}, dict.fromkeys((HDF5, CSV, ZARR), Opened)),
        writable_storage=storage("arrays"),
        readable_storage=storage("files") | storage("arrays"),
    )
    return GuardedAdapters(context)


@pytest.fixture
def open_as(place, adapters):
    """Open a path, or an address, as a server over that place would."""

    def make(name, mimetype=HDF5, management=Management.external):
        uri = name if "://" in name else f"file://localhost{place}/{name}"
        source = DataSource(
            structure_family=StructureFamily.container,
            structure=None,
            mimetype=mimetype,
            management=management,
            assets=[Asset(data_uri=uri, is_directory=False, parameter=None)],
        )
        return (
            adapters[mimetype].from_catalog(source, None).removeprefix(f"file://localhost{place}/")
        )

    return make


@pytest.mark.parametrize("management", list(Management))
def test_a_regular_hdf5_file_in_the_folder_is_served(open_as, management):
    assert open_as("files/sub/a.nxs", HDF5, management) == "files/sub/a.nxs"


def test_a_type_that_the_configuration_names_is_served(open_as):
    assert open_as("files/a.tiff", TIFF) == "files/a.tiff"


def test_what_tiled_wrote_is_served(open_as):
    assert open_as("arrays/sub/a.csv", CSV, Management.writable) == "arrays/sub/a.csv"
    assert open_as("arrays/sub", ZARR, Management.writable) == "arrays/sub"


@pytest.mark.parametrize(
    ("name", "mimetype", "management", "why"),
    [
        ("secret.nxs", HDF5, "external", "only files that are themselves in"),
        ("filesystem.nxs", HDF5, "external", "only files that are themselves in"),
        ("files/../secret.nxs", HDF5, "external", r"without `\.\.`"),
        ("files/%2e%2e/secret.nxs", HDF5, "external", r"without `\.\.`"),
        ("files/link.nxs", HDF5, "external", "leads to .*secret.nxs"),
        ("files/inside.nxs", HDF5, "external", "without links"),
        ("files/way/secret.nxs", HDF5, "external", "leads to .*secret.nxs"),
        ("files/way/files/sub/a.nxs", HDF5, "external", "without links"),
        ("files/sub", HDF5, "external", "no regular file"),
        ("files/pipe.nxs", HDF5, "external", "no regular file"),
        ("files", HDF5, "external", "only files that are themselves in"),
        ("arrays/b.nxs", HDF5, "writable", "only files that are themselves in"),
        ("http://host/files/a.nxs", HDF5, "external", "only files of this machine"),
        ("file://host/files/a.nxs", HDF5, "external", "only files of this machine"),
        ("files/a.csv", CSV, "external", "text/csv is not served: only application/x-hdf5"),
        ("files/a.csv", CSV, "writable", "not in the writable storage"),
        ("files/../secret.csv", CSV, "writable", r"without `\.\.`"),
        ("arrays", CSV, "writable", "not in the writable storage"),
        ("http://host/a", ZARR, "writable", "not in the writable storage"),
        ("files/a.tiff", TIFF, "writable", "Tiled itself writes none"),
        ("secret.nxs", TIFF, "external", "only files that are themselves in"),
    ],
)
def test_everything_else_is_refused(open_as, name, mimetype, management, why):
    with pytest.raises(HTTPException) as caught:
        open_as(name, mimetype, Management(management))
    assert caught.value.status_code == 403
    caught.match(why)


def test_a_file_that_is_gone_and_one_that_cannot_be_read_are_named(open_as):
    with pytest.raises(HTTPException, match="cannot be found") as caught:
        open_as("files/gone.nxs")
    assert caught.value.status_code == 410
    with pytest.raises(HTTPException, match="closed by its writer") as caught:
        open_as("files/text.nxs")
    assert caught.value.status_code == 409


def test_the_validation_of_runs_opens_no_more(place, adapters):
    inside, outside = (f"file://localhost{place}/{n}" for n in ("files/sub/a.nxs", "secret.nxs"))
    assert adapters[HDF5].from_uris(inside, dataset="x") == (inside,)
    with pytest.raises(HTTPException, match="only files that are themselves in"):
        adapters[HDF5].from_uris(inside, outside)
