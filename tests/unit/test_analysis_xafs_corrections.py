import numpy as np
import pytest
import xraydb

from beamline_ophyd.analysis.xafs import dead_time, self_absorption

ENERGY = np.arange(7150.0, 8000.0, 5.0)


def thick_yield(density, thickness_cm, wiggle, angle_in, angle_out):
    """Fluorescence of a flat sample by the integral over its depth."""
    chosen = xraydb.material_mu("Fe2O3", ENERGY, density=density)
    iron = 2 * xraydb.atomic_mass("Fe") / (2 * 55.845 + 3 * 15.999) * density
    below = xraydb.mu_elam("Fe", np.array([7052.0, 7107.0]))
    power = np.log(below[1] / below[0]) / np.log(7107.0 / 7052.0)
    edge = iron * (xraydb.mu_elam("Fe", ENERGY) - below[1] * (ENERGY / 7107.0) ** power)
    lines = xraydb.xray_lines("Fe", "K").values()
    weights = [line.intensity for line in lines]
    out = np.average(
        [xraydb.material_mu("Fe2O3", line.energy, density=density) for line in lines],
        weights=weights,
    )
    deep = np.linspace(0, thickness_cm, 20_001)
    sines = np.sin(np.radians([angle_in, angle_out]))

    def emitted(absorbed):
        total = (chosen - edge + absorbed) / sines[0] + out / sines[1]
        return np.trapezoid(absorbed[:, None] * np.exp(-total[:, None] * deep), deep, axis=1)

    return emitted(edge * (1 + wiggle)) / emitted(edge)


@pytest.mark.parametrize(("angle_in", "angle_out"), [(45, 45), (10, 80), (80, 10)])
def test_the_fine_structure_of_a_thick_sample_comes_back(angle_in, angle_out):
    wiggle = 0.2 * np.sin(ENERGY / 15)
    measured = thick_yield(5.24, 0.02, wiggle, angle_in, angle_out)
    found = self_absorption(
        ENERGY, measured, "Fe2O3", "Fe-K", angle_in=angle_in, angle_out=angle_out
    )
    np.testing.assert_allclose(found.norm, 1 + wiggle, atol=2e-3)
    damped = np.std(measured - 1) / np.std(wiggle)
    assert damped == pytest.approx(np.mean(1 / (1 + found.strength)), rel=0.1)


def test_errors_grow_with_the_correction():
    noise = 1e-3 * np.random.default_rng(1).standard_normal((2000, len(ENERGY)))
    found = self_absorption(ENERGY, 1.1 + noise, "Fe2O3", "Fe-K", norm_errors=1e-3)
    assert found.errors is not None
    np.testing.assert_allclose(found.errors.mean(axis=0), found.norm.std(axis=0), rtol=0.1)


def test_a_dilute_sample_needs_next_to_no_correction():
    norm = 1 + 0.3 * np.sin(ENERGY / 15)
    dilute = self_absorption(ENERGY, norm, "Fe1B5000N5000", "Fe-K")
    np.testing.assert_allclose(dilute.norm, norm, atol=0.02)


def test_what_a_sample_cannot_yield_is_refused():
    with pytest.raises(ValueError, match="more than a thick Fe can yield"):
        self_absorption(ENERGY, np.full(len(ENERGY), 5.0), "Fe", "Fe-K")
    with pytest.raises(ValueError, match="holds no Fe"):
        self_absorption(ENERGY, np.ones(len(ENERGY)), "CuO", "Fe-K")
    with pytest.raises(ValueError, match="angle_out is 120"):
        self_absorption(ENERGY, np.ones(len(ENERGY)), "Fe", "Fe-K", angle_out=120)


@pytest.mark.parametrize(
    ("model", "seen"),
    [
        ("nonparalysable", lambda n, tau: n / (1 + n * tau)),
        ("paralysable", lambda n, tau: n * np.exp(-n * tau)),
    ],
)
def test_dead_time_is_the_inverse_of_the_model(model, seen):
    true = np.array([0.0, 1e3, 1e5, 7.2e5])
    counts = seen(true, 1e-6) * 0.5
    np.testing.assert_allclose(dead_time(counts, 0.5, 1e-6, model), true * 0.5, rtol=1e-9)


def test_rates_that_no_such_detector_shows_are_refused():
    with pytest.raises(ValueError, match="check tau_s"):
        dead_time(2e6, 1.0, 1e-6)
    with pytest.raises(ValueError, match="check tau_s"):
        dead_time(4e5, 1.0, 1e-6, "paralysable")
    with pytest.raises(ValueError, match="give one of"):
        dead_time(1.0, 1.0, 1e-6, "other")  # type: ignore[arg-type]
