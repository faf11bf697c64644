"""Fluorescence, powder lines and what the sample's settings do to them, over the real server."""

import math

import numpy as np
import pytest

from beamline_ophyd.analysis import xafs
from beamline_ophyd.data import ScanData
from beamline_ophyd.plans import powder_scan, xafs_scan

from ..pvs import Monitor, count

CU_KA1_EV = 12398.41984 / 1.5405929  # wavelength: Hölzer et al., Phys. Rev. A 56 (1997) 4554
SI_111_DEG = 28.4412  # two-theta there, a = 5.431144 A


@pytest.fixture
def steady(bl):
    bl.put("SIM:NOISE", 0)
    bl.put("SIM:RING", 1)
    bl.put("SCALER.TP", 1.0)
    return bl


def bring(bl, name):
    place = list(bl.get("SAMPLE:PLACES")).index(name)
    bl.put("SAMPLE:X", bl.get("SAMPLE:PLACES:X")[place])
    bl.put("SAMPLE:Y", bl.get("SAMPLE:PLACES:Y")[place])


def absorption(bl):
    _, i0, itrans, *_ = count(bl)
    return math.log(i0 / itrans)


def test_the_scaler_counts_the_region_of_interest(bl):
    bring(bl, "fe2o3_dilute")
    bl.put("MONO:ENERGY", 7300.0)
    count(bl, 1.0)
    counts = bl.get("SCALER.S5")
    elements = [bl.get(f"XRF:E{i}:ROI") for i in range(1, 5)]
    spectrum = np.array(bl.get("XRF:SUM:MCA"))
    assert counts == sum(elements) == spectrum[620:660].sum() == bl.get("DET:IF")
    assert counts > 1e5
    energy = 10.0 * np.arange(len(spectrum)) + 5.0
    line = (energy > 6200) & (energy < 6600)
    assert np.average(energy[line], weights=spectrum[line]) == pytest.approx(6401, abs=5)  # Fe Ka
    bl.put("XRF:ROI:LOW", 8000.0)
    bl.put("XRF:ROI:HIGH", 9000.0)
    count(bl)
    assert bl.get("SCALER.S5") < 10


def test_a_fast_detector_sees_all_and_a_slow_one_is_dead_in_between(steady):
    bring(steady, "fe_foil")
    steady.put("MONO:ENERGY", 7300.0)
    seen = {}
    for tau_us in (0.0, 1.0):
        steady.put("XRF:TAU", tau_us)
        count(steady)
        arrives = steady.get("XRF:E1:ICR")
        seen[tau_us] = steady.get("SCALER.S5")
        assert steady.get("XRF:E1:OCR") == pytest.approx(arrives / (1 + arrives * tau_us * 1e-6))
        expected = 100 * (1 - 1 / (1 + arrives * tau_us * 1e-6))
        assert steady.get("XRF:E1:DEAD") == pytest.approx(expected, abs=0.01)
    # the elements are not alike, so that their sum is not corrected to the last digit
    correction = steady.get("XRF:SUM:ICR") / steady.get("XRF:SUM:OCR")
    assert seen[1.0] * correction == pytest.approx(seen[0.0], rel=2e-3)


def test_a_scan_in_fluorescence(begin, side):
    session = begin()
    session.stage.set("fe2o3_dilute").wait(60)
    session.chambers.ifluor.look_at("Fe").wait(60)
    times = {"bounds": [-150, -20, 40, 300], "steps": [10, 1, 5], "times": [2.0, 2.0, 2.0]}
    (uid,) = session.RE(
        xafs_scan([session.i0, session.chambers.ifluor], session.mono.energy, "Fe-K", **times)
    )
    data = ScanData.from_journal(session.journal.path(uid))
    start = data.metadata["start"]
    assert start["xafs"]["mode"] == "fluorescence"
    mu = data.columns["If"] / data.columns["I0"]
    found = xafs.find_e0(data.energy, mu)
    # steepest rise of hematite's spectrum is 10 to 15 eV above the tabulated edge of the metal
    assert 7112 + 8 < float(getattr(found, "e0", found)) < 7112 + 18
    below, above = mu[data.energy < 7090].mean(), mu[data.energy > 7200].mean()
    assert above > 10 * below
    assert (data.columns["If_input_rate"] >= data.columns["If_seen_rate"]).all()


