"""Counts, lines, maps and powder scans, over ophyd and over ophyd-async."""

import numpy as np
import pytest
from bluesky.simulators import RunEngineSimulator, check_limits
from ophyd.sim import SynAxis
from ophyd_async.core import StandardReadable, init_devices, soft_signal_rw
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.sim import SimMotor

from beamline_ophyd.grid import GridError
from beamline_ophyd.metadata import RunMetadata
from beamline_ophyd.plans import (
    DeviceError,
    count,
    fixed_energy_map,
    line_scan,
    mesh_scan,
    powder_scan,
    xafs_scan,
    xanes_map,
)

from .doubles import Stuck, Timed


class Limited(SynAxis):
    limits = (0.0, 10.0)


class Diode(StandardReadable):
    """An ophyd-async detector that takes a dwell time."""

    def __init__(self, name=""):
        self.preset_time = soft_signal_rw(float, 0.0)
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.counts = soft_signal_rw(float, 3.0)
        super().__init__(name)


def of(engine, name):
    return [doc for kind, doc in engine.documents if kind == name]


def column(engine, key):
    return [event["data"][key] for event in of(engine, "event")]


def in_unit(axis, unit):
    """The axis, which now says that its positions are in this unit."""
    about = axis.describe()
    about[axis.name]["units"] = unit
    axis.describe = lambda: about
    return axis


def with_channel(key):
    """A detector with a channel of this name, as a scaler's that has none in its record."""
    detector = Timed("scaler")
    detector.counts.name = key
    return detector


@pytest.fixture
def x():
    return Limited(name="x")


@pytest.fixture
def y():
    return Limited(name="y")


PLANS = {
    "count": (lambda d, e, y, x: count(d, 3, time=0.2), 3),
    "line_scan": (lambda d, e, y, x: line_scan(d, x, 0, 4, 5, time=0.2), 5),
    "mesh_scan": (lambda d, e, y, x: mesh_scan(d, y, 0, 1, 2, x, 0, 2, 3, time=0.2), 6),
    "fixed_energy_map": (
        lambda d, e, y, x: fixed_energy_map(d, e, 7130, y, 0, 1, 2, x, 0, 2, 3, time=0.2),
        6,
    ),
    "xanes_map": (
        lambda d, e, y, x: xanes_map(
            d, e, "Fe-K", y, 0, 1, 2, x, 0, 2, 3, energies=[-20, 0, 15], time=0.2
        ),
        18,
    ),
    "powder_scan": (
        lambda d, e, y, x: powder_scan(d, y, 4, 5, 0.25, theta=x, wavelength=1.54, time=0.2),
        5,
    ),
}
every_plan = pytest.mark.parametrize(("plan", "points"), PLANS.values(), ids=PLANS)


@every_plan
def test_over_ophyd_behind_a_shutter(engine, detectors, energy, x, y, plan, points):
    assert (
        sum(
            m.command == "save"
            for m in RunEngineSimulator().simulate_plan(plan(detectors, energy, y, x))
        )
        == points
    )
    engine(plan(detectors, energy, y, x))
    assert column(engine, "i0") == [0.2] * points
    assert column(engine, "dwell_time") == [0.2] * points
    start, stop = of(engine, "start")[0], of(engine, "stop")[0]
    assert (start["num_points"], stop["num_events"]) == (points, {"primary": points})
    assert stop["exit_status"] == "success"
    assert len(of(engine, "descriptor")) == 1


def test_numbers_out_of_an_array(engine, detectors, energy, y, x):
    one, two = np.array([1, 2])
    tenth = np.float32(0.1)
    bounds = np.array([-2, 0, 3])
    options = {"bounds": bounds, "steps": [one, tenth * 10], "times": [tenth, tenth]}
    engine(xafs_scan(detectors, energy, "Fe-K", repeats=two, retakes=one, **options))
    engine(count(detectors, two, time=tenth))
    engine(line_scan(detectors, x, one, two, two, time=tenth))
    engine(mesh_scan(detectors, y, 0, one, two, x, 0, one, two, time=tenth))
    assert [stop["num_events"]["primary"] for stop in of(engine, "stop")] == [12, 2, 2, 4]
    with pytest.raises(ValueError, match=r"num is .*2\.5.*; give a whole number of counts"):
        engine(count(detectors, np.float64(2.5)))


