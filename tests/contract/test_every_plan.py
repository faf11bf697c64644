"""Every plan over ophyd's devices, over those of ophyd-async, and over the device server.

Each is first carried out by bluesky's own simulators. The two beamlines in memory have the same
physics: an edge, a sample in a window, a rocking curve, amplifiers.
"""

import inspect
import math
from types import SimpleNamespace

import pytest
from bluesky import RunEngine
from bluesky.simulators import RunEngineSimulator, check_limits
from ophyd import Signal
from ophyd.sim import SynAxis
from ophyd_async.core import AsyncStatus, StandardReadable, init_devices, soft_signal_rw
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.sim import SimMotor

from beamline_ophyd import plans
from beamline_ophyd.devices import connect, disconnect, load_beamline

from ..runs import of
from ..unit.doubles import Gate, Timed, returned_by

DEADLINE_S = 60.0
OPTIMUM = 25.0
GRID = {"bounds": [-10, 20], "steps": [5], "times": [0.1]}
MAP = (0, 100, 2), (0, 200, 3)

# Name to the plan on a beamline, and how many points it takes.
EVERY_PLAN = {
    "count": (lambda b: plans.count(b.detectors, 3, time=0.1, shutter=b.shutter), 3),
    "line_scan": (
        lambda b: plans.line_scan(b.detectors, b.x, -100, 100, 5, time=0.1, shutter=b.shutter),
        5,
    ),
    "mesh_scan": (
        lambda b: plans.mesh_scan(
            b.detectors, b.y, *MAP[0], b.x, *MAP[1], time=0.1, shutter=b.shutter
        ),
        6,
    ),
    "fixed_energy_map": (
        lambda b: plans.fixed_energy_map(
            b.detectors, b.energy, 7130, b.y, *MAP[0], b.x, *MAP[1], time=0.1, shutter=b.shutter
        ),
        6,
    ),
    "xanes_map": (
        lambda b: plans.xanes_map(
            b.detectors,
            b.energy,
            "Fe-K",
            b.y,
            *MAP[0],
            b.x,
            *MAP[1],
            energies=[-10, 10],
            time=0.1,
            shutter=b.shutter,
        ),
        12,
    ),
    "powder_scan": (
        lambda b: plans.powder_scan(
            [*b.diffracted, b.detectors[0]],
            b.two_theta,
            20,
            22,
            0.5,
            theta=b.theta,
            energy=b.energy,
            time=0.1,
            shutter=b.shutter,
        ),
        5,
    ),
    "xafs_scan": (
        lambda b: plans.xafs_scan(
            b.detectors, b.energy, "Fe-K", **GRID, roles=b.roles, shutter=b.shutter
        ),
        7,
    ),
    "record_dark_current": (
        lambda b: plans.record_dark_current(b.detectors, b.shutter, dwell_time=0.1),
        0,
    ),
    "align": (
        lambda b: plans.align(
            b.detectors, b.x, -1800, 1800, 25, time=0.1, shutter=b.shutter, **b.ratio
        ),
        25,
    ),
    "rocking_curve": (
        lambda b: plans.rocking_curve(
            b.detectors, b.pitch, 160, 17, time=0.1, shutter=b.shutter, **b.beam
        ),
        17,
    ),
    "tune_pitch": (
        lambda b: plans.tune_pitch(
            b.detectors, b.pitch, 160, 17, time=0.1, fraction=0.7, shutter=b.shutter, **b.beam
        ),
        17,
    ),
    "calibrate_mono": (
        lambda b: plans.calibrate_mono(
            b.detectors,
            b.energy,
            "Fe-K",
            bounds=[-20, 30],
            steps=[1],
            times=[0.1],
            roles=b.roles,
            shutter=b.shutter,
        ),
        51,
    ),
    "auto_gain": (
        lambda b: plans.auto_gain(
            b.detectors[:1],
            b.amplifiers,
            saturation=b.saturation,
            time=0.1,
            settle_time=0,
            shutter=b.shutter,
        ),
        None,
    ),
    "harmonic_check": (
        lambda b: plans.harmonic_check(
            b.detectors, b.pitch, 40, b.x, 0, 9000, num=3, time=0.1, shutter=b.shutter, **b.ratio
        ),
        12,
    ),
}
FOUND = {
    "align": lambda found: found.position == pytest.approx(0, abs=50),
    "rocking_curve": lambda found: found.peak == pytest.approx(OPTIMUM, abs=5),
    "tune_pitch": lambda found: found.reached == pytest.approx(0.7, abs=0.05),
    "calibrate_mono": lambda found: found.e0 == pytest.approx(7112, abs=1),
    "auto_gain": lambda found: 0.3 < max(found.fractions.values()) <= 0.8,
    "harmonic_check": lambda found: abs(found.fraction) < 0.1,
}
GAINS = tuple(float(f"{digit}e{power}") for power in range(5, 11) for digit in (1, 2, 5))


