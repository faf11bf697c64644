import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline_ophyd.grid import (
    K_CONSTANT_EV_A2,
    EnergyGrid,
    GridError,
    absorption_edge,
    energy_grid,
    energy_to_k,
    k_to_energy,
)


def test_default_regions_of_the_iron_edge():
    grid = energy_grid("Fe-K")
    assert (grid.element, grid.edge, grid.e0_ev) == ("Fe", "K", 7112.0)
    assert grid.energy_ev[0] == 6912.0
    assert grid.energy_ev[-1] == 7112.0 + K_CONSTANT_EV_A2 * 14**2
    in_k = grid.k_inv_angstrom[grid.region == 3]
    np.testing.assert_allclose(np.diff(in_k[:-1]), 0.05, atol=1e-9)
    np.testing.assert_allclose(grid.dwell_s[grid.region == 3], 0.25 * in_k)
    assert set(grid.dwell_s[grid.region < 3]) == {0.5}


def test_k_constant_is_codata():
    from scipy import constants

    expected = constants.hbar**2 / (2 * constants.m_e) / constants.e * 1e20
    assert pytest.approx(expected, rel=2e-9) == K_CONSTANT_EV_A2


def test_a_boundary_belongs_to_one_region():
    # BMM's -30 to 15.3 by 0.3 repeats a boundary and its 14k ends at 13.954.
    grid = energy_grid(
        "Fe-K", bounds=[-200, -30, 15.3, "14k"], steps=[10, 0.3, "0.05k"], times=[1, 1, 1]
    )
    relative = grid.energy_ev - grid.e0_ev
    assert np.count_nonzero(np.abs(relative + 30) < 0.1) == 1
    assert np.count_nonzero(np.abs(relative - 15.3) < 0.1) == 1
    assert grid.k_inv_angstrom[-1] == pytest.approx(14.0, abs=1e-12)
    assert np.diff(grid.energy_ev).min() > 0.09


def test_no_close_pair_between_an_energy_and_a_k_region():
    # haven leaves a pair 10 meV apart: its E region overshoots the start of the k region.
    k_start = math.sqrt(25.01 / K_CONSTANT_EV_A2)
    grid = energy_grid("Fe-K", regions=[
        {"start": -10, "stop": f"{k_start}k", "step": 0.5},
        {"stop": "5k", "step": "0.05k"},
    ])  # fmt: skip
    assert np.diff(grid.energy_ev).min() >= 0.05 - 1e-9


@pytest.mark.parametrize(
    ("stop", "start"), [(25, "2.562k"), (25, "2.56k"), ("2.562k", 25.01), ("2.56k", 25.0)]
)
def test_bounds_that_mean_the_same_energy_are_one(stop, start):
    grid = energy_grid("Fe-K", regions=[
        {"start": -10, "stop": stop, "step": 0.5}, {"start": start, "stop": "14k", "step": "0.05k"},
    ])  # fmt: skip
    assert np.diff(grid.energy_ev).min() > 0.4


def test_a_gap_that_was_meant_stays():
    grid = energy_grid("Fe-K", regions=[
        {"start": -10, "stop": 10, "step": 0.5}, {"start": 10.2, "stop": 20, "step": 0.5},
    ])  # fmt: skip
    assert {7122.0, 7122.2} <= set(grid.energy_ev.round(6))


def test_the_last_region_does_not_overshoot():
    # ISS overshoots by 1.8 eV.
    grid = energy_grid("Fe-K", bounds=[-10, 100.7], steps=[2.5], times=[1])
    assert grid.energy_ev[-1] == 7112 + 100.7


def test_k_steps_are_what_was_asked_for():
    # SESAME's are 2 % coarse.
    grid = energy_grid("Fe-K", bounds=["2k", "12k"], steps=["0.05k"], times=[1])
    np.testing.assert_allclose(np.diff(grid.k_inv_angstrom), 0.05, atol=1e-9)
    assert len(grid) == 201


