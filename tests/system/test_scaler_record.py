"""The scaler record, and the noise of its counts."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from p4p.client.thread import RemoteError
from scipy.stats import chi2

from ..pvs import DEADLINE_S, Beamline, Monitor, Order, count

EARLY_S = 0.005  # by which the real time of a count may be short: two clocks, and their digits
TIMER_S = 0.01  # by which a timer of EPICS base may go off early
STALL_S = 3.0  # for which a machine that is busy may do nothing


def test_a_count_lasts_its_preset_and_completes_the_put(bl):
    counts = count(bl, 2.5)
    assert bl.get("SCALER.CNT") == 0
    assert counts[0] / bl.get("SCALER.FREQ") == bl.get("SCALER.T") == 2.5
    assert bl.get("SCALER.PR1") == 25_000_000
    assert all(value > 1000 for value in counts[1:4])
    assert counts[4] == 0
    for name, value in zip(("I0", "IT", "IR"), counts[1:4], strict=True):
        assert bl.get(f"DET:{name}") == pytest.approx(value / 2.5, rel=1e-3)
    names = [bl.get(f"SCALER.NM{channel}") for channel in range(1, 5)]
    assert names == ["time", "I0", "It", "Ir"]


def test_a_count_takes_its_time_in_beamline_seconds(bl):
    bl.put("SIM:SPEED", 2.0)
    with Monitor(f"{bl.prefix}SCALER.CNT") as counting:
        bl.put("SCALER.TP", 1.0)
        bl.put("SCALER.CNT", 1)
        counting.until(lambda value: value == 1)
        counting.until(lambda value: value == 0)
    took = counting.seen[-1][1] - counting.seen[-2][1]
    assert 0.5 - EARLY_S < took < 0.5 + STALL_S


def test_a_count_ends_at_a_preset_of_another_channel(bl):
    bl.put("SIM:RING", 1)  # a top-up is three times the tolerance
    rate = count(bl, 1.0)[1]
    bl.put("SCALER.G1", "N")
    bl.put("SCALER.PR2", rate * 3)
    assert bl.get("SCALER.G2", as_string=True) == "Y"
    counts = count(bl)
    assert counts[1] == rate * 3
    assert bl.get("SCALER.T") == pytest.approx(3.0, rel=1e-3)


def test_a_count_can_be_ended_early(bl):
    bl.put("SIM:SPEED", 1.0)
    bl.put("SCALER.TP", 100.0)
    with Monitor(f"{bl.prefix}SCALER.S2") as i0, Monitor(f"{bl.prefix}SCALER.CNT") as counting:
        bl.put("SCALER.CNT", 1, wait=False)
        i0.until(lambda value: value > 0)  # shown while counting, RATE times a second
        i0.until(lambda value: value > 1.5 * i0.values[1])
        bl.put("SCALER.CNT", 0, wait=False)
        counting.until(lambda value: value == 1)
        counting.until(lambda value: value == 0)
    assert 0 < bl.get("SCALER.T") < 100
    assert bl.get("SCALER.S2") >= i0.values[-1]


def test_a_count_that_nothing_ends_stops_when_the_time_base_is_full(bl):
    bl.put("SIM:SPEED", 100000.0)
    bl.put("SCALER.G1", "N")
    counts = count(bl)
    assert counts[0] == 2**32 - 1
    assert counts[1] > 1000


def test_rates_are_told_before_the_end_of_their_count(bl):
    with Order(bl.prefix, "DET:I0", "RING:CURRENT", "SCALER.CNT") as order:
        bl.put("SCALER.CNT", 1)
        order.until(lambda value: value == 1)
        order.until(lambda value: value == 0)
        told = [name for name, value in order.told if (name, value) != ("SCALER.CNT", 1)]
    assert told.index("DET:I0") < told.index("SCALER.CNT")
    assert "RING:CURRENT" in told[: told.index("SCALER.CNT")]


def test_the_time_stamp_stays_that_of_the_end_of_the_count(bl):
    bl.put("SIM:SPEED", 1.0)
    bl.put("SCALER.TP", 0.15)  # the second look at RATE 10 Hz would come after its end
    bl.put("SCALER.CNT", 1)
    stamp = bl.pv("SCALER.S2").get_timevars(timeout=DEADLINE_S)["timestamp"]
    with Monitor(f"{bl.prefix}RING:CURRENT") as clock:  # every half second
        first = clock.until(lambda value: True)
        clock.until(lambda value: value != first)
    assert bl.pv("SCALER.S2").get_timevars(timeout=DEADLINE_S)["timestamp"] == stamp


def test_automatic_counting_goes_on_after_a_count_that_failed(bl):
    bl.put("SCALER.TP1", 1.0)
    bl.put("MONO:BRAGG", 75.0)
    with (
        Monitor(f"{bl.prefix}SCALER.S2") as i0,
        Monitor(f"{bl.prefix}SCALER.SEVR") as severity,
    ):
        bl.put("SCALER.CONT", "AutoCount", wait=False)
        severity.until(lambda value: value == 3)
        bl.put("MONO:ENERGY", 7000.0)
        i0.until(lambda value: value > 1000)
        severity.until(lambda value: value == 0)
    bl.put("SCALER.CONT", "OneShot")


def test_automatic_counting_makes_way_for_a_count(bl):
    bl.put("SIM:SPEED", 10.0)
    bl.put("SCALER.TP1", 0.5)
    with (
        Monitor(f"{bl.prefix}SCALER.T") as seconds,
        Monitor(f"{bl.prefix}SCALER.S1") as ticks,
    ):
        bl.put("SCALER.CONT", "AutoCount", wait=False)
        seconds.until(lambda value: value == 0.5)
        count(bl, 3.0)
        ticks.until(lambda value: value == 30_000_000)  # until the next automatic count is shown
        seconds.until(lambda value: value == 3.0)
        seconds.until(lambda value: value == 0.5)
    bl.put("SCALER.CONT", "OneShot")


def test_the_shortest_automatic_counts_leave_the_processor_free(bl, ioc, pva):
    with pytest.raises(RemoteError):  # less than one pulse of the time base
        pva.put(f"{bl.prefix}SCALER.TP1", 1e-12, timeout=DEADLINE_S)
    bl.put("SCALER.TP1", 1e-6)
    used = []
    with (
        Monitor(f"{bl.prefix}RING:CURRENT") as clock,  # every half second
        Monitor(f"{bl.prefix}SCALER.SS") as state,
    ):
        bl.put("SCALER.CONT", "AutoCount", wait=False)
        state.until(lambda value: value == 2)
        for _ in range(3):
            last = clock.values[-1]
            clock.until(lambda value, last=last: value != last)
            fields = Path(f"/proc/{ioc.pid}/stat").read_text().rpartition(")")[2].split()
            used.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        state.until(lambda value: value == 1)
        state.until(lambda value: value == 2)  # it goes on
    bl.put("SCALER.CONT", "OneShot")
    assert used[-1] - used[0] < 0.5  # of the one second


def test_the_delay_comes_before_the_count(bl):
    bl.put("SCALER.DLY", 0.2)
    with Monitor(f"{bl.prefix}SCALER.US") as state:
        assert count(bl, 1.0)[0] == 10_000_000
        state.until(lambda value: value == 0 and len(state.values) > 1)
    assert state.values == [0, 1, 3, 0]
    waited = state.seen[2][1] - state.seen[1][1]
    assert 0.2 - TIMER_S < waited < 0.2 + STALL_S


@pytest.mark.parametrize("aborted", [1e6, 0.2])
def test_an_aborted_delay_does_not_decide_when_the_next_count_starts(bl, aborted):
    with Monitor(f"{bl.prefix}SCALER.US") as state:
        bl.put("SCALER.DLY", aborted)
        bl.put("SCALER.CNT", 1, wait=False)
        state.until(lambda value: value == 1)
        bl.put("SCALER.CNT", 0)
        bl.put("SCALER.DLY", 0.5)
        assert count(bl, 1.0)[0] == 10_000_000
        state.until(lambda value: value == 3)
    waited = state.seen[-1][1] - state.seen[-2][1]
    assert 0.5 - TIMER_S < waited < 0.5 + STALL_S


def test_an_aborted_wait_of_automatic_counting_does_not_delay_the_next(bl):
    with Monitor(f"{bl.prefix}SCALER.SS") as state, Monitor(f"{bl.prefix}SCALER.T") as seconds:
        try:
            bl.put("SCALER.TP1", 0.5)
            bl.put("SCALER.DLY1", 1e6)
            bl.put("SCALER.CONT", "AutoCount", wait=False)
            state.until(lambda value: value == 1)
            bl.put("SCALER.CONT", "OneShot")
            state.until(lambda value: value == 0)
            bl.put("SCALER.DLY1", 0.1)
            bl.put("SCALER.CONT", "AutoCount", wait=False)
            seconds.until(lambda value: value == 0.5)
        finally:
            bl.put("SCALER.CONT", "OneShot")
            bl.put("SCALER.DLY1", 0.0)


def test_a_slow_display_ends_with_its_count(bl):
    bl.put("SIM:SPEED", 1.0)
    with Monitor(f"{bl.prefix}SCALER.T") as seconds:
        try:
            bl.put("SCALER.RATE", 1e-6)
            assert bl.get("SCALER.RATE") == pytest.approx(0.1)
            count(bl, 0.05)
        finally:
            bl.put("SCALER.RATE", 10.0)
        count(bl, 2.0)
        seconds.until(lambda value: value == 2.0)
    shown = [value for value in seconds.values if 0.05 < value < 2.0]
    assert len(shown) > 5  # twenty, or fewer on a machine that is busy


@pytest.mark.parametrize("seconds", [-1.0, math.nan, 1e9])
def test_a_preset_that_makes_no_sense_is_refused(bl, pva, seconds):
    bl.put("SCALER.TP", 1.5)
    with pytest.raises(RemoteError):
        pva.put(f"{bl.prefix}SCALER.TP", seconds, timeout=DEADLINE_S)
    assert bl.get("SCALER.TP") == 1.5


def test_counts_scatter_as_absorbed_photons_do(bl):
    """Chi-square of 300 counts: Poisson on the photons, far above what V/F pulses would give."""
    bl.put("SIM:RING", "Steady")
    bl.put("SIM:SEED", 12345)
    bl.put("MONO:ENERGY", 7300.0)
    n = 300
    counts = np.array([count(bl, 0.05)[1:4] for _ in range(n)], dtype=float)
    energy = bl.get("MONO:ENERGY.RBV")
    low, high = chi2.ppf([1e-4, 1 - 1e-4], n - 1)
    for channel, name in enumerate(("I0", "IT", "IR")):
        per_count = bl.get(f"DET:{name}:EV_PER_COUNT")
        photons = counts[:, channel] * per_count / energy
        # A count is a whole number of pulses, which adds the variance of a rounding error.
        rounding = (per_count / energy) ** 2 / 6
        statistic = np.sum((photons - photons.mean()) ** 2) / (photons.mean() + rounding)
        assert low < statistic < high, name


def test_without_noise_every_count_is_the_same(bl):
    bl.put("SIM:RING", "Steady")
    bl.put("SIM:NOISE", "Off")
    assert len({tuple(count(bl, 0.1)) for _ in range(5)}) == 1
    bl.put("SIM:NOISE", "On")
    assert len({tuple(count(bl, 0.1)) for _ in range(20)}) > 1


def test_a_seed_repeats_its_counts(start_ioc):
    def run(prefix, seed):
        start_ioc(prefix=prefix, seed=seed, speed=500.0, steady_ring=True)
        bl = Beamline(prefix)
        counts = []
        for energy in (7000.0, 7130.0, 7300.0):
            bl.put("MONO:ENERGY", energy)
            counts += [count(bl, 0.3) for _ in range(5)]
        bl.close()
        return counts

    first = run("SEED1:", 7)
    assert first == run("SEED2:", 7)
    assert first != run("SEED3:", 8)


def test_putting_the_seed_repeats_the_noise(bl):
    bl.put("SIM:RING", "Steady")
    runs = []
    for _ in range(2):
        bl.put("SIM:SEED", 99)
        runs.append([count(bl, 0.2) for _ in range(5)])
    assert runs[0] == runs[1]


def test_the_noise_of_a_count_is_its_own(bl):
    """Neither the current nor the length of earlier counts changes it: scans can be repeated."""
    bl.put("SIM:SPEED", 1000.0)
    runs = []
    for first in (2.0, 0.7):
        bl.put("SIM:SEED", 99)
        count(bl, first)
        counts = np.array([count(bl, 2.0) for _ in range(40)], dtype=float)
        runs.append(counts[:, 2] / counts[:, 1])  # the current cancels
    noise = [run - np.mean(run) for run in runs]
    # The current decides now and then which of two numbers the generator takes.
    alike = np.abs(noise[0] - noise[1]) < 0.2 * np.std(noise[0])
    assert np.count_nonzero(alike) >= 36


def test_counts_integrate_over_a_motion(bl):
    """Half of a count with the shutter closed is about half the counts."""
    bl.put("SIM:RING", "Steady")
    full = count(bl, 4.0)[1]
    bl.put("SIM:SPEED", 1.0)
    with Monitor(f"{bl.prefix}SCALER.T") as seconds, Monitor(f"{bl.prefix}SCALER.CNT") as counting:
        bl.put("SCALER.CNT", 1, wait=False)
        seconds.until(lambda value: 0 < value < 4 and value > 1.5)
        bl.put("SHUTTER:CMD", "Close")
        counting.until(lambda value: value == 1)
        counting.until(lambda value: value == 0)
    assert 0.3 * full < bl.get("SCALER.S2") < 0.9 * full


def test_the_ring_current_is_that_of_the_end_of_a_count(bl):
    bl.put("SIM:SPEED", 5000.0)
    before = bl.get("RING:CURRENT")
    currents = []
    for _ in range(4):
        count(bl, 20.0)
        currents.append(bl.get("RING:CURRENT"))
    assert len({before, *currents}) == 5
    assert all(0 < current < 400 for current in currents)


def test_a_count_where_the_mono_passes_nothing_known_is_invalid(bl):
    bl.put("MONO:BRAGG", 75.0)  # 2 keV, below the tables
    count(bl, 1.0)
    assert bl.get("SCALER.CNT") == 0
    assert bl.get("SCALER.SEVR") == 3
    bl.put("MONO:ENERGY", 7000.0)
    assert count(bl, 1.0)[1] > 1000
    assert bl.get("SCALER.SEVR") == 0


def test_a_new_seed_does_not_lose_the_count_under_way(bl):
    bl.put("SIM:SPEED", 5.0)
    with Monitor(f"{bl.prefix}SCALER.CNT") as counting:
        bl.put("SCALER.TP", 2.0)
        bl.put("SCALER.CNT", 1, wait=False)
        counting.until(lambda value: value == 1)
        bl.put("SIM:SEED", 5)
        counting.until(lambda value: value == 0)
    assert bl.get("SCALER.T") == 2.0


def test_all_channels_have_their_fields_and_a_name_that_can_be_given(bl, pva):
    fields = [f"{field}{channel}" for channel in range(1, 33) for field in ("S", "PR", "G", "NM")]
    values = pva.get([f"{bl.prefix}SCALER.{name}" for name in fields], throw=False)
    assert not [n for n, value in zip(fields, values, strict=True) if isinstance(value, Exception)]
    assert bl.get("SCALER.NCH") == 32
    bl.put("SCALER.NM32", "beam stop")
    assert bl.get("SCALER.NM32") == "beam stop"
    bl.put("SCALER.NM32", "")
