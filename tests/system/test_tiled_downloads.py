"""The original files of a run from a real Tiled server: to whom, and nothing else."""

import h5py
import httpx
import pytest
from tiled.client.utils import ClientError
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from beamline_ophyd.callbacks import NXxasWriter, ReportWriter
from beamline_ophyd.serving import ServerError
from beamline_ophyd.serving.files import register_file
from beamline_ophyd.serving.runs import RunUpload

UID = "6f3c2a7e-run"
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def file(served, writer):
    """A registered file with what was made from it beside it."""
    path = served.folder.files / "2026" / "Fe foil.nxs"
    path.parent.mkdir()
    with h5py.File(path, "w") as nexus:
        nexus["entry/data/intensity"] = [1.0, 2.0]
    path.with_suffix(".xdi").write_text("# XDI/1.0\n")
    path.with_suffix(".html").write_text("<!doctype html><p>a report</p>")
    register_file(writer.root, UID, path)
    return path


def get(server, path, key=None, **options):
    headers = {"Authorization": f"Apikey {key or server.keys.reader}"} if key != "" else {}
    return httpx.get(
        f"{server.uri}{path}", headers=headers, trust_env=False, timeout=TIMEOUT_S, **options
    )


def download(server, uid, kind, key=None):
    return get(server, f"/api/v1/download/{uid}/{kind}", key)


def test_the_file_comes_as_it_is_on_disk(reader, file, tmp_path):
    saved = reader.download(UID, to=tmp_path)
    assert saved == tmp_path / "Fe foil.nxs"
    assert saved.read_bytes() == file.read_bytes()
    assert reader.download(UID, "xdi", tmp_path / "a.xdi").read_text() == "# XDI/1.0\n"


def test_nothing_on_this_side_is_overwritten(reader, file, tmp_path):
    (tmp_path / "Fe foil.nxs").write_text("mine")
    with pytest.raises(FileExistsError):
        reader.download(UID, to=tmp_path)
    assert (tmp_path / "Fe foil.nxs").read_text() == "mine"


def test_a_file_is_saved_and_a_report_is_shown_without_any_rights(served, file):
    answer = download(served, UID, "nxs")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/x-hdf5"
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = download(served, UID, "report")
    assert page.headers["content-disposition"].startswith("inline")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy


def test_the_page_of_a_run_is_sent(served, writer, xafs_documents):
    documents, reports = xafs_documents(), ReportWriter()
    uid = documents[0][1]["uid"]
    nexus = NXxasWriter(served.folder.files, on_file=reports)
    for name, doc in documents:
        nexus(name, doc)
    assert nexus.wait(TIMEOUT_S)
    assert reports.wait(TIMEOUT_S), reports.problems
    register_file(writer.root, uid, nexus.files[uid])
    page = download(served, uid, "report")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Fe foil" in page.text


def test_what_is_not_there_is_said(reader, file):
    with pytest.raises(ServerError, match=r"no csv of run .*Fe foil\.csv is not beside"):
        reader.download(UID, "csv")
    with pytest.raises(ServerError, match="there is no doc; there are nxs, xdi, csv, report"):
        reader.download(UID, "doc")
    with pytest.raises(ServerError, match="there is no such run, or no file of it"):
        reader.download("no such run")


def test_the_first_letters_of_a_uid_will_do(reader, writer, xafs_documents, file, tmp_path):
    uid = "5f0c2a9e-0d6a-4d0e-9c5b-2b1f6f3f7a11"
    upload = RunUpload(writer.runs, batch_size=100)
    for item in xafs_documents(4, uid=uid):
        upload.put(*item)
    register_file(writer.root, uid, file)
    saved = reader.download(uid[:8], to=tmp_path)
    assert saved.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("key", ["", "00ff00ff"])
def test_without_a_key_nothing_comes(served, file, key):
    assert download(served, UID, "nxs", key).status_code == 401


def test_a_key_in_the_address_is_taken_for_a_browser(served, file):
    path = f"/api/v1/download/{UID}/nxs?api_key={served.keys.reader}"
    assert get(served, path, "").status_code == 200


@pytest.mark.parametrize(
    "uid",
    [
        "..",
        "%2e%2e",
        "..%2f..%2ftiled%2fwriter.key",
        "%2fetc%2fpasswd",
        "file:%2f%2f%2fetc%2fpasswd",
        "http:%2f%2f127.0.0.1%2fx",
        f"{UID}%00",
        "x" * 20_000,
    ],
    ids=lambda uid: uid[:24],
)
def test_no_uid_leads_anywhere_else(served, file, uid):
    answer = download(served, uid, "nxs")
    assert answer.status_code in (400, 404, 414, 422), answer.text
    assert served.keys.writer not in answer.text


@pytest.mark.parametrize("leads", ["symlink", "dots", "folder", "http", "absolute"])
def test_only_regular_files_of_the_folder_are_sent(served, writer, leads):
    secret = served.folder.root / "writer.key"
    place = served.folder.files / f"{leads}.nxs"
    uri = f"file://localhost{place}"
    if leads == "symlink":
        place.symlink_to(secret)
    elif leads == "dots":
        uri = f"file://localhost{served.folder.files}/../tiled/writer.key"
    elif leads == "folder":
        place.mkdir()
    elif leads == "http":
        uri = "http://127.0.0.1:1/x.nxs"
    else:
        uri = f"file://localhost{secret}"
    asset = Asset(data_uri=uri, is_directory=False, parameter="data_uri", num=None)
    source = DataSource(
        structure_family=StructureFamily.container,
        structure=None,
        mimetype="application/x-hdf5",
        parameters={},
        management=Management.external,
        assets=[asset],
    )
    try:
        writer.files.new(StructureFamily.container, [source], key=leads, metadata={}, specs=[])
    except ClientError:
        assert leads == "http"  # Tiled itself takes none of these
    answer = download(served, leads, "nxs")
    assert answer.status_code in (403, 404, 409)
    assert served.keys.writer not in answer.text


def test_a_symlink_beside_the_file_is_not_followed(served, file):
    beside = file.with_suffix(".csv")
    beside.symlink_to(served.folder.root / "writer.key")
    try:
        answer = download(served, UID, "csv")
    finally:
        beside.unlink()
    assert answer.status_code == 403
    assert served.keys.writer not in answer.text


def test_a_file_with_links_to_others_is_not_sent(served, writer, tmp_path):
    path = served.folder.files / "linked.nxs"
    with h5py.File(path, "w") as nexus:
        nexus["x"] = [1.0]
    register_file(writer.root, "linked", path)
    with h5py.File(path, "a") as nexus:
        nexus["y"] = h5py.ExternalLink("/etc/other.h5", "/x")
    assert download(served, "linked", "nxs").status_code == 403
