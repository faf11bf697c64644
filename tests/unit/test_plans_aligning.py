"""Alignment: what is found, where the axis goes, and what a scan that tells nothing says."""

import io
import re

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd.sim import SynAxis
from scipy.special import erf

from beamline_ophyd.callbacks import ScanSummary
from beamline_ophyd.plans import AlignmentError, DeviceError, align

from ..runs import of
from .doubles import Stuck, Timed, returned_by, took_s


class Limited(SynAxis):
    limits = (-20.0, 20.0)

    def __init__(self, name="x", value=3.0):
        super().__init__(name=name, value=value)
        self.went = []

    def set(self, value):
        self.went.append(value)
        return super().set(value)


@pytest.fixture
def x():
    return Limited()


def chambers(x, transmission):
    """I0 and It of a beam that the sample lets through by a function of the position."""
    i0 = Timed("I0", lambda dwell_s: 1e5 * dwell_s)
    return [i0, Timed("It", lambda dwell_s: 1e5 * dwell_s * transmission(x.position))]


def slab(left, right, blur=0.3, depth=0.6):
    def passes(x):
        return 1 - depth * (erf((x - left) / blur) - erf((x - right) / blur)) / 2

    return passes


def result_of(engine):
    (event,) = of(engine.documents, "event", "result")
    return event["data"]


def test_what_was_found_is_told_at_the_prompt(engine, x):
    out = io.StringIO()
    engine.subscribe(ScanSummary(out))
    found = returned_by(engine, align(chambers(x, slab(-2.3, 4.1)), x, -10, 10, 41))
    took = took_s(engine)
    assert out.getvalue() == f"scan 1 align: 41 of 41 points in {took} - success\n{found}\n"


def test_to_the_centre_of_a_sample_that_absorbs(engine, x, gate):
    detectors = chambers(x, slab(-2.3, 4.1))
    found = returned_by(engine, align(detectors, x, -10, 10, 41, shutter=gate))
    assert found.position == pytest.approx(0.9, abs=0.01)
    assert found.width == pytest.approx(6.4, abs=0.1)
    assert found.height == pytest.approx(-0.6, abs=0.01)
    assert x.position == pytest.approx(found.position)
    assert gate.history == ["open", "close"]
    # It came from where the scan began, so that backlash is the same as at the points.
    assert x.went[-2:] == [-10.0, pytest.approx(found.position)]
    assert result_of(engine)["found_position"] == found.position
    start, stop = of(engine.documents, "start")[0], of(engine.documents, "stop")[0]
    assert (start["plan_name"], start["signal"], start["monitor"]) == ("align", "It", "I0")
    assert stop["num_events"] == {"primary": 41, "result": 1}
    assert found.uid == start["uid"]
    assert "x: centre at 0.9" in str(found)


@pytest.mark.parametrize("backwards", [False, True])
def test_to_an_edge_in_either_direction(engine, x, backwards):
    detectors = chambers(x, slab(-2.3, 40.0, blur=1.0))
    ends = (5, -8) if backwards else (-8, 5)
    found = returned_by(engine, align(detectors, x, *ends, 27, to="edge"))
    assert found.position == pytest.approx(-2.3, abs=0.01)
    # From 10 to 90 % of an error function of sigma 1/sqrt(2).
    assert found.width == pytest.approx(2.563 / np.sqrt(2), abs=0.02)
    assert x.position == pytest.approx(found.position)


def test_to_a_peak_of_what_the_first_detector_says_and_back(engine, x):
    diode = Timed("diode", lambda dwell_s: 50 + 900 * np.exp(-0.5 * (x.position - 4.2) ** 2))
    found = returned_by(engine, align([diode], x, -4, 4, to="peak", relative=True, move=False))
    assert found.position == pytest.approx(4.2, abs=0.02)
    assert x.position == 3.0
    assert of(engine.documents, "start")[0]["signal"] == "diode"


