import threading

import numpy as np
import pytest
from bluesky.preprocessors import finalize_wrapper
from ophyd import Signal
from ophyd.sim import SynSignal

from beamline_ophyd.grid import GridError, energy_grid
from beamline_ophyd.metadata import RunMetadata
from beamline_ophyd.plans import (
    DeviceError,
    _axes,
    baseline_wrapper,
    check_before_run_wrapper,
    sample_name_wrapper,
    xafs_scan,
)
from beamline_ophyd.presets import PresetError, preset

from ..runs import of
from .doubles import Stuck, Timed

SHORT = {"bounds": [-10, 0, 5], "steps": [2, 0.5], "times": [0.5, 2.0]}


def test_a_scan_measures_every_point_of_its_grid(engine, energy, detectors):
    engine(xafs_scan(detectors, energy, "Fe-K", **SHORT))
    grid = energy_grid("Fe-K", **SHORT)
    events = of(engine.documents, "event", "primary")
    assert [e["data"]["energy"] for e in events] == grid.energy_ev.tolist()
    assert [e["data"]["dwell_time"] for e in events] == grid.dwell_s.tolist()
    assert [e["data"]["i0"] for e in events] == grid.dwell_s.tolist()


def test_the_start_document_carries_the_contract(engine, energy, detectors):
    engine(xafs_scan(detectors, energy, "Fe-K", repeats=2, e0_shift=1.2, **SHORT,
                     md={"sample": {"name": "foil"}}))  # fmt: skip
    start = of(engine.documents, "start")[0]
    run = RunMetadata.from_start(start)
    assert (run.element, run.edge, run.sample_name) == ("Fe", "K", "foil")
    assert run.xafs is not None
    assert run.xafs.mode == "transmission"
    assert run.xafs.roles.channels == {"i0": "i0", "itrans": "it"}
    assert run.xafs.roles.dwell == "dwell_time"
    assert (run.xafs.e0_ev, run.xafs.e0_shift_ev) == (7112.0, 1.2)
    assert start["num_points"] == run.xafs.points_per_sweep * 2


def test_only_the_detectors_are_hinted_at_for_plots(engine, energy, detectors):
    engine(xafs_scan(detectors, energy, "Fe-K", **SHORT))
    (descriptor,) = of(engine.documents, "descriptor")
    hinted = {name: hint["fields"] for name, hint in descriptor["hints"].items() if hint["fields"]}
    assert hinted == {"energy": ["energy"], "i0": ["i0"], "it": ["it"]}
    assert {"point", "quality", "dwell_time"} <= set(descriptor["data_keys"])


def test_repeats_and_shift(engine, energy, detectors):
    engine(xafs_scan(detectors, energy, "Fe-K", repeats=2, e0_shift=1.2, **SHORT))
    sweep = energy_grid("Fe-K", **SHORT).energy_ev + 1.2
    asked = [e["data"]["energy"] for e in of(engine.documents, "event", "primary")]
    assert asked == [*sweep.tolist(), *sweep.tolist()]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"edge": "Xx-K"}, GridError, "no element"),
        ({"repeats": 0}, ValueError, "repeats is 0"),
        ({"repeats": True}, ValueError, "repeats is True"),
        ({"settle_time": -1}, ValueError, "settle_time"),
        ({"e0_shift": float("nan")}, ValueError, "e0_shift"),
        ({"e0_shift": "x"}, ValueError, "e0_shift is 'x'"),
        ({"roles": {"i0": "monn"}}, ValueError, "roles has 'monn' as i0; the devices give "),
        ({"roles": {"i0": "it"}}, ValueError, "roles has 'it' as i0 and as itrans"),
        ({"detectors": [Timed("i0")] * 2}, ValueError, "detector i0 is given twice"),
        ({"detectors": []}, ValueError, "no detectors"),
        ({"detectors": Timed("i0")}, ValueError, "detectors is i0; give a list"),
        ({"detectors": [3, Timed("it")]}, ValueError, "detector 3 cannot be read"),
        ({"energy": Timed("mono")}, ValueError, "energy is mono, which cannot be set"),
        ({"detectors": [Timed("x"), Timed("y")]}, ValueError, "no detector is known as i0 or"),
        ({"detectors": [Timed("x"), Timed("y")]}, ValueError, "which data key of x, y it is"),
        ({"detectors": [Timed("x"), Timed("x")]}, ValueError, "detectors x and x both give x; "),
        ({"mode": "fluorescence"}, ValueError, "known as ifluor"),
        ({"mode": "magic"}, ValueError, "mode is 'magic'"),
        ({"roles": {"i9": "x"}}, ValueError, "roles has i9"),
        ({"detectors": [SynSignal(name="i0"), Timed("it")]}, ValueError, "detector i0 has neither"),
    ],
)
def test_refusals_come_before_anything_moves(engine, energy, detectors, options, error, words):
    arguments = {"detectors": detectors, "energy": energy, "edge": "Fe-K", **SHORT} | options
    energy.set(1.0)
    with pytest.raises(error, match=words):
        engine(xafs_scan(**arguments))
    assert engine.documents == []
    assert energy.position == 1.0


