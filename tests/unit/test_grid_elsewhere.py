"""The grids of other systems: reproduced where they are right, and their failures avoided.

Each grid is written here by the formula that the system's own source has, named by repository
and file, and compared with :func:`energy_grid` for the same wish.
"""

import math
from decimal import Decimal

import numpy as np
import pytest

from beamline_ophyd.grid import K_CONSTANT_EV_A2, energy_grid, k_to_energy

FE = 7112.0


def k_of(energy_ev, e0, constant=K_CONSTANT_EV_A2):
    return np.sqrt((np.asarray(energy_ev) - e0) / constant)


# NSLS-II-BMM/profile_collection: startup/BMM/xafs_functions.py, conventional_grid

BMM_K = 3.8099819443


def bmm_grid(bounds, steps, times, e0):
    """Each region by arange, without its stop; in k where the step is; rounded to 10 meV."""
    ev = [BMM_K * float(b[:-1]) ** 2 if isinstance(b, str) else b for b in bounds]
    energies, dwells = [], []
    for start, stop, step, time in zip(ev, ev[1:], steps, times, strict=False):
        if isinstance(step, str):
            ks = np.arange(math.sqrt(start / BMM_K), math.sqrt(stop / BMM_K), float(step[:-1]))
            points = e0 + BMM_K * ks**2
        else:
            points = np.arange(e0 + start, e0 + stop, step)
        energies += list(points)
        scale = k_of(points, e0, BMM_K) if isinstance(time, str) else np.ones(len(points))
        dwells += list(scale * float(time[:-1] if isinstance(time, str) else time))
    return np.round(energies, 2), np.round(dwells, 2)


@pytest.mark.parametrize(
    ("bounds", "steps", "times"),
    [
        # The default, and two examples of its docstring.
        ([-200, -30, 15.3, "14k"], [10, 0.5, "0.05k"], [0.5, 0.5, "0.25k"]),
        ([-200.0, -20.0, 30.0, "5k", "14.5k"], [10.0, 0.5, 2, "0.05k"], [1, 1, 1, "1k"]),
        ([-10, 40], [0.25], [0.5]),
    ],
)
def test_bmm_grids_are_reproduced_and_end_where_they_should(bounds, steps, times):
    energies, dwells = bmm_grid(bounds, steps, times, FE)
    grid = energy_grid("Fe-K", bounds=bounds, steps=steps, times=times)
    assert len(grid) == len(energies) + 1
    np.testing.assert_allclose(grid.energy_ev[:-1], energies, atol=0.0051)
    np.testing.assert_allclose(grid.dwell_s[:-1], dwells, atol=0.0051)
    last = bounds[-1]
    end = k_to_energy(float(last[:-1]), FE) if isinstance(last, str) else FE + last
    assert grid.energy_ev[-1] == end
    assert energies[-1] < end - 0.2  # theirs stops short of it


def test_bmm_regions_that_are_whole_meet_at_their_bounds():
    """Its example of many regions: equal steps of k, begun anew at each bound in eV."""
    bounds = [-200, -30, -10, 15, 100, 300, 500, 700, 900]
    steps, times = [10, 2, 0.5] + ["0.05k"] * 5, [0.5, 0.5, 0.5, 1, 2, 3, 4, 5]
    energies, dwells = bmm_grid(bounds, steps, times, FE)
    grid = energy_grid("Fe-K", bounds=bounds, steps=steps, times=times)
    # The last step before 300 eV ends 30 meV short of it: ours goes on to the bound instead.
    elsewhere = [e for e in energies if np.abs(grid.energy_ev - e).min() > 0.0051]
    assert elsewhere == [pytest.approx(FE + 299.97)]
    kept = energies != elsewhere[0]
    at = [int(np.abs(grid.energy_ev - energy).argmin()) for energy in energies[kept]]
    np.testing.assert_array_equal(grid.dwell_s[at], dwells[kept])
    assert len(grid) == len(energies)  # one merged, and the end