def test_a_powder_scan_finds_the_first_line_of_silicon(begin, side):
    session = begin()
    session.stage.set("si_powder").wait(60)
    session.mono.energy.set(CU_KA1_EV).wait(60)
    axes = session.beamline["diffractometer"]
    (uid,) = session.RE(
        powder_scan(
            [session.chambers.diffracted, session.i0],
            axes.two_theta,
            28.3,
            28.6,
            0.01,
            theta=axes.theta,
            energy=session.mono.energy,
            time=1.0,
            shutter=session.shutter,
        )
    )
    data = ScanData.from_journal(session.journal.path(uid))
    angle = data.columns["diffractometer_two_theta"]
    counts = data.columns["Diff"]
    net = counts - np.median(counts)
    assert counts.max() > 100 * np.median(counts)
    peak = net > 0.1 * net.max()
    centre = np.average(angle[peak], weights=net[peak])
    assert centre == pytest.approx(SI_111_DEG, abs=0.002)
    assert side.get("SAMPLE:PHASE") == "silicon"


def test_thickness_and_rotation_lengthen_the_path(steady):
    steady.put("MONO:ENERGY", 7900.0)
    steady.put("SAMPLE:THICKNESS", 0.01)
    nearly_nothing = absorption(steady)
    steady.put("SAMPLE:THICKNESS", 1.0)
    once = absorption(steady)
    steady.put("SAMPLE:THICKNESS", 2.0)
    assert absorption(steady) - nearly_nothing == pytest.approx(
        1.99 / 0.99 * (once - nearly_nothing), rel=1e-3
    )
    steady.put("SAMPLE:THICKNESS", 1.0)
    steady.put("SAMPLE:THETA", 60.0)
    assert absorption(steady) - nearly_nothing == pytest.approx(
        1.99 / 0.99 * (once - nearly_nothing), rel=1e-3
    )


def test_more_of_its_element_fluoresces_more(steady):
    bring(steady, "fe2o3_dilute")
    steady.put("MONO:ENERGY", 7300.0)
    steady.put("XRF:TAU", 0.0)
    step = steady.get("SAMPLE:EDGE:STEP")
    count(steady)
    once = steady.get("SCALER.S5")
    steady.put("SAMPLE:CONCENTRATION", 0.1)
    count(steady)
    assert steady.get("SAMPLE:EDGE:STEP") == pytest.approx(0.1 * step)
    assert steady.get("SCALER.S5") == pytest.approx(0.1 * once, rel=0.1)  # less self-absorption
    steady.put("SAMPLE:CONCENTRATION", 0.0)
    count(steady)
    assert steady.get("SCALER.S5") < 1e-3 * once


def test_a_cold_foil_shows_more_fine_structure(steady):
    bring(steady, "cu_foil")
    steady.put("REF:NAME", "empty")
    spread = {}
    for kelvin in (300.0, 80.0, 700.0):
        steady.put("SAMPLE:TEMP", kelvin)
        mu = []
        for energy in np.arange(9500.0, 9600.0, 10.0):
            steady.put("MONO:ENERGY", energy)
            mu.append(absorption(steady))
        spread[kelvin] = np.std(mu - np.polyval(np.polyfit(range(10), mu, 1), range(10)))
    # sigma^2 of 80 K is 0.0055 A^2 below that of 300 K, and k = 12 /A here: 4.9 times as much
    assert spread[80.0] / spread[300.0] == pytest.approx(4.9, rel=0.2)
    assert spread[700.0] < 0.2 * spread[300.0]


def test_dark_counts_are_told(steady):
    steady.put("PREAMP:I0:offset_on", 1)
    steady.put("PREAMP:I0:offset_num", "100")
    steady.put("PREAMP:I0:offset_unit", "pA")
    expected = pytest.approx(100e-12 * 5e7 * 1e5, rel=1e-2)
    with Monitor(f"{steady.prefix}DET:I0:DARK") as told:
        dark = told.values[-1]
        if dark != expected:
            dark = told.until(lambda value: value == expected)
    steady.put("SHUTTER:CMD", "Close")
    assert count(steady)[1] == pytest.approx(dark, abs=1)