def test_roles_can_be_said(engine, energy):
    engine(xafs_scan([Timed("monitor"), Timed("diode")], energy, "Fe-K", **SHORT,
                     roles={"i0": "monitor", "itrans": "diode"}))  # fmt: skip
    run = RunMetadata.from_start(of(engine.documents, "start")[0])
    assert run.xafs is not None
    assert run.xafs.roles.channels == {"i0": "monitor", "itrans": "diode"}


def test_a_detector_is_known_by_its_own_name_where_its_channel_is_not(engine, energy):
    i0, ion = Timed("i0"), Timed("it")
    i0.counts.name, ion.counts.name = "i0_counts", "It"
    engine(xafs_scan([i0, ion, Timed("I1")], energy, "Fe-K", **SHORT))
    run = RunMetadata.from_start(of(engine.documents, "start")[0])
    assert run.xafs is not None
    assert run.xafs.roles.channels == {"i0": "i0_counts", "itrans": "It"}


def test_an_axis_that_never_arrives_fails_by_name(engine, detectors, impatient):
    with pytest.raises(DeviceError, match=r"slow did not go to 7102.0 within 1\.0 s"):
        engine(xafs_scan(detectors, Stuck(), "Fe-K", **SHORT))
    stop = of(engine.documents, "stop")[0]
    assert stop["exit_status"] == "fail"
    assert "slow did not go to 7102.0" in stop["reason"]


def test_limits_follow_from_the_speed():
    assert _axes.Speed(velocity=2.0, acceleration_s=0.5).limit_s(10.0) == 2 * (5 + 1) + 10
    assert _axes.Speed().limit_s(10.0) == 60.0


def test_a_failed_check_leaves_no_run(engine, energy, detectors):
    def full(md):
        assert md["plan_name"] == "xafs_scan"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        engine(check_before_run_wrapper(xafs_scan(detectors, energy, "Fe-K", **SHORT), full))
    assert engine.documents == []


def test_the_sample_in_the_beam_is_named(engine, energy, detectors):
    name = Signal(name="sample", value="Cu foil")
    engine(sample_name_wrapper(xafs_scan(detectors, energy, "Fe-K", **SHORT), name))
    engine(
        sample_name_wrapper(
            xafs_scan(detectors, energy, "Fe-K", **SHORT, md={"sample": "mine"}), name
        )
    )
    names = [RunMetadata.from_start(s).sample_name for s in of(engine.documents, "start")]
    assert names == ["Cu foil", "mine"]


def test_clean_up_of_the_caller_still_runs(engine, energy, detectors):
    done = threading.Event()

    def clean_up():
        done.set()
        yield from ()

    with pytest.raises(GridError):
        engine(finalize_wrapper(xafs_scan(detectors, energy, "Xx-K"), clean_up))
    assert done.is_set()


def test_messages_can_be_listed_without_a_run_engine(energy, detectors):
    messages = list(xafs_scan(detectors, energy, "Fe-K", **SHORT))
    targets = [m.args[0] for m in messages if m.command == "set" and m.obj is energy]
    np.testing.assert_array_equal(targets, energy_grid("Fe-K", **SHORT).energy_ev)


def test_baseline_of_a_run_and_of_one_that_fails(engine, energy, detectors, impatient):
    lamp = SynSignal(func=lambda: 3.0, name="lamp")
    engine(baseline_wrapper(xafs_scan(detectors, energy, "Fe-K", **SHORT), [lamp]))
    with pytest.raises(DeviceError):
        engine(baseline_wrapper(xafs_scan(detectors, Stuck(), "Fe-K", **SHORT), [lamp]))
    numbers = [doc["num_events"]["baseline"] for doc in of(engine.documents, "stop")]
    assert numbers == [2, 1]


def test_regions_may_be_a_preset_by_its_name(engine, detectors, energy):
    engine(xafs_scan(detectors, energy, "Fe-K", regions="quick"))
    grid = energy_grid("Fe-K", **preset("quick"))
    asked = [e["data"]["energy"] for e in of(engine.documents, "event", "primary")]
    assert asked == pytest.approx(grid.energy_ev)
    with pytest.raises(PresetError, match="there is no preset 'slow'"):
        engine(xafs_scan(detectors, energy, "Fe-K", regions="slow"))
    with pytest.raises(ValueError, match="regions names the preset 'quick', and bounds"):
        engine(xafs_scan(detectors, energy, "Fe-K", regions="quick", bounds=[-1, 1]))
