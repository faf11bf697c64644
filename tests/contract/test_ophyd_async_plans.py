"""Plans drive the server through ophyd-async alone.

Of motor, scaler and shutter ophyd-async ships the motor; the other two are declared here, as its
documentation says how to.
"""

from typing import Annotated

import pytest
from bluesky import RunEngine
from bluesky import plans as bp
from ophyd_async.core import (
    AsyncStatus,
    SignalR,
    SignalRW,
    StandardReadable,
    StrictEnum,
    init_devices,
)
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.epics.core import EpicsDevice, PvSuffix
from ophyd_async.epics.motor import Motor

from beamline_ophyd.devices import IonChambers, connect, disconnect
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import xafs_scan

DEADLINE_S = 60.0
SCAN = {"bounds": [-15, -5, 15], "steps": [5, 2], "times": [0.1, 0.2]}


class Count(StrictEnum):
    DONE = "Done"
    COUNT = "Count"


class OpenClose(StrictEnum):
    CLOSE = "Close"
    OPEN = "Open"


class Scaler(StandardReadable, EpicsDevice):
    preset_time: Annotated[SignalRW[float], PvSuffix(".TP"), Format.CONFIG_SIGNAL]
    count: Annotated[SignalRW[Count], PvSuffix(".CNT")]
    i0: Annotated[SignalR[int], PvSuffix(".S2"), Format.HINTED_SIGNAL]
    itrans: Annotated[SignalR[int], PvSuffix(".S3"), Format.HINTED_SIGNAL]

    @AsyncStatus.wrap
    async def trigger(self):
        await self.count.set(Count.COUNT, timeout=DEADLINE_S)


class Shutter(EpicsDevice):
    command: Annotated[SignalRW[OpenClose], PvSuffix("CMD")]

    @AsyncStatus.wrap
    async def set(self, value):
        await self.command.set(OpenClose(value.title()), timeout=DEADLINE_S)


@pytest.fixture
def engine():
    run_engine = RunEngine({}, context_managers=[])
    yield run_engine
    run_engine.loop.call_soon_threadsafe(run_engine.loop.stop)


@pytest.fixture(params=["ca", "pva"])
def devices(request, engine, side):
    """Motor, scaler and shutter over each of the two protocols."""
    address = f"{request.param}://{side.prefix}"
    with init_devices(timeout=DEADLINE_S):
        energy = Motor(f"{address}MONO:ENERGY", name="energy")
        scaler = Scaler(f"{address}SCALER", name="scaler")
        shutter = Shutter(f"{address}SHUTTER:", name="shutter")
    return energy, scaler, shutter


def events_of(engine, plan):
    documents = []
    engine(plan, lambda *pair: documents.append(pair))
    assert documents[-1][1]["exit_status"] == "success"
    return [doc["data"] for name, doc in documents if name == "event"]


def test_xafs_scan(devices, engine, side):
    energy, scaler, shutter = devices
    side.put("SHUTTER:CMD", 0)
    roles = {"i0": "scaler-i0", "itrans": "scaler-itrans"}
    plan = xafs_scan([scaler], energy, "Fe-K", **SCAN, roles=roles, shutter=shutter)
    # A staged signal of ophyd-async gives the last value that its monitor brought, and that may
    # still be the 0 of the count's begin: the plan marks such a point and takes it again.
    events = [event for event in events_of(engine, plan) if not event["quality"]]
    grid = energy_grid("Fe-K", **SCAN)
    assert [e["energy"] for e in events] == pytest.approx(grid.energy_ev, abs=0.01)
    # The dwell time reached the scaler, the shutter was open, and the foil absorbs above its edge.
    per_second = [e["scaler-i0"] / dwell for e, dwell in zip(events, grid.dwell_s, strict=True)]
    assert per_second == pytest.approx([per_second[0]] * len(per_second), rel=0.1)
    assert per_second[0] > 10_000
    ratio = [e["scaler-i0"] / e["scaler-itrans"] for e in events]
    assert ratio[-1] > 1.5 * ratio[0]
    assert side.get("SHUTTER:STATUS") == 0


def test_a_scan_of_bluesky_mixes_both_libraries(devices, engine, side):
    energy, scaler, _ = devices
    chambers = IonChambers(side.prefix, name="chambers")
    try:
        connect(chambers, timeout=DEADLINE_S)
        chambers.preset_time.set(0.2).wait(DEADLINE_S)
        events = events_of(engine, bp.scan([chambers.it], energy, 7090.0, 7140.0, 6))
        assert [e["energy"] for e in events] == [7090.0 + 10 * i for i in range(6)]
        assert events[0]["It"] > 1.5 * events[-1]["It"]
        relative = events_of(engine, bp.rel_scan([scaler], energy, -10.0, 10.0, 3))
        assert [e["energy"] for e in relative] == [7130.0, 7140.0, 7150.0]
    finally:
        disconnect(chambers)