def test_bmm_repeats_a_boundary_and_ours_does_not():
    bounds, steps = [-200, -30, 15.3, "14k"], [10, 0.3, "0.05k"]
    energies, _ = bmm_grid(bounds, steps, [1, 1, 1], FE)
    assert np.diff(energies).min() == 0  # 15.3 is there twice: arange overshoots by rounding
    grid = energy_grid("Fe-K", bounds=bounds, steps=steps, times=[1, 1, 1])
    assert np.count_nonzero(np.isclose(grid.energy_ev, FE + 15.3, atol=0.01)) == 1


# spc-group/haven: src/haven/energy_ranges.py, KRange; numbers of tests/haven/test_energy_ranges.py
# and tests/haven/plans/test_energy_xafs_scan.py


def test_haven_k_region_ends_at_athenas_energy():
    grid = energy_grid(17038.0, regions=[
        {"start": "2.8k", "stop": "14k", "step": "0.05k", "time": 1.0, "k_power": 1},
    ], cross_edges=True)  # fmt: skip
    assert len(grid) == 225
    assert grid.energy_ev[-1] == pytest.approx(17038 + 746.7568692, abs=1e-3)
    assert grid.dwell_s[16] == pytest.approx(1.28529317, abs=1e-3)


def test_haven_k_region_with_growing_exposures_is_reproduced():
    first, n = 1.6200877248145786, 25
    grid = energy_grid(10000.0, regions=[{
        "start": f"{first}k", "stop": "14k", "step": f"{(14 - first) / (n - 1)}k",
        "time": 0.75 * math.sqrt(first), "k_power": 0.5,
    }])  # fmt: skip
    assert len(grid) == n
    theirs = {0: 10009.99999999, 1: 10017.3816838, 12: 10232.39666018, 24: 10746.75649375}
    for index, energy in theirs.items():
        assert grid.energy_ev[index] == pytest.approx(energy, abs=2e-5)
    exposures = {0: 0.9546200004, 1: 1.0961083610, 12: 2.0959841776, 24: 2.8062430401}
    for index, exposure in exposures.items():
        assert grid.dwell_s[index] == pytest.approx(exposure, rel=1e-6)


def test_haven_regions_of_energies_are_reproduced():
    """Six and eleven points about Ni K; a point that two regions share is there once."""
    grid = energy_grid("Ni-K", bounds=[-10, 0, 10], steps=[2, 1], times=[0.5, 1.0])
    theirs = [*range(8323, 8334, 2), *range(8334, 8344)]
    np.testing.assert_array_equal(grid.energy_ev, theirs)
    # The point that both have is counted as the second region says, where theirs has the first.
    assert grid.dwell_s.tolist() == [0.5] * 5 + [1.0] * 11


def test_haven_leaves_a_pair_at_the_start_of_k_and_ours_does_not():
    """Its example: an edge region to 50 eV, then k from 3.623, that is 50.01 eV."""
    edge = np.linspace(-30, 50, 161)
    theirs = np.unique([*edge, *K_CONSTANT_EV_A2 * np.linspace(3.623, 8, 51) ** 2])
    assert np.diff(theirs).min() < 0.02
    grid = energy_grid("Ni-K", regions=[
        {"start": -30, "stop": 50, "step": 0.5},
        {"start": "3.623k", "stop": "8k", "step": f"{(8 - 3.623) / 50}k"},
    ])  # fmt: skip
    assert np.diff(grid.energy_ev).min() > 0.49
    assert len(grid) == len(theirs) - 1


# NSLS-II-ISS/xas: xas/xray.py, generate_energy_grid

ISS_K = 1000 / 16.2009**2


def iss_grid(e0, start, xanes, exafs, k_end, steps, k_step):
    """Its EXAFS energies are equal steps of a k that counts from the region's start, not E0."""
    pre = np.arange(e0 + start, e0 + xanes, steps[0])
    edge = np.arange(e0 + xanes, e0 + exafs, steps[1])
    post, i = [], 0
    while not post or post[-1] < e0 + ISS_K * k_end**2:
        i += 1
        post.append(e0 + exafs + ISS_K * (i * k_step) ** 2)
    return np.concatenate([pre, edge, post])


