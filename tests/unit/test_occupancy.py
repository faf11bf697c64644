"""One session at a time on a beamline."""

import os
import subprocess
import sys

import pytest

from beamline_ophyd.occupancy import BeamlineBusyError, Occupancy

from ..processes import child, end

HOLD = """
import sys
from beamline_ophyd.occupancy import Occupancy
held = Occupancy("beamline BL02", ["BL02:"], folder=sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def take(folder, *address):
    return Occupancy("beamline BL02", address or ("BL02:",), folder=folder)


def test_a_second_session_is_told_who_has_the_beamline(tmp_path):
    with child(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BeamlineBusyError) as error:
            take(tmp_path)
        message = str(error.value)
        assert "a session is on beamline BL02 already" in message
        assert f"process {other.pid}, since 20" in message
        assert os.uname().nodename in message
        assert "--shared" in message
        # One that was killed holds nobody up, though its file is there.
        end(other)
    (left,) = tmp_path.iterdir()
    assert str(other.pid) in left.read_text()
    held = take(tmp_path)
    assert str(os.getpid()) in left.read_text()
    held.release()


def test_a_beamline_is_free_again_when_it_is_released(tmp_path):
    held = take(tmp_path)
    with pytest.raises(BeamlineBusyError, match="this very process"):
        take(tmp_path)
    held.release()
    held.release()
    take(tmp_path).release()


def test_two_beamlines_do_not_meet(tmp_path):
    held = [take(tmp_path, "BL02:"), take(tmp_path, "BL03:")]
    for each in held:
        each.release()


def test_a_folder_of_locks_is_for_all_users(tmp_path):
    held = take(tmp_path / "locks")
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert held.path.stat().st_mode & 0o777 == 0o666
    held.release()


def test_a_link_in_its_place_is_not_followed(tmp_path):
    held = take(tmp_path)
    held.release()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    held.path.unlink()
    held.path.symlink_to(victim)
    with pytest.raises(BeamlineBusyError, match="BEAMLINE_LOCK_FOLDER"):
        take(tmp_path)
    assert victim.read_text() == "precious"
