"""Dark current: taken from every reading before mu is made of it, in all forms of a run."""

from copy import deepcopy
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file

from ..runs import of, with_dark

DARK = {"I0": 40.0, "It": 30.0, "Ir": 20.0}
DWELL_S = 0.5


def opened(path) -> Any:
    return h5py.File(path)


@pytest.fixture
def documents(xafs_documents):
    return with_dark(xafs_documents(), DARK, errors={"I0": 2.0, "It": 1.5})


@pytest.fixture
def readings(documents):
    events = of(documents, "event", "primary")
    return {key: np.array([event["data"][key] for event in events]) for key in DARK}


def test_mu_is_that_of_the_light(documents, readings):
    data = ScanData.from_documents(documents)
    net = {key: values - DARK[key] * DWELL_S for key, values in readings.items()}
    np.testing.assert_array_equal(data.mu()[0], np.log(net["I0"] / net["It"]))
    np.testing.assert_array_equal(data.mu("reference")[0], np.log(net["It"] / net["Ir"]))
    # The readings themselves stay as they were.
    np.testing.assert_array_equal(data.merged().channels["itrans"], readings["It"])


def test_all_forms_have_the_same_mu(documents, readings, tmp_path):
    data = ScanData.from_documents(documents)
    mu, errors = data.mu()
    path = data.to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    with opened(path) as file:
        entry = file["entry"]
        np.testing.assert_array_equal(entry["intensity"], mu)
        np.testing.assert_array_equal(entry["intensity_errors"], errors)
        detector = entry["instrument/itrans"]
        np.testing.assert_array_equal(detector["data"], readings["It"])
        np.testing.assert_array_equal(detector["dark/data"], np.full(12, 15.0))
        assert detector["dark/value"][()] == 30.0
        assert detector["dark/value"].attrs["units"] == "counts/s"
        assert detector["dark/value_error"][()] == 1.5
        assert detector["dark/date"].asstr()[()] < entry["start_time"].asstr()[()]
        formula = entry["process/parameters/formula"].asstr()[()]
        assert formula.startswith("intensity = numpy.log((i0 - i0_dark) / (itrans - itrans_dark))")
        dark = {name: entry[f"instrument/{name}/dark/data"][()] for name in ("i0", "itrans")}
        values = {name: entry[f"instrument/{name}/data"][()] for name in dark}
    again = np.log((values["i0"] - dark["i0"]) / (values["itrans"] - dark["itrans"]))
    np.testing.assert_array_equal(again, mu)
    frame = data.to_dataframe(merged=True)
    np.testing.assert_array_equal(frame["mu_transmission"], mu)
    np.testing.assert_array_equal(frame["itrans_dark"], np.full(12, 15.0))
    xdi = data.to_xdi(tmp_path / "a.xdi")
    np.testing.assert_array_equal(ScanData.from_xdi(xdi).mu()[0], mu)
    said = "dark_current_subtracted: i0 40 counts/s, itrans 30 counts/s, irefer 20 counts/s"
    assert said in xdi.read_text()


def test_sweeps_have_their_own_dark_current(xafs_documents):
    data = ScanData.from_documents(with_dark(xafs_documents(repeats=3), DARK, errors={"It": 1.0}))
    spectrum = data.merged()
    np.testing.assert_allclose(spectrum.dark["itrans"], 3 * 15.0)
    np.testing.assert_allclose(spectrum.dark_errors["itrans"], 3 * DWELL_S)


def test_error_of_the_dark_current_is_part_of_that_of_mu(xafs_documents):
    """Both standard deviations against the scatter of many measurements of one point."""
    random = np.random.default_rng(1)
    trials, photons_per_count, dark, dark_error = 20_000, 50.0, 400.0, 20.0
    ev_per_count = photons_per_count * 7000.0
    light = {"i0": 2e4, "itrans": 2e3}
    energy = np.full(trials, 7000.0)
    found = {
        role: random.poisson(counts * photons_per_count, trials) / photons_per_count
        for role, counts in light.items()
    }
    # Each trial measures the dark current anew, wrong by its error.
    columns = {"energy": energy, **{r: v + dark for r, v in found.items()}}
    wrong = {r: random.normal(0.0, dark_error, trials) for r in found}
    columns |= {r: columns[r] - wrong[r] for r in found}
    rate, error = dark / DWELL_S, dark_error / DWELL_S
    dark_rates, errors = dict.fromkeys(("I0", "It"), rate), dict.fromkeys(("I0", "It"), error)
    run = xafs_documents(points=trials, columns=columns, ev_per_count=ev_per_count)
    mu, sigma = ScanData.from_documents(with_dark(run, dark_rates, errors=errors)).mu()
    assert sigma is not None
    assert np.std(mu) == pytest.approx(np.mean(sigma), rel=0.03)
    exact = ScanData.from_documents(with_dark(run, dark_rates)).mu()[1]
    assert exact is not None
    assert np.mean(exact) < 0.9 * np.mean(sigma)


@pytest.mark.parametrize(
    ("values", "units"),
    [(DARK, "A"), ({"I0": float("nan"), "It": float("nan")}, "counts/s"), ({}, "counts/s")],
)
def test_dark_current_that_means_nothing_is_left_alone(xafs_documents, values, units):
    plain = ScanData.from_documents(xafs_documents()).mu()[0]
    odd = ScanData.from_documents(with_dark(xafs_documents(), values, units=units))
    np.testing.assert_array_equal(odd.mu()[0], plain)
    assert odd.merged().dark == {}


def test_current_loses_the_dark_current_as_it_is(xafs_documents):
    documents = xafs_documents()
    for key in ("I0", "It", "Ir"):
        documents[1][1]["data_keys"][key]["units"] = "A"
    plain = ScanData.from_documents(documents).merged().channels
    data = ScanData.from_documents(with_dark(documents, DARK, units="A"))
    expected = np.log((plain["i0"] - 40.0) / (plain["itrans"] - 30.0))
    np.testing.assert_array_equal(data.mu()[0], expected)


@pytest.mark.parametrize("change", [False, True])
def test_dark_current_in_another_unit_of_current(xafs_documents, change):
    documents = xafs_documents()
    for key in ("I0", "It", "Ir"):
        documents[1][1]["data_keys"][key]["units"] = "A"
    expected = ScanData.from_documents(with_dark(documents, DARK, units="A")).mu()[0]
    if change:  # the amplifiers' unit, from the fifth event on
        anew = deepcopy(documents[1])
        anew[1]["uid"] += "-2"
        for _, event in documents[6:-1]:
            event["descriptor"] = anew[1]["uid"]
        documents.insert(6, anew)
    for _, doc in documents[6:-1] if change else documents[1:-1]:
        for key in ("I0", "It", "Ir"):
            if "data_keys" in doc:
                doc["data_keys"][key]["units"] = "nA"
            else:
                doc["data"][key] *= 1e9
    data = ScanData.from_documents(with_dark(documents, DARK, units="A"))
    assert data.units["I0"] == "nA"
    np.testing.assert_allclose(data.merged().dark["i0"], 40e9)
    np.testing.assert_allclose(data.mu()[0], expected, rtol=1e-12)


def test_counts_without_a_dwell_time_keep_their_dark_current(xafs_documents):
    documents = with_dark(xafs_documents(), DARK)
    contract = documents[0][1]["xafs"]
    contract["roles"] = {k: v for k, v in contract["roles"].items() if k != "dwell"}
    assert ScanData.from_documents(documents).merged().dark == {}