def test_a_prompt_shows_a_grid_in_a_line():
    grid = energy_grid("Fe-K", bounds=[-10, 10], steps=[2], times=[0.5])
    assert repr(grid) == "<energy grid: Fe K, E0 7112.0 eV, 11 points, 7102.0 to 7122.0 eV>"


def test_what_comes_from_arrays_is_recorded_as_plain_json():
    arrays = {"bounds": np.array([-10, 10]), "steps": np.array([2]), "times": np.float32([0.5])}
    lists = {"bounds": [-10, 10], "steps": [2], "times": [0.5]}
    recorded = json.dumps(energy_grid("Fe-K", **arrays).to_dict())
    assert recorded == json.dumps(energy_grid("Fe-K", **lists).to_dict())


def test_dwell_grows_with_k_up_to_the_cap():
    grid = energy_grid("Ni-K", regions=[
        {"start": "3k", "stop": "14k", "step": "0.05k", "time": 1.0, "k_power": 2, "max_time": 10},
    ])  # fmt: skip
    expected = np.minimum((grid.k_inv_angstrom / 3) ** 2, 10)
    np.testing.assert_allclose(grid.dwell_s, expected)
    assert grid.dwell_s[0] == 1.0
    assert grid.dwell_s[-1] == 10.0


def test_a_gap_keeps_the_end_of_the_region_before():
    grid = energy_grid("Fe-K", regions=[
        {"start": -20, "stop": -10, "step": 5},
        {"start": 10, "stop": 20, "step": 5},
    ])  # fmt: skip
    assert list(grid.energy_ev - 7112) == [-20, -15, -10, 10, 15, 20]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Fe-K", ("Fe", "K", 7112.0)),
        ("Pb L3", ("Pb", "L3", 13035.0)),
        (8333.0, ("Ni", "K", 8333.0)),
    ],
)
def test_edges(name, expected):
    assert absorption_edge(name) == expected


def test_an_energy_away_from_every_edge_has_no_element():
    assert absorption_edge(7400.0) == (None, None, 7400.0)


def test_default_regions_stop_short_of_the_next_edge():
    assert energy_grid("Ba-L3").energy_ev[-1] == 5624.0 - 10.0


