"""Foils of the library beside measured ones that nothing was fitted to, both reduced by larch."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from ..environments import ROOT, reference_python

pytestmark = pytest.mark.slow("larch takes five seconds to import")

SAMPLES = ROOT / "device_server" / "samples"
FOILS = ("fe_foil", "cu_foil", "ni_foil")


def check(data, library):
    command = [
        reference_python(),
        SAMPLES / "generate.py",
        "check",
        "--data",
        data,
        "--out",
        library,
    ]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=250,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def told(reference_data):
    result = check(reference_data, SAMPLES)
    assert result.returncode == 0, result.stdout + result.stderr
    return [line.split() for line in result.stdout.splitlines()]


def test_the_foils_agree_with_those_kept_for_checking(told):
    assert [(words[0], words[-1]) for words in told] == [(foil, "(good)") for foil in FOILS]


def test_nothing_is_fitted_to_a_spectrum_kept_for_checking(told):
    kept = [words[2].rstrip(":") for words in told]
    fitted = "".join(path.read_text() for path in SAMPLES.glob("*.xdi"))
    assert not [name for name in kept if name in fitted]


def test_a_lattice_two_percent_too_large_is_told(reference_data, tmp_path):
    for stem in FOILS:
        shutil.copy(SAMPLES / f"{stem}.xdi", tmp_path)
    path = tmp_path / "cu_foil.xdi"
    energy, mu = np.loadtxt(path, unpack=True)
    # chi(k) of distances 1.02 R is chi(1.02 k): the energies above the edge shrink.
    edge = 8979.0
    moved = np.where(energy > edge, edge + (energy - edge) / 1.02**2, energy)
    np.savetxt(path, np.column_stack([energy, np.interp(energy, moved, mu)]))
    result = check(reference_data, tmp_path)
    assert result.returncode == 1
    assert [line.endswith("(TOO FAR)") for line in result.stdout.splitlines()] == [
        False,
        True,
        False,
    ]
