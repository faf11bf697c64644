from typing import Any

import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.measurement import measurement
from beamline_ophyd.formats.merging import merge
from beamline_ophyd.formats.run import RunBuilder


def spectrum_of(documents, mapping=None) -> Any:
    run = ScanData.from_documents(documents).run
    return merge(run, measurement(run, mapping))


def edit(documents, row, **values):
    """The documents with some readings of one event replaced."""
    documents = [(name, dict(doc)) for name, doc in documents]
    events = [doc for name, doc in documents if name == "event"]
    events[row]["data"] = {**events[row]["data"], **values}
    return documents


def test_one_sweep_comes_through_untouched(xafs_documents):
    documents = xafs_documents()
    events = [doc["data"] for name, doc in documents if name == "event"]
    found = spectrum_of(documents)
    np.testing.assert_array_equal(found.energy_ev, [e["mono_energy"] for e in events])
    for role, key in (("i0", "I0"), ("itrans", "It"), ("irefer", "Ir")):
        np.testing.assert_array_equal(found.channels[role], [e[key] for e in events])
    mu, _ = found.mu("transmission")
    np.testing.assert_array_equal(mu, np.log(found.channels["i0"] / found.channels["itrans"]))
    reference, _ = found.mu("reference")
    expected = np.log(found.channels["itrans"] / found.channels["irefer"])
    np.testing.assert_array_equal(reference, expected)