@every_plan
def test_over_ophyd_async(engine, plan, points):
    with init_devices():
        e = SimMotor(units="eV", initial_value=7000.0)
        y, x = SimMotor(units="deg"), SimMotor(units="deg")
        i0, it = Diode(), Diode()
    engine(plan([i0, it], e, y, x))
    assert column(engine, "i0-counts") == [3.0] * points
    assert of(engine, "stop")[0]["exit_status"] == "success"


@every_plan
def test_limits_can_be_checked_before_a_run(engine, detectors, energy, x, y, plan, points):
    check_limits(plan(detectors, energy, y, x))  # on the engine's loop, which must be there
    assert engine.documents == []


def test_a_mesh_snakes_or_flies_back(engine, detectors, x, y):
    engine(mesh_scan(detectors, y, 0, 1, 2, x, 0, 2, 3))
    engine(mesh_scan(detectors, y, 0, 1, 2, x, 0, 2, 3, snake=False))
    there, again = np.reshape(column(engine, "x"), (2, 6)).tolist()
    assert there == [0, 1, 2, 2, 1, 0]
    assert again == [0, 1, 2, 0, 1, 2]
    start = of(engine, "start")[0]
    assert tuple(start["shape"]) == (2, 3)
    assert [list(extent) for extent in start["extents"]] == [[0, 1], [0, 2]]
    assert start["motors"] == ("y", "x")


def test_a_fixed_energy_map_goes_there_once_and_reads_it_always(engine, detectors, energy, x, y):
    engine(fixed_energy_map(detectors, energy, 7130, y, 0, 1, 2, x, 0, 2, 3))
    assert column(engine, "energy") == [7130.0] * 6
    start = of(engine, "start")[0]
    assert (start["energy_ev"], tuple(start["shape"])) == (7130.0, (2, 3))


@pytest.mark.parametrize(("order", "shape"), [("pixel", (1, 2, 3)), ("energy", (3, 1, 2))])
def test_a_xanes_map_in_either_order(engine, detectors, energy, x, y, order, shape):
    engine(
        xanes_map(
            detectors,
            energy,
            "Fe-K",
            y,
            1,
            1,
            1,
            x,
            0,
            2,
            2,
            order=order,
            e0_shift=0.5,
            bounds=[-10, 0, 10],
            steps=[10, 10],
            times=[0.5, 2.0],
        )
    )
    start = of(engine, "start")[0]
    assert tuple(start["shape"]) == shape
    assert start["Element"] == {"symbol": "Fe", "edge": "K"}
    dwell_at = dict(zip(column(engine, "energy"), column(engine, "dwell_time"), strict=True))
    assert dwell_at == {7102.5: 0.5, 7112.5: 2.0, 7122.5: 2.0}
    axes = ("energy", "x") if order == "energy" else ("x", "energy")
    slow, fast = (column(engine, key) for key in axes)
    assert slow == sorted(slow)
    assert fast != sorted(fast)


def test_an_energy_that_is_none_makes_no_wavelength(engine, detectors, energy, y):
    energy.set(0.0)
    with pytest.raises(ValueError, match=r"the energy that energy tells is 0\.0; give eV"):
        engine(powder_scan(detectors, y, 4, 5, 0.3, energy=energy))
    assert not engine.documents