@pytest.mark.parametrize(
    ("edge", "options", "words"),
    [
        ("Xx-K", {}, "no element 'Xx'"),
        ("Fe-K9", {}, "not understood"),
        ("iron", {}, "not understood"),
        ("H-L3", {}, "not tabulated; H has K"),
        (-5.0, {}, "not a positive energy"),
        (math.nan, {}, "not a positive energy"),
        (None, {}, "E0 None is not a positive energy"),
        ([7112], {}, "not a positive energy"),
        (True, {}, "not a positive energy"),
        ("Fe-K", {"bounds": [0, 5e-4], "steps": [1]}, "region 1 is 0.5 meV wide"),
        ("Fe-K", {"regions": [{"start": 5, "stop": 9, "step": 1, "max_time": "5k"}]},
         "max_time '5k' cannot be in k"),
        ("Fe-K", {"regions": [{"start": 5, "stop": 9, "step": 1, "k_power": "2k"}]},
         "k_power '2k' cannot be in k"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [-1]}, "region 1: step -1 is not positive"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [0]}, "region 1: step 0 is not positive"),
        ("Fe-K", {"bounds": [-10, "-5k"], "steps": [1]}, "k below 0"),
        (100, {"bounds": [-200, 5], "steps": [1]}, r"-100.0 eV; bounds are .* 100.0 eV"),
        ("Fe-K", {"bounds": [-10, 10], "steps": ["0.1k"]}, "below E0, where k is not"),
        ("Fe-K", {"bounds": [-10, 10, 5], "steps": [1, 1]}, "region 2 ends at"),
        ("Fe-K", {"bounds": [-10, 10]}, "bounds and steps belong together"),
        ("Fe-K", {"bounds": [-10], "steps": []}, "at least two"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1, 1]}, "steps has 2 entries; give 1"),
        ("Fe-K", {"bounds": [-10, "ten"], "steps": [1]}, "neither a number"),
        ("Fe-K", {"bounds": [-10, math.inf], "steps": [1]}, "not finite"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1e-9]}, "more than"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1], "times": [0]}, "not a positive number"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1], "times": [math.nan]}, "not finite"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1], "times": ["1k"]}, "grows with k"),
        ("Fe-K", {"bounds": [-10, 10], "steps": [1], "limits": (7105, 20000)}, "monochromator's"),
        ("Fe-K", {"regions": []}, "no region"),
        ("Fe-K", {"regions": [{"stop": 5, "step": 1}]}, "region 1 has no start"),
        ("Fe-K", {"regions": [{"start": 0, "stop": 5}]}, "region 1 lacks step"),
        ("Fe-K", {"regions": [{"start": 0, "stop": 5, "step": 1, "speed": 2}]}, "has speed"),
        ("Fe-K", {"regions": [], "bounds": [0, 1]}, "drop one of them"),
        ("Fe-K", {"bounds": [True, 10], "steps": [1]}, "neither a number"),
        ("Ba-L3", {"bounds": [-10, 1000], "steps": [1]}, "crosses the Ba L2 edge"),
        ("Ba-L2", {"bounds": [-900, -5, 5], "steps": [5, 1]}, "region 1 of the grid"),
        ("Ti-L3", {}, "too close for the default regions"),
        ("Fe-K", {"regions": 5}, "regions is 5; give a list"),
        ("Fe-K", {"regions": [5]}, "region 1 is 5; give a dictionary"),
        ("Fe-K", {"bounds": [-10, 10], "steps": 1}, "steps is 1; give a list"),
        ("Ba-L3", {"bounds": [-10, 0, 1000], "steps": [1, 1]}, "region 2 of the grid"),
    ],
)  # fmt: skip
def test_refusals_name_the_trouble(edge, options, words):
    with pytest.raises(GridError, match=words.replace("(", r"\(")):
        energy_grid(edge, **options)


def test_points_never_come_closer_than_a_millielectronvolt():
    """Equal steps of k are tiny in eV just above E0, and a boundary may be given twice."""
    for regions in (
        [{"start": 0, "stop": "3k", "step": "0.002k"}],
        [{"start": 0.001, "stop": "0.1k", "step": "0.001k"}],
        [{"start": -5, "stop": 0, "step": 0.001}, {"start": -9e-4, "stop": 5, "step": 0.5}],
    ):
        energies = energy_grid("Fe-K", regions=regions).energy_ev
        assert np.diff(energies).min() > 0.999e-3


@pytest.mark.parametrize("energy", [5e120, 1e-300])
def test_an_energy_beyond_all_tables(energy):
    assert absorption_edge(energy) == (None, None, energy)


def test_overlap_is_refused_with_both_regions():
    with pytest.raises(GridError) as refusal:
        energy_grid("Fe-K", regions=[
            {"start": -10, "stop": 50, "step": 1}, {"start": 38, "stop": 60, "step": 1},
        ])  # fmt: skip
    assert "region 2 starts at 7150.0 eV, before region 1 ends (7162.0 eV)" in str(refusal.value)


def test_crossing_an_edge_can_be_asked_for():
    grid = energy_grid("Ba-L3", bounds=[-10, 1000], steps=[1], cross_edges=True)
    assert grid.energy_ev[-1] == 6247.0


def test_k_and_energy_are_inverse():
    k = np.linspace(0, 20, 201)
    np.testing.assert_allclose(energy_to_k(k_to_energy(k, 7112.0), 7112.0), k, atol=1e-6)
    assert energy_to_k(7000.0, 7112.0) == 0


