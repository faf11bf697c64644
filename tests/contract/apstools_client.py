"""apstools' classes, unmodified, in the environment that has them.

    python apstools_client.py PREFIX mono|calibrate|stop|preamp|shutter ...

Started by test_apstools.py; what fails is an assertion with a traceback.
"""

import contextlib
import sys
import threading

from apstools.devices import (  # pyright: ignore[reportMissingImports]
    EpicsOnOffShutter,
    KohzuSeqCtl_Monochromator,
    SRS570_PreAmplifier,
)
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from ophyd import EpicsSignal

DEADLINE_S = 60.0
D_ANGSTROM = 3.135601
HC_KEV_ANGSTROM = 12.39841984


def connected(cls, name):
    device = cls(name, name="device")
    device.wait_for_connection(timeout=DEADLINE_S)
    return device


def near(value, expected, within):
    assert abs(value - expected) <= within, f"{value} is not {expected} within {within}"


def events_of(plan):
    documents = []
    RunEngine({})(plan, lambda *pair: documents.append(pair))
    return [doc["data"] for name, doc in documents if name == "event"]


def mono(prefix):
    dcm = connected(KohzuSeqCtl_Monochromator, prefix)
    told = dcm.read_configuration()
    assert told["device_mode"]["value"] == "Auto"
    assert told["device_crystal_mode"]["value"] == "Normal"
    assert told["device_crystal_type"]["value"] == "Silicon"
    near(told["device_crystal_2d_spacing"]["value"], 2 * D_ANGSTROM, 1e-9)
    near(told["device_crystal_lattice_constant"]["value"], 5.43102, 1e-5)
    for mode in ("Manual", "Auto"):
        dcm.mode.put(mode, wait=True)
        events = events_of(bp.scan([dcm], dcm.energy, 7.1, 7.2, 6))
        for n, event in enumerate(events):
            near(event["device_energy"], 7.1 + 0.02 * n, 1e-6)
            near(event["device_wavelength"], HC_KEV_ANGSTROM / (7.1 + 0.02 * n), 1e-6)
        # A move to where it already is ends too.
        events = events_of(bp.list_scan([dcm], dcm.energy, [7.2, 7.2, 7.2]))
        assert len(events) == 3
    events = events_of(bp.scan([dcm], dcm.theta, 14.0, 15.0, 3))
    for n, event in enumerate(events):
        near(event["device_theta"], 14.0 + 0.5 * n, 1e-6)
    events_of(bp.list_scan([dcm], dcm.wavelength, [1.5]))
    near(dcm.energy.readback.get(use_monitor=False), HC_KEV_ANGSTROM / 1.5, 1e-6)
    near(dcm.y1.get() ** -2 + dcm.z2.get() ** -2, dcm.y_offset.get() ** -2, 1e-6)
    assert dcm.message2.get(use_monitor=False) == "Ready"
    assert dcm.moving.get(use_monitor=False) == 0


def calibrate(prefix):
    """What calibrate_energy is for; in apstools 1.7 it calls a method that its positioner lacks."""
    dcm = connected(KohzuSeqCtl_Monochromator, prefix)
    before = dcm.energy.readback.get()
    dcm.use_set.put("Set", wait=True)
    dcm.energy.setpoint.put(before + 0.01, wait=True)
    dcm.use_set.put("Use", wait=True)
    near(dcm.energy.readback.get(use_monitor=False), before + 0.01, 1e-6)


def stop(prefix):
    dcm = connected(KohzuSeqCtl_Monochromator, prefix)
    begin = dcm.energy.readback.get()
    speed = EpicsSignal(f"{prefix}SIM:SPEED", name="speed")
    speed.wait_for_connection(timeout=DEADLINE_S)
    speed.put(2.0, wait=True)  # the way is to last longer than a machine may be busy
    under_way = threading.Event()
    dcm.energy.readback.subscribe(lambda value, **_: value > begin + 0.05 and under_way.set())
    status = dcm.energy.set(12.0)
    assert under_way.wait(DEADLINE_S)
    dcm.energy.stop()
    with contextlib.suppress(Exception):  # a stopped move fails; how is ophyd's choice
        status.wait(DEADLINE_S)
    assert status.done
    assert dcm.energy.readback.get(use_monitor=False) < 11.9


def preamp(prefix):
    amplifier = connected(SRS570_PreAmplifier, f"{prefix}PREAMP:I0:")
    RunEngine({})(bps.mv(amplifier.sensitivity_value, "20", amplifier.sensitivity_unit, "nA/V"))
    near(1e9 * amplifier.computed_gain, 20, 1e-6)
    amplifier.cb_gain()  # as at every change, on a thread that may come late on a busy machine
    near(1e9 * amplifier.gain.get(), 20, 1e-6)
    told = {key: reading["value"] for key, reading in amplifier.read_configuration().items()}
    assert told["device_sensitivity_value"] == "20"
    assert told["device_sensitivity_unit"] == "nA/V"
    assert told["device_filter_type"] == "  No filter"
    assert told["device_gain_mode"] == "LOW NOISE"
    for signal, value in {
        amplifier.offset_on: "ON",
        amplifier.offset_sign: "-",
        amplifier.offset_value: "500",
        amplifier.offset_unit: "pA",
        amplifier.filter_type: "12 dB lowpass",
        amplifier.filter_lowpass: " 10   Hz",
        amplifier.gain_mode: "LOW DRIFT",
        amplifier.invert: "OFF",
        amplifier.blank: "OFF",
    }.items():
        signal.put(value, wait=True)
        assert signal.get(use_monitor=False) == value
    amplifier.set_all.put(1, wait=True)
    amplifier.offset_on.put("OFF", wait=True)
    amplifier.filter_type.put("  No filter", wait=True)
    amplifier.gain_mode.put("LOW NOISE", wait=True)


def shutter(prefix):
    gate = connected(EpicsOnOffShutter, f"{prefix}SHUTTER:CMD")
    for command, state in ((gate.close, "close"), (gate.open, "open"), (gate.close, "close")):
        command()
        assert gate.state == state
    RunEngine({})(bps.mv(gate, "open"))
    assert gate.isOpen


if __name__ == "__main__":
    for part in sys.argv[2:]:
        globals()[part](sys.argv[1])