def counts_per_s(energy_ev, pitch, x, gain, behind_sample):
    """A beam of 1e5 counts/s at a gain of 1e8, and a foil in a window of 2 mm."""
    thick = 0.4 + 1.3 * (math.atan((energy_ev - 7112) / 1.2) / math.pi + 0.5)
    beam = 1e5 * math.exp(-0.5 * ((pitch - OPTIMUM) / 23) ** 2)
    beam *= math.exp(-thick) if behind_sample and abs(x) < 1000 else 1.0
    return min(beam * gain / 1e8, 5e5)


class Amplifier(Signal):
    gains = GAINS


def of_ophyd():
    axes = {name: SynAxis(name=name) for name in ("x", "y", "theta", "two_theta")}
    energy, pitch = SynAxis(name="energy", value=7130.0), SynAxis(name="pitch", value=OPTIMUM)
    amplifier, gate = Amplifier(name="amplifier", value=1e8), Gate()

    def chamber(name, behind):
        return Timed(
            name,
            lambda dwell_s: (
                dwell_s
                * counts_per_s(
                    energy.position, pitch.position, axes["x"].position, amplifier.get(), behind
                )
            ),
        )

    detectors = [chamber("I0", False), chamber("It", True)]
    return SimpleNamespace(
        **axes,
        energy=energy,
        pitch=pitch,
        shutter=gate,
        detectors=detectors,
        diffracted=[Timed("diffracted")],
        amplifiers=[amplifier],
        roles=None,
        ratio={},
        beam={},
        saturation={"I0": 5e5},
        closed=lambda: gate.get() == "close",
    )


class Chamber(StandardReadable):
    """An ion chamber of ophyd-async."""

    def __init__(self, rate, name=""):
        self.preset_time = soft_signal_rw(float, 0.0)
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.counts = soft_signal_rw(float, 0.0)
        self._rate = rate
        super().__init__(name)

    @AsyncStatus.wrap
    async def trigger(self):
        await self.counts.set(await self.preset_time.get_value() * await self._rate())


class Soft(StandardReadable):
    """Something of ophyd-async that is set, and reads as what it was set to."""

    def __init__(self, value, name=""):
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.value = soft_signal_rw(type(value), value)
        super().__init__(name)

    @AsyncStatus.wrap
    async def set(self, value):
        await self.value.set(value)
        self.at = value