@st.composite
def region_lists(draw):
    start = draw(st.floats(-300, -5))
    # At least 10 meV apart: a region without an extent is refused, as it should be.
    hundredths = draw(st.lists(st.integers(50, 6000), min_size=1, max_size=4, unique=True))
    edges = sorted(n / 100 for n in hundredths)
    steps, times = st.floats(0.1, 7), st.floats(0.05, 20)
    regions = [{"start": start, "stop": edges[0], "step": draw(steps), "time": draw(times)}]
    regions += [{"stop": stop, "step": draw(steps), "time": draw(times)} for stop in edges[1:]]
    if draw(st.booleans()):
        regions.append({
            "stop": f"{draw(st.floats(5, 14))}k", "step": f"{draw(st.floats(0.02, 0.5))}k",
            "time": draw(st.floats(0.1, 5)), "k_power": draw(st.sampled_from([0, 1, 2, 3])),
            "max_time": draw(st.none() | st.floats(0.1, 20)),
        })  # fmt: skip
        if draw(st.booleans()):
            regions[-1] |= {"time": f"{draw(st.floats(0.05, 2))}k", "k_power": 0}
    return regions


def bounds_ev(regions):
    """Start and stops of contiguous regions in eV."""
    stops = [region["stop"] for region in regions]
    in_ev = [k_to_energy(float(s[:-1]), 7112.0) if isinstance(s, str) else 7112.0 + s
             for s in stops]  # fmt: skip
    return [7112.0 + regions[0]["start"], *map(float, in_ev)]


@given(region_lists())
def test_any_grid_is_strictly_increasing_with_exact_ends(regions):
    grid = energy_grid("Fe-K", regions=regions)
    gaps = np.diff(grid.energy_ev)
    assert (gaps >= 1e-3).all()
    bounds = bounds_ev(regions)
    assert grid.energy_ev[0] == bounds[0]
    assert grid.energy_ev[-1] == bounds[-1]
    for number, region in enumerate(regions):
        points = grid.energy_ev[grid.region == number]
        assert len(points)
        if not isinstance(region["step"], str):
            assert (np.diff(points) <= region["step"] * 1.1 + 1e-9).all()


@given(region_lists())
def test_any_boundary_is_there_once_and_belongs_to_the_region_above(regions):
    grid = energy_grid("Fe-K", regions=regions)
    for number, bound in enumerate(bounds_ev(regions)[1:-1], start=1):
        (at,) = np.flatnonzero(np.abs(grid.energy_ev - bound) < 1e-3)
        assert grid.energy_ev[at] == bound
        assert grid.region[at] == number
        assert grid.region[at - 1] == number - 1
        # No nearer to it than a tenth of a step: what is left of a step below it is merged.
        if np.count_nonzero(grid.region == number - 1) > 1:
            step = regions[number - 1]["step"]
            assert bound - grid.energy_ev[at - 1] >= 0.1 * step - 1e-9


@given(region_lists())
def test_any_dwell_time_is_what_its_region_says(regions):
    grid = energy_grid("Fe-K", regions=regions)
    expected = []
    for number, region in enumerate(regions):
        k = grid.k_inv_angstrom[grid.region == number]
        time = region["time"]
        if isinstance(time, str):
            dwell = float(time[:-1]) * k
        else:
            power = region.get("k_power", 0)
            dwell = time * (k / k[0]) ** power if power else np.full(len(k), time)
        expected.append(np.minimum(dwell, region.get("max_time") or math.inf))
    np.testing.assert_allclose(grid.dwell_s, np.concatenate(expected), rtol=1e-9)
    assert (grid.dwell_s > 0).all()
    assert grid.total_dwell_s == pytest.approx(math.fsum(np.concatenate(expected)), rel=1e-9)


@given(region_lists())
def test_round_trip_through_json_is_exact(regions):
    grid = energy_grid("Fe-K", regions=regions)
    again = EnergyGrid.from_dict(json.loads(json.dumps(grid.to_dict())))
    assert np.array_equal(grid.energy_ev, again.energy_ev)
    assert np.array_equal(grid.dwell_s, again.dwell_s)
    assert (grid.element, grid.edge) == (again.element, again.edge)
