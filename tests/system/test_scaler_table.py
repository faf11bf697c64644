"""The result of a count as a table over PVAccess."""

import queue

import numpy as np
import pytest
from p4p.client.thread import Context

from ..pvs import DEADLINE_S, count


@pytest.fixture
def table(ioc):
    """Every state of the table that the server tells, from now on."""
    told = queue.Queue()
    with (
        Context("pva", nt=False) as context,
        context.monitor(f"{ioc.prefix}SCALER:TABLE", told.put),
    ):
        told.get(timeout=DEADLINE_S)
        yield told


def rows(table):
    value = table.get(timeout=DEADLINE_S).value
    return dict(zip(value.channel, zip(value.counts, value.rate, strict=True), strict=True))


def test_it_is_a_normative_table_with_a_time_stamp(bl, table):
    count(bl, 0.5)
    told = table.get(timeout=DEADLINE_S)
    assert told.getID() == "epics:nt/NTTable:1.0"
    assert told.labels == ["channel", "counts", "rate"]
    assert list(told.value) == told.labels
    assert told.alarm.severity == 0
    assert told.timeStamp.secondsPastEpoch > 0


def test_every_count_is_told_once_and_whole(bl, table):
    for seconds in (0.5, 1.0, 2.0):
        counts = count(bl, seconds)
        found = rows(table)
        assert list(found)[:4] == ["time", "I0", "It", "Ir"]
        assert [found[name][0] for name in ("time", "I0", "It", "Ir")] == counts[:4]
        np.testing.assert_allclose([found["I0"][1]], [counts[1] / seconds])
    assert table.empty()


def test_a_channel_gets_a_row_with_its_name(bl, table):
    bl.put("SCALER.NM32", "beam stop")
    try:
        count(bl, 0.5)
        assert rows(table)["beam stop"] == (0, 0)
    finally:
        bl.put("SCALER.NM32", "")
    count(bl, 0.5)
    assert "beam stop" not in rows(table)


def test_a_count_that_failed_is_an_invalid_table(bl, table):
    bl.put("MONO:BRAGG", 75.0)  # 2 keV, below the tables
    bl.put("SCALER.TP", 0.5)
    bl.put("SCALER.CNT", 1)
    assert bl.get("SCALER.SEVR") == table.get(timeout=DEADLINE_S).alarm.severity == 3
