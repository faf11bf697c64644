"""Plans that find something, on the simulated beamline: what they find is what was hidden."""

import numpy as np
import pytest
from bluesky import RunEngine

from beamline_ophyd.devices import (
    IonChambers,
    Monochromator,
    Preamplifier,
    SampleStage,
    Shutter,
    connect,
    disconnect,
)
from beamline_ophyd.plans import (
    align,
    auto_gain,
    calibrate_mono,
    harmonic_check,
    rocking_curve,
    tune_pitch,
    xafs_scan,
)

from ..runs import of

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def devices(ioc):
    made = {
        "mono": Monochromator(ioc.prefix, name="mono"),
        "chambers": IonChambers(ioc.prefix, name="chambers"),
        "shutter": Shutter(ioc.prefix, name="shutter"),
        "i0_amplifier": Preamplifier(f"{ioc.prefix}PREAMP:I0:", name="i0_amplifier"),
        "it_amplifier": Preamplifier(f"{ioc.prefix}PREAMP:IT:", name="it_amplifier"),
        "stage": SampleStage(ioc.prefix, name="stage"),
    }
    connect(*made.values(), timeout=DEADLINE_S)
    yield made
    disconnect(*made.values())


@pytest.fixture
def found(side):
    """Carries out a plan: its result, and its documents."""
    engine = RunEngine({}, context_managers=[], call_returns_result=True)

    def run(plan):
        documents = []
        result = engine(plan, lambda *pair: documents.append(pair)).plan_result
        assert of(documents, "stop")[0]["exit_status"] == "success"
        return result, documents

    yield run
    engine.loop.call_soon_threadsafe(engine.loop.stop)


def test_the_pitch_is_tuned_and_detuned(devices, found, side):
    mono, chambers, shutter = devices["mono"], devices["chambers"], devices["shutter"]
    side.put("MONO:ENERGY", 7112.0)
    side.put("SIM:PITCH:OPTIMUM", 61.0)
    tuned, _ = found(tune_pitch([chambers.i0], mono.pitch, 300, 61, shutter=shutter))
    assert tuned.peak == pytest.approx(61.0, abs=2.0)
    # The convolution of two Darwin curves of Si(111).
    assert tuned.fwhm == pytest.approx(55.0, abs=3.0)
    half, _ = found(
        tune_pitch([chambers.i0], mono.pitch, 200, fraction=0.6, side="below", shutter=shutter)
    )
    assert half.reached == pytest.approx(0.6, abs=0.02)
    assert side.get("MONO:PITCH") < 61.0 - 10
    curve, _ = found(rocking_curve([chambers.i0], mono.pitch, 200, shutter=shutter))
    assert side.get("MONO:PITCH") == pytest.approx(half.position, abs=0.05)
    assert curve.peak == pytest.approx(61.0, abs=2.0)


@pytest.mark.slow("four scans of an edge")
def test_the_mono_is_calibrated_on_a_foil(devices, found, side):
    mono, chambers, shutter = devices["mono"], devices["chambers"], devices["shutter"]
    detectors = [chambers.i0, chambers.it, chambers.ir]
    devices["stage"].set("fe_foil").wait(DEADLINE_S)
    found(tune_pitch([chambers.i0], mono.pitch, 200, shutter=shutter))
    # Where the foil's own derivative is highest, which is not exactly the tabulated energy.
    own, _ = found(calibrate_mono(detectors, mono.energy, "Fe-K", shutter=shutter))
    shift = -2.5
    theta = [np.degrees(np.arcsin(12398.41984 / 2 / 3.135601 / e)) for e in (7112, 7112 + shift)]
    side.put("SIM:BRAGG:SLIP", theta[0] - theta[1])
    before, _ = found(calibrate_mono(detectors, mono.energy, "Fe-K", shutter=shutter))
    assert not before.applied
    done, documents = found(
        calibrate_mono(detectors, mono.energy, "Fe-K", shutter=shutter, apply=True)
    )
    (event,) = of(documents, "event", "result")
    assert event["data"]["found_e0"] == done.e0
    assert side.get("MONO:BRAGG.OFF") == pytest.approx(done.angle, abs=1e-6)
    after, _ = found(calibrate_mono(detectors, mono.energy, "Fe-K", shutter=shutter))
    assert abs(after.shift) < 0.05
    assert before.shift - own.shift == pytest.approx(shift, abs=0.05)


