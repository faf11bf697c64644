"""PVs with deadlines, for the tests of the device server."""

import queue
import time

import epicscorelibs.path.pyepics  # noqa: F401  one Channel Access library for all clients

import epics  # isort: skip

DEADLINE_S = 60.0
# Where a server starts, and what stands for it afterwards.
MOTORS = {
    "MONO:BRAGG": None,  # follows from the energy
    "MONO:ENERGY": 7000.0,
    "MONO:PITCH": 25.0,
    "SAMPLE:X": 0.0,
    "SAMPLE:Y": 0.0,
    "SAMPLE:Z": 0.0,
    "SAMPLE:THETA": 0.0,
    "DIFF:TH": 0.0,
    "DIFF:TTH": 0.0,
}
SETTINGS = {
    "SIM:NOISE": 1,
    "SIM:RING": 0,
    "SIM:PITCH:OPTIMUM": 25.0,
    "SIM:BRAGG:SLIP": 0.0,
    "MIRROR:IN": 1,
    "MONO:CRYSTAL": 0,
    "REF:NAME": "fe_foil",
    "SAMPLE:THICKNESS": 1.0,
    "SAMPLE:CONCENTRATION": 1.0,
    "SAMPLE:TEMP": 300.0,
    "XRF:ROI:LOW": 6200.0,
    "XRF:ROI:HIGH": 6600.0,
    "XRF:TAU": 1.0,
}
PREAMPS = {
    "I0": {"sens_num": 4, "sens_unit": 1},
    "IT": {"sens_num": 4, "sens_unit": 1},
    "IR": {"sens_num": 3, "sens_unit": 1},
}


PREAMP_ZEROS = ("offset_on", "offset_sign", "offset_num", "offset_unit", "offset_cal",
                "invert_on", "blank_on")  # fmt: skip
ENCODER_PRESENT, PROBLEM = 0x100, 0x200  # bits of MSTA
MOTOR_FIELDS = {"SPMG": 3, "SET": 0, "FOFF": 0, "DIR": 0, "OFF": 0.0, "BDST": 0.0}


class Beamline:
    """The PVs of one server by what follows the prefix, over Channel Access."""

    def __init__(self, prefix):
        self.prefix = prefix
        self._pvs = {}

    def pv(self, name):
        if name not in self._pvs:
            self._pvs[name] = epics.PV(self.prefix + name, auto_monitor=False)
        pv = self._pvs[name]
        assert pv.wait_for_connection(DEADLINE_S), f"{pv.pvname} did not connect"
        return pv

    def get(self, name, **options):
        options |= {"timeout": DEADLINE_S, "use_monitor": False}
        try:
            value = self.pv(name).get(**options)
        except epics.ca.ChannelAccessGetFailure:
            # On a busy machine a channel goes and comes; pyepics may have asked for its type in
            # between, which is -1 then, and asks for that ever after. A new PV asks anew.
            self._pvs.pop(name).disconnect()
            value = self.pv(name).get(**options)
        assert value is not None, f"{self.prefix}{name} did not answer"
        return value

    def put(self, name, value, *, wait=True):
        """Put, and wait for completion."""
        done = self.pv(name).put(value, wait=wait, timeout=DEADLINE_S)
        assert done is not None
        assert done != -1, f"{self.prefix}{name} did not complete"

    def close(self):
        for pv in self._pvs.values():
            pv.disconnect()