def test_the_contract_of_a_powder_scan(engine, detectors, energy, x, y):
    energy.set(12398.41984 / 1.54)
    engine(powder_scan(detectors, y, 4, 5, 0.3, theta=x, energy=energy, monitor="i0", counts="it"))
    np.testing.assert_allclose(column(engine, "y"), [4, 4.3, 4.6, 4.9, 5.0])
    np.testing.assert_allclose(column(engine, "x"), np.array([4, 4.3, 4.6, 4.9, 5.0]) / 2)
    powder = RunMetadata.from_start(of(engine, "start")[0]).powder
    assert powder is not None
    assert powder.wavelength_angstrom == pytest.approx(1.54)
    roles = powder.roles
    assert (roles.two_theta, roles.theta, roles.counts, roles.monitor, roles.dwell) == (
        "y",
        "x",
        "it",
        "i0",
        "dwell_time",
    )


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        (lambda d, e, y, x: count(d, 0), ValueError, "num is 0"),
        (lambda d, e, y, x: count(d, time=0), ValueError, "time is 0"),
        (lambda d, e, y, x: count([]), ValueError, "count got no detectors"),
        (lambda d, e, y, x: line_scan(d, d[0], 0, 1, 3), ValueError, "axis is i0, which cannot"),
        (lambda d, e, y, x: line_scan(d, x, 0, 11, 3), ValueError, "x cannot go to 11; its limits"),
        (lambda d, e, y, x: line_scan(d, x, 1, 1, 3), ValueError, "axis starts and stops at 1"),
        (lambda d, e, y, x: line_scan(d, x, 0, 1, 2.5), ValueError, "num of axis is 2.5"),
        (lambda d, e, y, x: mesh_scan(d, x, 0, 1, 2, x, 0, 1, 2), ValueError, "y and x are both x"),
        (
            lambda d, e, y, x: fixed_energy_map(d, e, -1, y, 0, 1, 2, x, 0, 1, 2),
            ValueError,
            "energy_ev is -1",
        ),
        (
            lambda d, e, y, x: fixed_energy_map(d, x, 7, y, 0, 1, 2, x, 0, 1, 2),
            ValueError,
            "x and energy are both x",
        ),
        (
            lambda d, e, y, x: fixed_energy_map(d, e, 7130, y, 0, 1, 2, x, 0, 20, 2),
            ValueError,
            "x cannot go to 20",
        ),
        (
            lambda d, e, y, x: xanes_map(d, e, "Fe-K", y, 0, 1, 2, x, 0, 1, 2),
            ValueError,
            "got no energies",
        ),
        (
            lambda d, e, y, x: xanes_map(d, e, "Fe-K", y, 0, 1, 2, x, 0, 1, 2, energies=[3, 1]),
            ValueError,
            "rising",
        ),
        (
            lambda d, e, y, x: xanes_map(d, e, "Xx-K", y, 0, 1, 2, x, 0, 1, 2, energies=[1, 3]),
            GridError,
            "no element",
        ),
        (lambda d, e, y, x: powder_scan(d, y, 1, 2, 0.1), ValueError, "either energy"),
        (lambda d, e, y, x: powder_scan(d, y, 2, 1, 0.1, wavelength=1), ValueError, "from 2 to 1"),
        (lambda d, e, y, x: powder_scan(d, y, 2, 3, 0, wavelength=1), ValueError, "step is 0"),
        (
            lambda d, e, y, x: powder_scan(d, y, 2, 3, 0.5, wavelength=1, theta=y),
            ValueError,
            "two_theta and theta are both y",
        ),
        (
            lambda d, e, y, x: powder_scan(d, y, 2, 3, 0.5, wavelength=1, counts="Diff"),
            ValueError,
            r"counts is 'Diff'; the devices give i0, it",
        ),
        (
            lambda d, e, y, x: powder_scan(d, in_unit(y, "um"), 2, 3, 0.5, wavelength=1),
            ValueError,
            "two_theta is y, which is in um; give an axis in degrees",
        ),
        (
            lambda d, e, y, x: fixed_energy_map(d, in_unit(e, "keV"), 7, y, 0, 1, 2, x, 0, 1, 2),
            ValueError,
            "energy is energy, which is in keV; give an axis in eV",
        ),
        (
            lambda d, e, y, x: xafs_scan(d, in_unit(e, "mm"), "Fe-K"),
            ValueError,
            "energy is energy, which is in mm; give an axis in eV",
        ),
        (
            lambda d, e, y, x: count([with_channel(""), *d]),
            ValueError,
            r"detector scaler has a channel called ''; give each a name.* scaler\.select_channels",
        ),
        (
            lambda d, e, y, x: count([with_channel("I0.raw")]),
            ValueError,
            r"a channel called 'I0\.raw'; .*without dots",
        ),
    ],
)
def test_refusals_come_before_anything_moves(engine, detectors, energy, x, y, plan, error, words):
    for axis in (x, y, energy):
        axis.set(5.0)
    with pytest.raises(error, match=words):
        engine(plan(detectors, energy, y, x))
    assert engine.documents == []
    assert [axis.position for axis in (x, y, energy)] == [5.0] * 3


def test_a_failure_names_the_device_and_shuts_the_shutter(engine, detectors, gate, impatient):
    with pytest.raises(DeviceError, match=r"slow did not go to 0 within 1\.0 s"):
        engine(line_scan(detectors, Stuck(), 0, 1, 3, shutter=gate))
    assert gate.history == ["open", "close"]
    stop = of(engine, "stop")[0]
    assert stop["exit_status"] == "fail"
    assert "slow did not go to 0" in stop["reason"]


def test_only_what_cannot_take_a_dwell_time_needs_a_word(engine):
    from ophyd.sim import det

    with pytest.raises(ValueError, match="fixed_dwell=True"):
        engine(count([det]))
    engine(count([det, Timed("i0")], fixed_dwell=True))
    assert len(column(engine, "i0")) == 1
