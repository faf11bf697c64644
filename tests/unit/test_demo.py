"""What the demo says of a spectrum; the demo itself runs in tests/system."""

import numpy as np
import pytest

from beamline_ophyd.demo import missing_edge

ENERGY = np.arange(7000.0, 7300.0, 2.0)
ERRORS = np.full_like(ENERGY, 1e-3)


@pytest.mark.parametrize("errors", [ERRORS, None])
def test_a_spectrum_with_its_edge_is_no_problem(errors):
    mu = 0.5 - 1e-4 * (ENERGY - 7112) + (ENERGY > 7112)
    assert missing_edge(ENERGY, mu, errors, 7112.0, "foil: the Fe-K") == []


@pytest.mark.parametrize("errors", [ERRORS, None])
def test_a_sample_without_the_edge_is_a_problem(errors):
    mu = 0.5 - 1e-4 * (ENERGY - 7112)
    (problem,) = missing_edge(ENERGY, mu, errors, 7112.0, "cu_foil: the Fe-K")
    assert problem.startswith("cu_foil: the Fe-K edge is not there: mu changes by -4")
    assert "--edge" in problem


def test_a_rise_within_the_noise_is_no_edge():
    mu = 0.5 + 0.005 * (ENERGY > 7112)
    assert missing_edge(ENERGY, mu, ERRORS, 7112.0, "foil: the Fe-K") != []