class SideDoor:
    """The same over PVAccess: pyepics shares its channels with the ophyd devices of a process."""

    def __init__(self, prefix, context):
        self.prefix = prefix
        self.context = context

    def get_all(self, names):
        return self.context.get([self.prefix + name for name in names], timeout=DEADLINE_S)

    def get(self, name):
        return self.context.get(self.prefix + name, timeout=DEADLINE_S)

    def put(self, name, value, *, wait=True):
        request = f"record[block={str(wait).lower()}]"
        self.context.put(self.prefix + name, value, timeout=DEADLINE_S, request=request)

    def _bring_back(self, wanted):
        for (name, value), present in zip(wanted.items(), self.get_all(wanted), strict=True):
            if present != value:
                self.put(name, value)

    def reset(self, speed):
        """Bring what a test may change back to how a server starts."""
        self.put("SIM:SPEED", speed)
        self.put("SIM:FAULT", 0)
        scaler = {"CONT": 0, "CNT": 0, "DLY": 0.0, "TP1": 1.0}
        scaler |= {f"G{channel}": 0 for channel in range(1, 7)} | {"TP": 1.0}
        for field, value in scaler.items():
            self.put(f"SCALER.{field}", value)
        wanted = dict(SETTINGS)
        for chamber, sensitivity in PREAMPS.items():
            settings = dict.fromkeys(PREAMP_ZEROS, 0) | sensitivity
            wanted |= {f"PREAMP:{chamber}:{setting}": v for setting, v in settings.items()}
        for motor in MOTORS:
            wanted |= {f"{motor}.{field}": value for field, value in MOTOR_FIELDS.items()}
        self._bring_back(wanted)
        self.put("SHUTTER:CMD", 1)
        moved = {motor: position for motor, position in MOTORS.items() if position is not None}
        done = self.get_all([f"{motor}.DMOV" for motor in moved])
        for motor, still in zip(moved, done, strict=True):
            if not still:
                self.put(f"{motor}.STOP", 1)
        self._bring_back(moved)
        if lost := self._lost():
            for motor in lost:
                self.put(f"{motor}.HOMF", 1)
            self._bring_back(moved)

    def _lost(self):
        """Axes that lost steps when they were stuck, which they count anew where they are homed."""
        axes = [motor for motor in MOTORS if motor != "MONO:ENERGY"]  # whose steps are Bragg's
        status, steps, encoders = (
            self.get_all([f"{axis}.{field}" for axis in axes]) for field in ("MSTA", "RMP", "REP")
        )
        told = zip(axes, map(int, status), steps, encoders, strict=True)
        return [
            axis
            for axis, bits, step, encoder in told
            if bits & PROBLEM or (bits & ENCODER_PRESENT and step != encoder)
        ]


class Monitor:
    """Every value that the server sends for a PV, with the server's time stamp."""

    def __init__(self, name):
        self.events = queue.Queue()
        self.seen = []
        self._pv = epics.PV(name, auto_monitor=True, callback=self._keep)
        assert self._pv.wait_for_connection(DEADLINE_S), f"{name} did not connect"
        self.until(lambda value: True)

    def _keep(self, value=None, timestamp=None, **_):
        self.events.put((value, timestamp))

    def until(self, wanted):
        """Take values until one satisfies `wanted`, and return it."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                value, stamp = self.events.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self._pv.pvname}: not among {self.values}") from None
            self.seen.append((value, stamp))
            if wanted(value):
                return value

    @property
    def values(self):
        return [value for value, _ in self.seen]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pv.clear_callbacks()
        self._pv.disconnect()


class Order:
    """The order in which the server tells the values of several PVs, as (name, value)."""

    def __init__(self, prefix, *names):
        self.told = []
        self._pvs = [
            epics.PV(
                prefix + name,
                auto_monitor=True,
                callback=lambda name=name, value=None, **_: self.told.append((name, value)),
            )
            for name in names
        ]
        assert all(pv.wait_for_connection(DEADLINE_S) for pv in self._pvs)
        self._last = Monitor(prefix + names[-1])  # subscribed last: told last
        self.told.clear()

    def until(self, wanted):
        """Wait for a value of the last PV."""
        return self._last.until(wanted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._last.__exit__()
        for pv in self._pvs:
            pv.clear_callbacks()
            pv.disconnect()


def count(bl, seconds=None):
    """Counts of the time base, I0, It, Ir and a channel without a cable."""
    if seconds is not None:
        bl.put("SCALER.TP", seconds)
    bl.put("SCALER.CNT", 1)
    return [int(bl.get(f"SCALER.S{channel}")) for channel in (1, 2, 3, 4, 32)]
