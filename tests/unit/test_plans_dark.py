import numpy as np
import pytest
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from ophyd.status import Status

from beamline_ophyd import ScanData
from beamline_ophyd.plans import (
    DeviceError,
    dark,
    dark_current_wrapper,
    record_dark_current,
    shutter_wrapper,
    xafs_scan,
)

from ..runs import of
from .doubles import Gate, Timed


class Leaky(Timed):
    """Counts 5 a second in the dark, and 1000 more a second with beam."""

    def __init__(self, name, gate):
        super().__init__(name, lambda dwell_s: dwell_s * (5 + 1000 * (gate.get() == "open")))


@pytest.fixture
def leaky(gate):
    return [Leaky("i0", gate), Leaky("it", gate)]


def scan(leaky, gate, **options):
    return shutter_wrapper(dark_current_wrapper(bp.count(leaky, 2), leaky, gate, **options), gate)


def test_a_run_tells_the_dark_current_of_its_detectors(engine, leaky, gate):
    leaky[0].preset_time.put(2.0)
    engine(scan(leaky, gate, dwell_time=0.5))
    (dark,) = of(engine.documents, "event", "dark")
    # Three counts of half a second, each good to the pulses that its ends cut.
    error = pytest.approx((1 / 6 / 3) ** 0.5 / 0.5)
    assert dark["data"] == {
        "i0_dark": 5.0, "i0_dark_error": error, "it_dark": 5.0, "it_dark_error": error
    }  # fmt: skip
    described = next(d for d in of(engine.documents, "descriptor") if d["name"] == "dark")
    assert described["data_keys"]["i0_dark"]["units"] == "counts/s"
    # It is measured with the shutter closed, the run with it open and with the dwell time it had.
    assert [e["data"]["i0"] for e in of(engine.documents, "event", "primary")] == [2010.0] * 2
    assert gate.history == ["close", "open", "close"]


def test_the_scatter_of_the_readings_is_the_error(engine, gate):
    readings = iter([4.0, 8.0])
    engine(record_dark_current([Timed("it", lambda dwell_s: next(readings))], gate, samples=2))
    (dark,) = of(engine.documents, "event", "dark")
    assert dark["data"] == {"it_dark": 6.0, "it_dark_error": 2.0}


def test_a_dark_current_serves_until_it_is_old(engine, leaky, gate):
    for _ in range(2):
        engine(scan(leaky, gate))
    assert leaky[0].triggers == 3 + 2 + 2
    first, second = of(engine.documents, "event", "dark")
    assert first["timestamps"] == second["timestamps"]
    engine(scan(leaky, gate, max_age=0.0))
    assert leaky[0].triggers == 3 + 2 + 2 + 3 + 2


def test_a_changed_gain_asks_for_a_new_dark_current(engine, leaky, gate):
    engine(scan(leaky, gate))
    leaky[1].gain.put(10.0)
    engine(scan(leaky, gate))
    assert leaky[0].triggers == 2 * (3 + 2)


def test_a_recorded_dark_current_serves_scans(engine, leaky, gate):
    engine(bps.mv(gate, "open"))
    engine(record_dark_current(leaky, gate, samples=4))
    (start,) = of(engine.documents, "start")
    assert start["plan_name"] == "record_dark_current"
    (dark,) = of(engine.documents, "event", "dark")
    assert dark["data"]["it_dark"] == 5.0
    engine(scan(leaky, gate))
    assert leaky[0].triggers == 4 + 2


def test_a_measurement_that_fails_gives_back_the_dwell_time(engine, leaky, gate):
    leaky[0].preset_time.put(2.0)

    def counting(dwell_s):
        raise OSError("no answer")

    leaky[1].counting = counting
    with pytest.raises(OSError, match="no answer"):
        engine(scan(leaky, gate, dwell_time=0.5))
    assert leaky[0].preset_time.get() == 2.0
    assert not of(engine.documents, "start")


def test_messages_that_nobody_carries_out_measure_nothing(engine, leaky, gate):
    assert list(record_dark_current(leaky, gate))
    engine(scan(leaky, gate))
    assert leaky[0].triggers == 3 + 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_age": -1}, "max_age is -1; give seconds, 0 or more"),
        ({"dwell_time": 0}, "dwell_time is 0"),
        ({"samples": 0}, "samples is 0; give a whole number of readings"),
    ],
)
def test_refusals_come_before_the_plan(engine, leaky, gate, options, words):
    with pytest.raises(ValueError, match=words):
        engine(scan(leaky, gate, **options))
    assert gate.history == []


def test_a_shutter_that_does_not_close_fails_by_name(engine, leaky, monkeypatch):
    monkeypatch.setattr(dark, "SHUTTER_LIMIT_S", 0.2)

    class Jam(Gate):
        def set(self, value, **kwargs):
            return Status(self)

    with pytest.raises(DeviceError, match="gate did not go to close"):
        engine(record_dark_current(leaky, Jam()))
    assert of(engine.documents, "stop")[0]["exit_status"] == "fail"


def test_the_running_merge_is_that_of_the_file(engine, energy, gate):
    def counting(with_beam):
        return lambda dwell_s: dwell_s * (5 + with_beam * (gate.get() == "open"))

    detectors = [Timed("i0", counting(1000)), Timed("it", counting(400))]
    short = {"bounds": [-20, 0, 20], "steps": [5, 5], "times": [0.5, 2.0], "repeats": 2}
    engine(xafs_scan(detectors, energy, "Fe-K", shutter=gate, dark_max_age=60.0, **short))
    *_, last = of(engine.documents, "event", "merge")
    np.testing.assert_allclose(last["data"]["merged_mu"], np.log(1000 / 400))
    filed, _ = ScanData.from_documents(engine.documents).mu()
    np.testing.assert_allclose(last["data"]["merged_mu"], filed)
