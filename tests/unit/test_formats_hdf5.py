import os
import threading
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd.formats.hdf5 import MemoryFile, move_to_free_name, open_to_read, replace_file
from beamline_ophyd.formats.tree import Field, Group


def opened(path: Any, mode: str = "r") -> Any:
    return h5py.File(path, mode)


def test_image_is_the_file(tmp_path):
    file = MemoryFile(live=True)
    for rows in (0, 10, 1000):
        file.write(Group("NXroot", {"x": Field(np.arange(float(rows)), {}, grows=True)}))
        replace_file(tmp_path / "x.h5", file.image())
        with opened(tmp_path / "x.h5") as found:
            assert len(found["x"]) == rows
    file.close()
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_failed_replacement_leaves_the_old_file_and_no_draft(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(TypeError):
        replace_file(tmp_path / "x", "not bytes")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x", b"old")]


def test_a_file_that_this_process_has_open_can_be_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1
    with opened(tmp_path / "x.h5"), open_to_read(tmp_path / "x.h5") as again:
        assert "x" in again
    with pytest.raises(FileNotFoundError):
        open_to_read(tmp_path / "absent")


def test_whoever_reads_meets_a_whole_file(tmp_path):
    path = tmp_path / "x"
    contents = [bytes([n]) * 200_000 for n in range(50)]
    replace_file(path, contents[0])
    seen, stop, reads = set(), threading.Event(), threading.Semaphore(0)

    def read():
        while not stop.is_set():
            seen.add(path.read_bytes())
            reads.release()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for content in contents:
            replace_file(path, content)
            assert reads.acquire(timeout=60)
    finally:
        stop.set()
        reader.join(60)
    assert len(seen) > 1
    assert seen <= set(contents)


def test_moving_never_overwrites(tmp_path):
    for number in range(3):
        (tmp_path / "draft").write_text(str(number))
        move_to_free_name(tmp_path / "draft", tmp_path / "a.nxs")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "a.nxs": "0",
        "a-2.nxs": "1",
        "a-3.nxs": "2",
    }


def test_moving_what_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        move_to_free_name(tmp_path / "draft", tmp_path / "a.nxs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_replacing_in_a_folder_without_permission_is_an_ordinary_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            replace_file(tmp_path / "x", b"")
    finally:
        tmp_path.chmod(0o700)
