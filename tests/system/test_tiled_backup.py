"""A server carried to another place in one file, and what else may be in such a file."""

import io
import json
import tarfile

import h5py
import pytest

from beamline_ophyd.serving import DataFolder, TiledServer, connect
from beamline_ophyd.serving.backup import BackupError, backup, restore
from beamline_ophyd.serving.files import register_file
from beamline_ophyd.serving.runs import RunUpload

pytestmark = pytest.mark.slow("starts of Tiled of their own")


@pytest.fixture(scope="module")
def archive(tmp_path_factory, xafs_documents):
    """A backup of a server with a run, its array and its file; and the server's folders."""
    place = tmp_path_factory.mktemp("old home")
    with (
        TiledServer(place / "tiled", files=place / "files") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        upload = RunUpload(client.runs, batch_size=100)
        for item in xafs_documents(points=30, uid="carried-run"):
            upload.put(*item)
        client.root.write_array([[1.0, 2.0]], key="picture")
        with h5py.File(place / "files/carried.nxs", "w") as file:
            file["entry/data/intensity"] = [1.0, 2.0, 3.0]
        (place / "files/leads-out").symlink_to("/etc/passwd")
        register_file(client.root, "carried-run", place / "files/carried.nxs")
        with pytest.raises(BackupError, match=f"is already served at {server.uri}"):
            backup(server.folder, place / "too-early.tar.gz")
        folder, keys = server.folder, server.keys
    file = backup(folder, place / "backup.tar.gz")
    assert file.stat().st_mode & 0o777 == 0o600
    return file, folder, keys


@pytest.mark.parametrize("files", [None, "elsewhere/files"])
def test_all_is_there_again_in_another_place(archive, tmp_path, beamline, files, xafs_documents):
    file, old, keys = archive
    there = DataFolder.at(tmp_path / "new home", None if files is None else tmp_path / files)
    there.files.parent.mkdir(parents=True, exist_ok=True)
    if files is None:
        there.root.rmdir()
    options = [] if files is None else ["--files", there.files]
    result = beamline("tiled", "restore", file, "--folder", there.root, *options)
    assert result.returncode == 0, result.stderr
    away = old.root.with_name("gone")
    old.root.rename(away)  # nothing may lead back
    old.files.rename(away / "files")
    try:
        with (
            TiledServer(there.root, files=there.files) as server,
            connect(server.uri, keys.reader) as client,
        ):
            assert server.keys == keys
            assert (there.root / "writer.key").stat().st_mode & 0o777 == 0o600
            run = client.runs["carried-run"]
            assert len(run.mu()) == 30
            assert run.nexus()["entry/data/intensity"].read().tolist() == [1.0, 2.0, 3.0]
            assert client.root["picture"].read().tolist() == [[1.0, 2.0]]
            with connect(server.uri, keys.writer) as writer:
                upload = RunUpload(writer.runs, batch_size=100)
                for item in xafs_documents(points=30, uid="a-new-run"):
                    upload.put(*item)
                assert len(client.runs["a-new-run"].mu()) == 30
        assert not (there.files / "leads-out").exists()
    finally:
        (away / "files").rename(old.files)
        away.rename(old.root)


def test_nothing_is_written_over(archive, tmp_path, beamline):
    file, old, _ = archive
    with pytest.raises(BackupError, match="exists; name a new file"):
        backup(old, file)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("precious")
    result = beamline("tiled", "restore", file, "--folder", taken)
    assert result.returncode == 1
    assert "is not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_without_a_server_has_nothing_to_copy(tmp_path):
    with pytest.raises(BackupError, match=r"has no catalog\.db"):
        backup(DataFolder.at(tmp_path / "nothing"), tmp_path / "backup.tar.gz")
    assert list(tmp_path.iterdir()) == []


def with_member(file, archive, name, **options):
    """A copy of a backup that has one more member."""
    with tarfile.open(archive) as whole, tarfile.open(file, "w:gz") as tar:
        for member in whole.getmembers():
            tar.addfile(member, whole.extractfile(member))
        more = tarfile.TarInfo(name)
        for key, value in options.items():
            setattr(more, key, value)
        more.size = 0 if options else 4
        tar.addfile(more, None if options else io.BytesIO(b"evil"))
    return file


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("folder/../../outside", {}),
        ("../outside", {}),
        ("/outside", {}),
        ("outside", {}),
        ("folder/arrays/link", {"type": tarfile.SYMTYPE, "linkname": "/etc"}),
        ("folder/arrays/hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}),
        ("folder/arrays/pipe", {"type": tarfile.FIFOTYPE}),
    ],
)
def test_what_would_lead_out_is_refused_before_anything_is_unpacked(
    archive, tmp_path, name, options
):
    file = with_member(tmp_path / "evil.tar.gz", archive[0], name, **options)
    there = DataFolder.at(tmp_path / "there")
    with pytest.raises(BackupError, match="nothing has been unpacked"):
        restore(file, there)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar.gz"]


def test_half_a_backup_leaves_nothing(archive, tmp_path):
    content = archive[0].read_bytes()
    half = tmp_path / "half.tar.gz"
    half.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupError, match="is not a whole backup"):
        restore(half, DataFolder.at(tmp_path / "there"))
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("backup.json")
        member.size = len(text := json.dumps({"version": 99}).encode())
        tar.addfile(member, io.BytesIO(text))
    with pytest.raises(BackupError, match="no backup that this version reads"):
        restore(tmp_path / "other.tar.gz", DataFolder.at(tmp_path / "there"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.tar.gz", "other.tar.gz"]