def test_iss_before_the_edge_is_reproduced_and_its_end_is_not():
    theirs = iss_grid(FE, -200, -30, 30, 16, (10, 0.25), 0.05)
    grid = energy_grid(
        "Fe-K", bounds=[-200, -30, 30, "16k"], steps=[10, 0.25, "0.05k"], times=[1, 1, 1]
    )
    below = theirs < FE + 30
    np.testing.assert_allclose(grid.energy_ev[grid.region < 2], theirs[below], atol=1e-9)
    end = FE + ISS_K * 16**2
    assert theirs[-1] - end > 1.0  # beyond what was asked for
    assert grid.energy_ev[-1] == pytest.approx(end, abs=4e-3)  # its constant is 11e-6 smaller
    # Its first steps of "0.05 k" are of some 10 meV.
    assert np.diff(theirs[theirs > FE + 30])[:2] == pytest.approx([0.0286, 0.0476], abs=1e-3)
    np.testing.assert_allclose(np.diff(grid.k_inv_angstrom[grid.region == 2])[:-1], 0.05, atol=1e-9)


# DiamondLightSource/spectroscopy-bluesky: src/spectroscopy_bluesky/common/xas_scans


def test_diamond_pre_edge_edge_and_constant_k_steps_are_reproduced():
    """Its regions of constant steps; those of a growing step, which smooth the joints, are not."""
    a, b, c, final = -35.0, -12.0, 12.0, 850.0
    grid = energy_grid("Fe-K", regions=[
        {"start": -200, "stop": a, "step": 5, "time": 0.5},
        {"start": b, "stop": c, "step": 0.5, "time": 0.5},
        {"stop": final, "step": "0.04k", "time": 0.5},
    ])  # fmt: skip
    pre, edge = np.arange(-200, a, 5), np.arange(b, c, 0.5)
    exafs = np.arange(math.sqrt(c / K_CONSTANT_EV_A2), math.sqrt(final / K_CONSTANT_EV_A2), 0.04)
    relative = grid.energy_ev - FE
    np.testing.assert_allclose(relative[grid.region == 0][:-1], pre, atol=1e-9)
    np.testing.assert_allclose(relative[grid.region == 1], edge, atol=1e-9)
    ours = grid.k_inv_angstrom[grid.region == 2]
    np.testing.assert_allclose(ours[:-1], exafs[: len(ours) - 1], atol=1e-9)
    assert relative[-1] == final


def test_diamond_appends_its_end_however_near_and_ours_merges():
    """It adds the end where the last step is more than 0.001 away, in k as in eV."""
    k_start, step = 2.0, 0.04
    k_end = k_start + 100 * step + 0.0011
    steps = np.arange(k_start, k_end, step)
    assert k_end - steps[-1] == pytest.approx(0.0011, abs=1e-6)
    grid = energy_grid("Fe-K", bounds=["2k", f"{k_end}k"], steps=["0.04k"], times=[1])
    assert np.diff(grid.k_inv_angstrom).min() > 0.039
    assert grid.k_inv_angstrom[-1] == pytest.approx(k_end, abs=1e-9)


def test_diamond_ends_m1_below_its_edge_and_ours_above():
    """calculate_final_energy gives M1 its own edge less 10 eV."""
    grid = energy_grid("Au-M1")
    assert grid.energy_ev[-1] > grid.e0_ev + 100


# SESAME-Synchrotron/XAFSScanTool: xafs_xrf.py, getStepSizeK, drangeK and drange


def test_sesame_exact_steps_of_k_are_reproduced():
    """The step that it computes at each point from where the monochromator is."""
    energy, theirs = FE + 50.0, []
    while energy < FE + 500.0:
        theirs.append(energy)
        energy = FE + 3.81 * (math.sqrt((energy - FE) / 3.81) + 0.05) ** 2
    grid = energy_grid("Fe-K", bounds=[50, 500], steps=["0.05k"], times=[1])
    assert len(grid) == len(theirs) + 1
    np.testing.assert_allclose(grid.energy_ev[:-1], theirs, atol=2e-3)  # its constant is 3.81


