"""apstools' monochromator, amplifier and shutter drive the server unmodified."""

import subprocess
from pathlib import Path

import pytest

from ..environments import apstools_python

pytestmark = pytest.mark.slow("importing apstools takes five seconds")

CLIENT = Path(__file__).with_name("apstools_client.py")


@pytest.fixture
def apstools(bl):
    """Run parts of apstools_client.py to their end: apstools("preamp", "shutter")."""
    python = apstools_python()

    def run(*parts):
        command = [str(python), str(CLIENT), bl.prefix, *parts]
        result = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        assert result.returncode == 0, result.stderr

    return run


def test_the_kohzu_monochromator_scans_calibrates_and_stops(apstools, bl):
    bl.put("SIM:SPEED", 20.0)
    apstools("mono", "calibrate", "stop")
    assert bl.get("MONO:ENERGY.DMOV") == 1
    # Calibrated by 10 eV: the same dial angle is another user angle.
    assert bl.get("MONO:BRAGG.OFF") < 0
    assert bl.get("MONO:BRAGG.SET") == 0


def test_preamplifier_and_shutter_do_what_they_are_told(apstools, bl):
    bl.put("SHUTTER:CMD", 0)
    before = {name: bl.get(f"PREAMP:I0:{name}") for name in ("sens_num", "sens_unit")}
    try:
        apstools("preamp", "shutter")
        assert bl.get("DET:I0:GAIN") == pytest.approx(1 / 20e-9)
        assert bl.get("SHUTTER:STATUS") == 1
    finally:
        for name, value in before.items():
            bl.put(f"PREAMP:I0:{name}", value)