def of_ophyd_async():
    with init_devices():
        energy = SimMotor(units="eV", initial_value=7130.0)
        pitch = SimMotor(initial_value=OPTIMUM)
        x, y = SimMotor(), SimMotor()
        theta, two_theta = SimMotor(units="deg"), SimMotor(units="deg")
        shutter, amplifier = Soft("close"), Soft(1e8)

        def rate(behind):
            async def ask():
                energy_ev, angle, place = [
                    await axis.user_readback.get_value() for axis in (energy, pitch, x)
                ]
                gain = await amplifier.value.get_value()
                return counts_per_s(energy_ev, angle, place, gain, behind)

            return ask

        i0, it, diffracted = Chamber(rate(False)), Chamber(rate(True)), Chamber(rate(False))
    amplifier.gains = GAINS
    keys = ("i0-counts", "it-counts")

    async def value():
        return await shutter.value.get_value()

    return SimpleNamespace(
        energy=energy,
        pitch=pitch,
        x=x,
        y=y,
        theta=theta,
        two_theta=two_theta,
        shutter=shutter,
        detectors=[i0, it],
        diffracted=[diffracted],
        amplifiers=[amplifier],
        roles={"i0": keys[0], "itrans": keys[1]},
        ratio={"signal": keys[1], "monitor": keys[0]},
        beam={"signal": keys[0]},
        saturation={keys[0]: 5e5},
        closed=lambda: shutter.at == "close",
    )


@pytest.fixture(scope="module")
def served(ioc):
    beamline = load_beamline(P=ioc.prefix)
    connect(*beamline.devices, timeout=DEADLINE_S)
    yield beamline
    disconnect(*beamline.devices)


def of_the_server(beamline, side):
    side.put("MONO:ENERGY", 7130.0)
    side.put("MONO:PITCH", OPTIMUM)
    mono, stage, chambers = beamline["mono"], beamline["stage"], beamline["chambers"]
    diffractometer = beamline["diffractometer"]
    return SimpleNamespace(
        energy=mono.energy,
        pitch=mono.pitch,
        x=stage.x,
        y=stage.y,
        theta=diffractometer.theta,
        two_theta=diffractometer.two_theta,
        shutter=beamline["shutter"],
        detectors=[chambers.i0, chambers.it],
        diffracted=[chambers.diffracted],
        amplifiers=[beamline["i0_amplifier"]],
        roles=None,
        ratio={},
        beam={},
        saturation=None,
        closed=lambda: side.get("SHUTTER:STATUS") == 0,
    )


@pytest.fixture
def engine():
    run_engine = RunEngine({}, context_managers=[])
    yield run_engine
    run_engine.loop.call_soon_threadsafe(run_engine.loop.stop)


@pytest.fixture(params=["ophyd", "ophyd-async", "the device server"])
def beamline(request, engine):
    if request.param == "ophyd":
        return of_ophyd()
    if request.param == "ophyd-async":
        return of_ophyd_async()
    side = request.getfixturevalue("side")
    return of_the_server(request.getfixturevalue("served"), side)


def test_there_is_every_plan():
    known = {name for name in plans.__all__ if inspect.isgeneratorfunction(getattr(plans, name))}
    others = {"sample_queue"}  # carries out plans of these, and has tests of its own
    assert {name for name in known if not name.endswith("_wrapper")} == {*EVERY_PLAN, *others}


@pytest.mark.parametrize("name", EVERY_PLAN)
def test_every_plan(beamline, engine, name):
    make, points = EVERY_PLAN[name]
    commands = [m.command for m in RunEngineSimulator().simulate_plan(make(beamline))]
    assert commands.count("open_run") == commands.count("close_run") == 1
    assert commands.count("stage") == commands.count("unstage")
    check_limits(make(beamline))

    documents = []
    token = engine.subscribe(lambda *pair: documents.append(pair))
    found = returned_by(engine, make(beamline))
    engine.unsubscribe(token)
    (start,), (stop,) = of(documents, "start"), of(documents, "stop")
    assert (start["plan_name"], stop["exit_status"]) == (name, "success")
    taken = of(documents, "event", "primary")
    assert points is None or len(taken) == points
    assert {e["data"]["dwell_time"] for e in taken} <= {0.1}
    assert beamline.closed()
    if name in FOUND:
        assert FOUND[name](found), found
        assert len(of(documents, "event", "result")) == 1