def test_repeats_merge_channels_before_mu(xafs_documents):
    documents = xafs_documents(points=12, repeats=3)
    events = [doc["data"] for name, doc in documents if name == "event"]
    table = {key: np.reshape([e[key] for e in events], (3, 12)) for key in events[0]}
    found = spectrum_of(documents)
    np.testing.assert_allclose(found.energy_ev, table["mono_energy"].mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.channels["i0"], table["I0"].sum(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.dwell_s, 1.5)
    expected = np.log(table["I0"].sum(axis=0) / table["It"].sum(axis=0))
    np.testing.assert_allclose(found.mu("transmission")[0], expected, rtol=1e-12)
    assert found.merged.tolist() == [3] * 12


def in_units(documents, **units):
    for key, unit in units.items():
        documents[1][1]["data_keys"][key]["units"] = unit
    return documents


def test_units_that_are_mixed_do_not_bring_the_sweeps_into_mu(xafs_documents):
    options = {"points": 12, "repeats": 2, "taken": 17}
    expected, sigma = spectrum_of(xafs_documents(**options)).mu()
    found = spectrum_of(in_units(xafs_documents(**options), It="A"))
    mu, unknown = found.mu()
    np.testing.assert_allclose(mu, expected, rtol=1e-12)
    assert unknown is None  # an energy per count says nothing of a current
    # Only the reference is in another unit: mu and its error are those of counts all along.
    found = spectrum_of(in_units(xafs_documents(**options), Ir="A"))
    np.testing.assert_allclose(found.mu()[0], expected, rtol=1e-12)
    np.testing.assert_allclose(found.mu()[1], sigma, rtol=1e-12)
    assert found.mu("reference")[1] is None
    one = ScanData.from_documents(xafs_documents(points=12)).columns["I0"]
    np.testing.assert_allclose(found.channels["i0"], one, rtol=0.1)


def test_partial_second_sweep_keeps_all_points(xafs_documents):
    found = spectrum_of(xafs_documents(points=12, repeats=2, taken=17))
    assert found.merged.tolist() == [2] * 5 + [1] * 7
    assert len(found.energy_ev) == 12
    assert spectrum_of(xafs_documents(points=12, repeats=2, taken=5)).merged.tolist() == [1] * 5


def test_error_is_that_of_the_photon_numbers(xafs_documents):
    found = spectrum_of(xafs_documents(ev_per_count=2.5e6, repeats=2))
    photons = {r: found.channels[r] * 2.5e6 / found.energy_ev for r in ("i0", "itrans")}
    _, sigma = found.mu("transmission")
    # Two sweeps of whole counts: 2/6 count^2 of rounding in each sum.
    whole = sum(2 / (6 * found.channels[r] ** 2) for r in photons)
    expected = np.sqrt(1 / photons["i0"] + 1 / photons["itrans"] + whole)
    np.testing.assert_allclose(sigma, expected, rtol=1e-6)


def test_error_knows_that_pulses_are_whole():
    """A pulse counter that runs on between gates: scatter and sigma agree where counts are few."""
    rng = np.random.default_rng(5)
    trials, mean = 4000, 23.4
    starts = rng.uniform(0, 1, (2, trials))
    i0, itrans = np.floor(starts + np.array([[1e6], [mean]])) - np.floor(starts)
    builder = RunBuilder()
    config = {"data": {"I0_ev_per_count": 1e9, "It_ev_per_count": 1e9}}  # many photons a count
    keys = {"energy": {"units": "eV"}, "I0": {"units": "counts"}, "It": {"units": "counts"}}
    builder.add("start", {"uid": "r", "time": 0.0})
    builder.add(
        "descriptor",
        {"uid": "d", "name": "primary", "configuration": {"x": config}, "data_keys": keys},
    )
    page = {"energy": np.full(trials, 8000.0), "I0": i0, "It": itrans}
    numbers = list(range(1, trials + 1))
    builder.add("event_page", {"descriptor": "d", "seq_num": numbers, "data": page})
    run = builder.snapshot()
    what = measurement(run, {"energy": "energy", "i0": "I0", "itrans": "It"})
    assert what is not None
    found, sigma = merge(run, what).mu("transmission")
    assert sigma is not None
    # One fraction of a count has 0.4 * 0.6 of variance; 1/6 is the mean over all fractions.
    assert np.std(found) == pytest.approx(np.sqrt(0.4 * 0.6) / mean, rel=0.05)
    assert np.mean(sigma) == pytest.approx(np.sqrt(1 / 6) / mean, rel=0.01)


def test_error_agrees_with_the_scatter_of_simulated_counting():
    """Photons drawn from Poisson statistics, counted at 1 eV a count: scatter and sigma agree."""
    rng = np.random.default_rng(11)
    energy, n0, mu, trials = 8000.0, 2e5, 1.3, 4000
    i0, itrans = rng.poisson(n0, trials), rng.poisson(n0 * np.exp(-mu), trials)
    builder = RunBuilder()
    config = {"data": {"I0_ev_per_count": 50.0, "It_ev_per_count": 40.0}}
    builder.add("start", {"uid": "r", "time": 0.0})
    builder.add(
        "descriptor",
        {"uid": "d", "name": "primary", "configuration": {"x": config},
         "data_keys": {"energy": {"units": "eV"}, "I0": {}, "It": {}}},
    )  # fmt: skip
    page = {"energy": np.full(trials, energy), "I0": i0 * energy / 50, "It": itrans * energy / 40}
    numbers = list(range(1, trials + 1))
    builder.add("event_page", {"descriptor": "d", "seq_num": numbers, "data": page})
    run = builder.snapshot()
    what = measurement(run, {"energy": "energy", "i0": "I0", "itrans": "It"})
    assert what is not None
    found, sigma = merge(run, what).mu("transmission")
    assert sigma is not None
    assert np.std(found) == pytest.approx(np.mean(sigma), rel=0.05)
    assert np.mean(sigma) == pytest.approx(np.sqrt((1 + np.exp(mu)) / n0), rel=0.01)


def test_without_photons_per_count_there_is_no_error(xafs_documents):
    assert spectrum_of(xafs_documents(ev_per_count=None)).mu("transmission")[1] is None
    for useless in (0.0, float("nan"), "unknown"):
        assert spectrum_of(xafs_documents(ev_per_count=useless)).mu("transmission")[1] is None


def test_fluorescence_error_scales_with_mu(xafs_documents):
    found = spectrum_of(xafs_documents(mode="fluorescence"))
    mu, sigma = found.mu("fluorescence")
    np.testing.assert_array_equal(mu, found.channels["ifluor"] / found.channels["i0"])
    relative = np.sqrt(
        sum(1 / found.photons[r] + 1 / (6 * found.channels[r] ** 2) for r in ("ifluor", "i0"))
    )
    np.testing.assert_allclose(sigma / mu, relative, rtol=1e-12)


def test_bad_reading_is_left_out_where_there_is_another(xafs_documents):
    documents = xafs_documents(points=12, repeats=2)
    good = spectrum_of(documents)
    bad = spectrum_of(edit(documents, 3, It=float("nan")))
    assert bad.merged.tolist() == [2, 2, 2, 1] + [2] * 8
    events = [doc["data"] for name, doc in documents if name == "event"]
    assert bad.channels["i0"][3] == events[15]["I0"]
    np.testing.assert_array_equal(np.delete(bad.energy_ev, 3), np.delete(good.energy_ev, 3))


def test_two_dark_readings_below_zero_are_no_absorption(xafs_documents):
    found = spectrum_of(edit(xafs_documents(), 3, I0=-5.0, It=-2.0, Ir=-3.0))
    for channel in ("transmission", "reference"):
        mu, errors = found.mu(channel)
        assert np.flatnonzero(np.isnan(mu)).tolist() == [3]
        assert np.isnan(errors[3])


def test_bad_reading_that_is_the_only_one_stays_and_mu_is_nan(xafs_documents):
    for value in (float("nan"), 0.0, -5.0):
        found = spectrum_of(edit(xafs_documents(), 3, It=value))
        assert len(found.energy_ev) == 12
        np.testing.assert_equal(found.channels["itrans"][3], value)
        assert np.flatnonzero(np.isnan(found.mu("transmission")[0])).tolist() == [3]
        assert np.isnan(found.mu("transmission")[1][3])


def test_point_taken_again_replaces_the_first(xafs_documents):
    documents = xafs_documents()
    again = dict(documents[5][1], uid="again", data={**documents[5][1]["data"], "I0": 5e5})
    found = spectrum_of([*documents[:-1], ("event", again), documents[-1]])
    assert len(found.energy_ev) == 12
    assert found.channels["i0"][3] == 5e5


def test_kev_become_ev(xafs_documents):
    documents = xafs_documents()
    documents[1][1]["data_keys"]["mono_energy"]["units"] = "keV"
    for name, doc in documents:
        if name == "event":
            doc["data"]["mono_energy"] /= 1000
    found = spectrum_of(documents).energy_ev
    np.testing.assert_allclose(found, np.linspace(7000, 7200, 12), rtol=0, atol=0.1)


def test_rates_are_averaged(xafs_documents):
    documents = xafs_documents(points=12, repeats=2)
    for key in ("I0", "It", "Ir"):
        documents[1][1]["data_keys"][key]["units"] = "A"
    found = spectrum_of(documents)
    assert found.channels["i0"] == pytest.approx(np.full(12, 1e6), rel=0.01)


def test_roles_by_contract_mapping_and_hints(xafs_documents):
    contract = ScanData.from_documents(xafs_documents()).run
    bare = ScanData.from_documents(xafs_documents(contract=False)).run
    mapping = {"energy": "mono_energy", "i0": "It", "itrans": "Ir"}
    assert measurement(contract, mapping).source == "contract"
    mapped = measurement(bare, mapping)
    assert (mapped.source, mapped.roles.i0, mapped.contract) == ("mapping", "It", None)
    hinted = measurement(bare)
    assert hinted.source == "hints"
    assert hinted.roles.channels == {"i0": "I0", "itrans": "It", "irefer": "Ir"}
    assert hinted.mode == "transmission"


@pytest.mark.parametrize("lost", ["mono_energy", "I0", "It"])
def test_run_without_a_needed_key_is_no_absorption_spectrum(xafs_documents, lost):
    documents = xafs_documents()
    for name, doc in documents:
        if name == "descriptor":
            del doc["data_keys"][lost]
        elif name == "event":
            del doc["data"][lost]
    assert measurement(ScanData.from_documents(documents).run) is None


def test_error_for_a_missing_channel_shows_the_mapping(xafs_documents):
    found = spectrum_of(xafs_documents())
    with pytest.raises(ValueError, match=r"ifluor.*which this run does not have.*mapping"):
        found.mu("fluorescence")
    with pytest.raises(ValueError, match="one of transmission"):
        found.mu("nothing")
