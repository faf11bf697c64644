import subprocess
import sys
from pathlib import Path

import pytest

import beamline_ophyd.callbacks

ROOT = Path(__file__).resolve().parents[2]


def test_public_names_are_where_they_are_said_to_be():
    for name in beamline_ophyd.callbacks.__all__:
        assert getattr(beamline_ophyd.callbacks, name).__name__ == name
    assert set(beamline_ophyd.callbacks.__all__) <= set(dir(beamline_ophyd.callbacks))
    with pytest.raises(AttributeError, match="Nothing"):
        _ = beamline_ophyd.callbacks.Nothing


def test_cannot_be_imported_beside_the_package():
    done = subprocess.run(
        [sys.executable, "-c", "import callbacks"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "use `import beamline_ophyd.callbacks`" in done.stderr


def test_importing_one_callback_loads_no_other():
    code = """
import sys
from beamline_ophyd.callbacks import Journal
loaded = {"h5py", "tiled", "bluesky"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=150)