def test_a_noisy_sample_is_known_to_its_standard_deviation(engine, x):
    noise = np.random.default_rng(3)
    slabs = slab(-2.0, 2.0)
    found = returned_by(
        engine, align(chambers(x, lambda p: slabs(p) + noise.normal(0, 0.05)), x, -8, 8, 33)
    )
    assert 0.01 < found.sigma < 0.2
    assert abs(found.position) < 4 * found.sigma


@pytest.mark.parametrize(
    ("to", "transmission", "words"),
    [
        ("centre", lambda p: 1.0, r"flat between -10 and 10: 1, with noise of 0"),
        ("centre", slab(-2.3, 40), r"one edge only between -10 and 10, near -2.3"),
        ("edge", slab(9.7, 40, blur=0.1), r"edge is at the end of the range, 10 of -10 to 10"),
        ("edge", lambda p: 1 + 0.01 * p, r"no edge between -10 and 10: .* from 0\.9 to 1\.1"),
        ("peak", lambda p: np.exp(p / 5), r"highest at the end of the range, 10 of -10 to 10"),
        ("peak", lambda p: -1 - p**2, r"nowhere above zero, -1"),
        ("peak", lambda p: float("nan"), r"0 of 31 points have a signal that is a number"),
    ],
)
def test_a_scan_that_tells_nothing_leaves_everything_where_it_was(
    engine, x, gate, to, transmission, words
):
    with pytest.raises(AlignmentError, match=words):
        engine(align(chambers(x, transmission), x, -10, 10, to=to, shutter=gate))
    assert x.position == 3.0
    assert gate.history == ["open", "close"]
    stop = of(engine.documents, "stop")[0]
    assert stop["exit_status"] == "fail"
    assert re.search(words, stop["reason"])
    assert not of(engine.documents, "event", "result")


def test_a_detector_that_fails_leaves_the_axis_where_it_was(engine, x):
    def counting(dwell_s):
        if x.position > 0:
            raise OSError("no answer")
        return 1.0

    with pytest.raises(OSError, match="no answer"):
        engine(align([Timed("I0", counting)], x, -10, 10))
    assert x.position == 3.0


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_pause_costs_no_point_and_an_abort_leaves_the_axis_where_it_was(engine, x, goes_on):
    class Interrupting(Timed):
        readings = 0

        def read(self):
            self.readings += 1
            if self.readings == 12:
                engine.request_pause(False)
            return super().read()

    passes = slab(-2.3, 4.1)
    it = Interrupting("It", lambda dwell_s: passes(x.position))
    with pytest.raises(RunEngineInterrupted):
        engine(align([it], x, -10, 10, 41))
    if goes_on:
        engine.resume()
        assert result_of(engine)["found_position"] == pytest.approx(0.9, abs=0.01)
        assert of(engine.documents, "stop")[0]["num_events"]["primary"] == 41
    else:
        engine.abort()
        assert x.position == 3.0


def test_an_axis_that_hangs_fails_by_name(engine, impatient):
    with pytest.raises(DeviceError, match=r"slow did not go to -1 within 1\.0 s"):
        engine(align([Timed("I0")], Stuck(), -1, 1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "middle"}, "to is 'middle'; give one of 'centre', 'edge', 'peak'"),
        ({"num": 5}, "num of axis is 5; give a whole number of points, 7 or more"),
        ({"signal": "If"}, "signal is 'If'; the detectors give I0, It"),
        ({"signal": "I0", "monitor": "I0"}, "signal and monitor are both 'I0'"),
        ({"time": 0}, "time is 0"),
        ({"start": -21}, r"x cannot go to -21; its limits are -20 to 20"),
        ({"start": -15, "stop": 18, "relative": True}, r"x cannot go to 21"),
    ],
)
def test_refusals_come_before_anything_moves(engine, x, options, words):
    arguments = {"start": -10, "stop": 10, **options}
    with pytest.raises(ValueError, match=words):
        engine(align(chambers(x, slab(-1, 1)), x, **arguments))
    assert not engine.documents
    assert not x.went