def test_the_stage_is_aligned_to_a_sample(devices, found, side):
    stage, chambers, shutter = devices["stage"], devices["chambers"], devices["shutter"]
    side.put("MONO:ENERGY", 7200.0)
    places = stage.places
    x, y = places["fe_foil"]
    stage.y.set(y).wait(DEADLINE_S)
    detectors = [chambers.i0, chambers.it]
    centre, _ = found(align(detectors, stage.x, x - 1800, x + 1800, 37, shutter=shutter))
    assert centre.position == pytest.approx(x, abs=30)
    assert side.get("SAMPLE:X") == pytest.approx(centre.position, abs=0.2)
    assert side.get("SHUTTER:STATUS") == 0
    edge, _ = found(align(detectors, stage.x, x, x + 1800, to="edge", shutter=shutter))
    # The window of a place is 2 mm wide, and the points of the first scan 0.1 mm apart.
    assert edge.position == pytest.approx(x + 1000, abs=30)
    assert centre.width == pytest.approx(2000, abs=110)


def test_a_chamber_that_saturates_is_told_and_taken_again(devices, found, side):
    mono, chambers, shutter = devices["mono"], devices["chambers"], devices["shutter"]
    side.put("PREAMP:I0:sens_num", "10")
    side.put("PREAMP:I0:sens_unit", "pA/V")
    scan = xafs_scan(
        [chambers.i0, chambers.it],
        mono.energy,
        "Fe-K",
        bounds=[-20, 20],
        steps=[20],
        times=[0.1],
        retakes=1,
        shutter=shutter,
    )
    try:
        _, documents = found(scan)
    finally:
        side.put("PREAMP:I0:sens_unit", "nA/V")
        side.put("PREAMP:I0:sens_num", "20")
    words = {e["data"]["quality"] for e in of(documents, "event", "primary")}
    assert len(words) == 1
    assert "saturated: I0 has 5e+05 counts/s, 4.95e+05 or more" in words.pop()


@pytest.mark.parametrize("start", [("1", "mA/V"), ("1", "pA/V")])
def test_the_gains_are_chosen_for_both_sides_of_an_edge(devices, found, side, start):
    mono, chambers, shutter = devices["mono"], devices["chambers"], devices["shutter"]
    amplifiers = [devices["i0_amplifier"], devices["it_amplifier"]]
    before = [amplifier.position for amplifier in amplifiers]
    devices["stage"].set("fe_foil").wait(DEADLINE_S)
    for name in ("I0", "IT"):
        side.put(f"PREAMP:{name}:sens_num", start[0])
        side.put(f"PREAMP:{name}:sens_unit", start[1])
    try:
        chosen, documents = found(
            auto_gain(
                [chambers.i0, chambers.it],
                amplifiers,
                energy=mono.energy,
                energies=[7080, 7200],
                shutter=shutter,
            )
        )
        assert side.get("DET:I0:GAIN") == pytest.approx(chosen.gains["I0"])
        assert all(0.3 < fraction <= 0.8 for fraction in chosen.fractions.values())
        last = of(documents, "event", "primary")[-2:]
        assert max(e["data"]["It"] for e in last) < 0.8 * 5e5 * 0.2
        assert [e["data"]["it_amplifier"] for e in last] == [chosen.gains["It"]] * 2
    finally:
        for amplifier, gain in zip(amplifiers, before, strict=True):
            amplifier.set(gain).wait(DEADLINE_S)


def test_the_harmonics_are_there_without_the_mirror(devices, found, side):
    mono, chambers, shutter = devices["mono"], devices["chambers"], devices["shutter"]
    stage = devices["stage"]
    side.put("MONO:ENERGY", 7612.0)
    stage.set("cu_foil").wait(DEADLINE_S)
    detectors = [chambers.i0, chambers.it]
    found(tune_pitch([chambers.i0], mono.pitch, 200, shutter=shutter))
    options = {"material": "Fe", "energy": mono.energy, "time": 5.0, "num": 3}
    results = {}
    for mirror in (0, 1):
        side.put("MIRROR:IN", mirror)
        results[mirror], _ = found(
            harmonic_check(
                detectors, mono.pitch, 50, stage, "fe_foil", "empty", shutter=shutter, **options
            )
        )
    # A tuned pair has 0.2 % of the signal in the third order at 7.6 keV, and the mirror takes it.
    without, behind = results[0], results[1]
    assert without.fraction == pytest.approx(0.002, rel=0.4)
    assert without.fraction > 4 * without.sigma
    assert abs(behind.fraction) < 4 * behind.sigma + 1e-4
    assert 0 < without.kept < 0.6
    assert stage.position == "cu_foil"