def test_sesame_planned_steps_of_k_are_coarse_and_overshoot_and_ours_are_not():
    """It takes 4 for twice the square root of 3.81, and leaves the loop one point too late."""
    energies = [FE + 50.0]
    while energies[-1] <= FE + 500.0:
        energies.append(energies[-1] + 4 * 0.05 * math.sqrt(energies[-1] - FE))
    steps = np.diff(k_of(energies, FE))
    assert steps.mean() > 0.05 * 1.015
    assert energies[-1] > FE + 500.5
    grid = energy_grid("Fe-K", bounds=[50, 500], steps=["0.05k"], times=[1])
    np.testing.assert_allclose(np.diff(grid.k_inv_angstrom)[:-1], 0.05, atol=1e-9)
    assert grid.energy_ev[-1] == FE + 500


def test_sesame_measures_a_boundary_in_both_intervals_and_ours_once():
    def interval(start, stop, step):
        n = int((Decimal(stop) - Decimal(start)) / Decimal(step)) + 1
        return [float(Decimal(start) + i * Decimal(step)) for i in range(n)]

    theirs = interval("7100", "7110", "2") + interval("7110", "7120", "1")
    assert theirs.count(7110.0) == 2
    grid = energy_grid("Fe-K", bounds=[-12, -2, 8], steps=[2, 1], times=[1, 1])
    np.testing.assert_array_equal(grid.energy_ev, np.unique(theirs))


# pyepics/epicsscan: epicsscan/xafs_scan.py, add_region

EPICSSCAN_K = 3.809980849311092


def epicsscan_grid(e0, regions):
    """Steps stretched to fit the region; points not above the last by 10 meV are dropped."""
    energies: list[float] = []
    for start, stop, step, in_k in regions:
        values = np.linspace(start, stop, 1 + int(0.1 + abs(stop - start) / step))
        points = e0 + (EPICSSCAN_K * values**2 if in_k else values)
        energies += [p for p in points if p > (energies[-1] if energies else 0.0) + 0.01]
    return np.array(energies)


def test_epicsscan_regions_whose_steps_fit_are_reproduced():
    k_start = math.sqrt(25 / EPICSSCAN_K)
    k_stop = k_start + 200 * 0.05
    theirs = epicsscan_grid(
        FE,
        [(-200, -20, 5, False), (-20, 25, 0.25, False), (k_start, k_stop, 0.05, True)],
    )
    grid = energy_grid("Fe-K", regions=[
        {"start": -200, "stop": -20, "step": 5},
        {"stop": 25, "step": 0.25},
        {"start": 25, "stop": f"{k_stop}k", "step": "0.05k"},
    ])  # fmt: skip
    assert len(grid) == len(theirs)
    np.testing.assert_allclose(grid.energy_ev, theirs, atol=1e-3)


def test_epicsscan_stretches_a_step_that_does_not_fit_and_ours_does_not():
    theirs = epicsscan_grid(FE, [(-10, 15.3, 0.5, False)])
    assert np.diff(theirs) == pytest.approx(0.506, abs=1e-6)
    grid = energy_grid("Fe-K", bounds=[-10, 15.3], steps=[0.5], times=[1])
    np.testing.assert_allclose(np.diff(grid.energy_ev)[:-1], 0.5, atol=1e-9)
    assert grid.energy_ev[-1] == theirs[-1] == FE + 15.3


def test_epicsscan_leaves_a_pair_where_k_begins_and_ours_does_not():
    regions = [(-10, 25, 0.5, False), (2.5625, 12, 0.05, True)]  # 25.018 eV
    theirs = epicsscan_grid(FE, regions)
    assert np.diff(theirs).min() < 0.02
    grid = energy_grid("Fe-K", regions=[
        {"start": -10, "stop": 25, "step": 0.5},
        {"start": "2.5625k", "stop": "12k", "step": "0.05k"},
    ])  # fmt: skip
    assert np.diff(grid.energy_ev).min() > 0.45
