"""Bad points are taken again; runs are continued; repeats end when the noise is low enough."""

import json
import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd.sim import SynAxis, SynSignal

from beamline_ophyd.callbacks import Journal, NXxasWriter
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.metadata import Roles, XAFSContract, ev_per_count_key
from beamline_ophyd.plans import DeviceError, run_summary, xafs_scan
from beamline_ophyd.plans._quality import Judge

from ..runs import of
from .doubles import Stuck, Timed

SHORT = {"bounds": [-10, 0, 5], "steps": [2, 0.5], "times": [0.5, 2.0]}
GRID = energy_grid("Fe-K", **SHORT)


def primary(engine):
    return [e["data"] for e in of(engine.documents, "event", "primary")]


def good_points(engine):
    return sorted(e["point"] for e in primary(engine) if not e["quality"])


class Flaky(Timed):
    """A detector that is as told, count by count; then good."""

    def __init__(self, name, *outcomes):
        super().__init__(name)
        self.outcomes = list(outcomes)
        self.counting = self.next_count

    def next_count(self, dwell_s):
        outcome = self.outcomes.pop(0) if self.outcomes else 1000.0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome * dwell_s


def test_every_event_says_its_point_and_its_quality(engine, energy, detectors):
    engine(xafs_scan(detectors, energy, "Fe-K", repeats=2, **SHORT))
    assert [e["point"] for e in primary(engine)] == list(range(2 * len(GRID)))
    assert {e["quality"] for e in primary(engine)} == {""}
    contract = XAFSContract.model_validate(of(engine.documents, "start")[0]["xafs"])
    assert (contract.point_key, contract.quality_key) == ("point", "quality")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (10.0, "beam dip: i0 fell to 1 % of the points before"),
        (0.0, "dead detector: i0 is 0"),
        (float("nan"), "dead detector: i0 is nan"),
        (9e5, "saturated: i0 has 9e+05 counts/s, 8e+05 or more"),
    ],
)
def test_a_bad_point_is_taken_again_and_kept(engine, energy, outcome, words):
    i0 = Flaky("i0", 1000.0, 1000.0, 1000.0, outcome)
    engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", saturation={"i0": 8e5}, **SHORT))
    events = primary(engine)
    assert [(e["point"], e["quality"]) for e in events if e["quality"]] == [(3, words)]
    assert [e["point"] for e in events][2:6] == [2, 3, 3, 4]
    assert good_points(engine) == list(range(len(GRID)))


def test_a_low_ring_current_is_a_beam_dip(engine, energy, detectors):
    currents = iter([200.0] * 3 + [40.0] * 2)
    ring = SynSignal(func=lambda: next(currents, 200.0), name="ring")
    ring.read = lambda read=ring.read: (ring.trigger(), read())[1]
    engine(xafs_scan(detectors, energy, "Fe-K", beam=ring, min_beam=100.0, **SHORT))
    bad = [e["quality"] for e in primary(engine) if e["quality"]]
    assert bad == ["beam dip: ring is 40, below 100"] * len(bad)
    assert bad
    assert good_points(engine) == list(range(len(GRID)))


def test_what_stays_bad_is_taken_again_at_the_end_of_the_sweep(engine, energy):
    i0 = Flaky("i0", *[1000.0] * 4, *[0.0] * 4)
    engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", **SHORT))
    numbers = [e["point"] for e in primary(engine)]
    assert numbers[4:9] == [4, 4, 4, 4, 5]
    assert numbers[-1] == 4
    assert good_points(engine) == list(range(len(GRID)))


def test_without_retakes_bad_points_are_only_marked(engine, energy):
    i0 = Flaky("i0", 1000.0, 0.0)
    engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", retakes=0, **SHORT))
    assert [e["point"] for e in primary(engine)] == list(range(len(GRID)))
    assert [e["point"] for e in primary(engine) if e["quality"]] == [1]


def test_a_detector_that_stays_dead_ends_the_scan(engine, energy, gate):
    dead = Timed("i0", lambda dwell_s: 0.0)
    with pytest.raises(DeviceError, match=r"10 points in a row are bad.*dead detector: i0 is 0"):
        engine(xafs_scan([dead, Timed("it")], energy, "Fe-K", shutter=gate, **SHORT))
    assert gate.history == ["open", "close"]


def test_a_count_that_fails_once_is_taken_again(engine, energy):
    i0 = Flaky("i0", 1000.0, RuntimeError("no trigger"))
    engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", **SHORT))
    (failed,) = of(engine.documents, "event", "failed")
    assert failed["data"] == {"point": 1, "quality": "not counted: no trigger"}
    assert good_points(engine) == list(range(len(GRID)))


def test_a_reading_that_fails_once_is_taken_again(engine, energy):
    class Forgetful(Timed):
        readings = 0

        def read(self):
            self.readings += 1
            if self.readings == 3:
                raise OSError("no answer")
            return super().read()

    engine(xafs_scan([Forgetful("i0"), Timed("it")], energy, "Fe-K", **SHORT))
    (failed,) = of(engine.documents, "event", "failed")
    assert failed["data"]["quality"] == "not read: no answer"
    assert good_points(engine) == list(range(len(GRID)))


def test_a_detector_that_cannot_be_read_fails_the_scan_in_its_own_words(engine, energy):
    class Broken(Timed):
        def read(self):
            raise OSError("i0 has no answer")

    with pytest.raises(OSError, match="i0 has no answer"):
        engine(xafs_scan([Broken("i0"), Timed("it")], energy, "Fe-K", **SHORT))


def test_a_reading_that_never_ends_fails_by_name(engine, energy, gate, impatient):
    forever = threading.Event()

    class Dead(Timed):
        def read(self):
            forever.wait(60)
            return super().read()

    with pytest.raises(DeviceError, match=r"i0 could not be read within 1\.0 s"):
        engine(xafs_scan([Dead("i0"), Timed("it")], energy, "Fe-K", shutter=gate, **SHORT))
    forever.set()
    assert gate.history == ["open", "close"]
    assert "i0 could not be read" in of(engine.documents, "stop")[0]["reason"]


def test_a_speed_that_is_never_told_fails_by_name(engine, detectors, gate, impatient):
    forever = threading.Event()

    class Silent(SynAxis):
        def __init__(self):
            super().__init__(name="energy")
            self.velocity.read = forever.wait

    with pytest.raises(DeviceError, match=r"energy_velocity could not be read within 1\.0 s"):
        engine(xafs_scan(detectors, Silent(), "Fe-K", shutter=gate, **SHORT))
    forever.set()
    assert engine.documents == []


def test_without_beam_no_other_channel_is_to_blame():
    roles = Roles(energy="energy", i0="i0", itrans="it")
    judge = Judge(roles, "transmission")

    def readings(i0, it):
        return {"i0": {"value": i0}, "it": {"value": it}}

    assert [judge(readings(1000.0, 400.0), 1.0) for _ in range(3)] == [""] * 3
    assert judge(readings(1.0, 0.0), 1.0).startswith("beam dip: i0 fell to 0.1 %")
    assert judge(readings(1000.0, 0.0), 1.0) == "dead detector: it is 0"


@pytest.fixture
def kept(engine, tmp_path):
    """Journal and file of the runs of the engine."""
    journal = Journal(tmp_path / "journal")
    engine.subscribe(journal)
    (tmp_path / "files").mkdir()
    writer = NXxasWriter(tmp_path / "files", journal=journal)
    engine.subscribe(writer)
    yield journal, writer
    writer.close()
    journal.close()


@pytest.mark.parametrize("form", ["journal", "file", "summary"])
def test_a_run_continues_an_aborted_one(engine, energy, kept, form):
    journal, writer = kept
    broken = [Flaky("i0", *[1000.0] * 7, *[RuntimeError("gone")] * 4), Timed("it")]
    with pytest.raises(RuntimeError, match="gone"):
        engine(xafs_scan(broken, energy, "Fe-K", repeats=2, e0_shift=1.5, **SHORT))
    uid = of(engine.documents, "start")[0]["uid"]
    assert writer.wait(60)
    path = {"file": writer.files[uid]}.get(form, journal.path(uid))
    resume = json.loads(json.dumps(run_summary(path))) if form == "summary" else str(path)
    engine.documents.clear()
    engine(xafs_scan([Timed("i0"), Timed("it")], energy, "Fe-K", resume=resume))
    (start,) = of(engine.documents, "start")
    contract = XAFSContract.model_validate(start["xafs"])
    assert (contract.continues, contract.first_point, contract.repeats) == (uid, 7, 2)
    assert contract.e0_shift_ev == 1.5
    assert [e["point"] for e in primary(engine)] == list(range(7, 2 * len(GRID)))
    asked = [e["energy"] for e in primary(engine)]
    expected = np.tile(GRID.energy_ev, 2)[7:] + 1.5
    assert asked == pytest.approx(expected, abs=1e-9)
    assert start["num_points"] == len(asked)


def test_a_hole_is_filled_and_a_continued_run_continued(engine, energy, kept):
    journal, _ = kept
    i0 = Flaky("i0", 1000.0, 1000.0, 0.0, *[1000.0] * 3, *[RuntimeError("gone")])
    with pytest.raises(RuntimeError):
        engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", retakes=0, **SHORT))
    first = journal.path(of(engine.documents, "start")[0]["uid"])
    assert run_summary(first)["missing"] == [[2, 3], [6, len(GRID)]]
    engine.documents.clear()
    i0 = Flaky("i0", 1000.0, 1000.0, 1000.0, RuntimeError("gone"))
    with pytest.raises(RuntimeError):
        engine(xafs_scan([i0, Timed("it")], energy, "Fe-K", retakes=0, resume=str(first)))
    assert [e["point"] for e in primary(engine)] == [2, 6, 7]
    second = journal.path(of(engine.documents, "start")[0]["uid"])
    assert run_summary(second)["missing"] == [[8, len(GRID)]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resume": "no-such.jsonl"}, "which is no file; give a run's journal"),
        ({"resume": {"uid": "x"}}, "a summary that is not understood"),
        ({"resume": 5}, "resume is 5; give the path"),
        ({"min_beam": 5.0}, "min_beam is given without beam"),
        ({"retakes": -1}, "retakes is -1"),
        ({"saturation": {"i9": 1.0}}, "saturation has i9; the detectors give i0, it"),
        ({"target_noise": 1e-3}, "no point has k of 3 or more"),
        ({"along_at": {"gap": {}}}, "along_at has gap; along has no device"),
    ],
)
def test_refusals_of_what_cannot_be(engine, energy, detectors, options, words):
    with pytest.raises(ValueError, match=words):
        engine(xafs_scan(detectors, energy, "Fe-K", **(SHORT | options)))
    assert engine.documents == []


def test_another_grid_cannot_be_continued(engine, energy, detectors, kept):
    journal, _ = kept
    engine(xafs_scan(detectors, energy, "Fe-K", **SHORT))
    path = str(journal.path(of(engine.documents, "start")[0]["uid"]))
    with pytest.raises(ValueError, match="lacks no point"):
        engine(xafs_scan(detectors, energy, "Fe-K", resume=path))
    with pytest.raises(ValueError, match="another grid"):
        engine(xafs_scan(detectors, energy, "Fe-K", resume=path, bounds=[-5, 5], steps=[1]))
    engine(xafs_scan(detectors, energy, "Fe-K", resume=path, repeats=2))
    assert [e["point"] for e in primary(engine)][-1] == 2 * len(GRID) - 1


FAR = {"bounds": [-30, -5, 15, "8k"], "steps": [5, 2, "0.2k"], "times": [0.5, 0.5, 0.5]}


class Chamber(Timed):
    """Counts a spectrum with noise, and knows what a count stands for."""

    def __init__(self, name, energy, level, noise, rng):
        super().__init__(name)
        self.energy, self.level, self.noise, self.rng = energy, level, noise, rng
        self.counting = self.count
        self.gain.name = ev_per_count_key(name)
        self.gain.put(7112.0)  # so that a count is about a photon

    def count(self, dwell_s):
        value = self.level(self.energy.position) * dwell_s
        return value * (1 + self.noise * self.rng.standard_normal())


def foil(energy, noise, photons=1e8):
    rng = np.random.default_rng(5)
    mu = lambda e: 0.5 + (e > 7112.0)  # noqa: E731
    i0 = Chamber("i0", energy, lambda e: photons, 0.0, rng)
    return [i0, Chamber("it", energy, lambda e: photons * np.exp(-mu(e)), noise, rng)]


def merges(engine):
    return [e["data"] for e in of(engine.documents, "event", "merge")]


def test_the_merge_runs_along_with_the_repeats(engine, energy):
    engine(xafs_scan(foil(energy, 1e-3), energy, "Fe-K", repeats=4, **FAR))
    grid = energy_grid("Fe-K", **FAR)
    found = merges(engine)
    assert [max(m["merged_sweeps"]) for m in found] == [1, 2, 3, 4]
    np.testing.assert_array_equal(found[-1]["merged_energy"], grid.energy_ev)
    expected = 0.5 + (grid.energy_ev > 7112.0)
    assert np.std(found[-1]["merged_mu"] - expected) < 0.8e-3
    # The scatter of four sweeps tells the noise that was put in: 1e-3 / sqrt(4).
    errors = np.sqrt(np.mean(np.square(found[-1]["merged_mu_errors"])))
    assert errors == pytest.approx(0.5e-3, rel=0.25)
    k = grid.k_inv_angstrom[grid.k_inv_angstrom >= 3]
    weighted = 0.5e-3 * np.sqrt(np.mean(k**4))
    assert found[-1]["merged_noise"] == pytest.approx(weighted, rel=0.25)


def test_repeats_end_when_the_noise_is_low_enough(engine, energy):
    engine(xafs_scan(foil(energy, 1e-3), energy, "Fe-K", repeats=30, target_noise=0.012, **FAR))
    noises = [m["merged_noise"] for m in merges(engine)]
    assert 2 < len(noises) < 30
    assert noises[-1] <= 0.012 < min(noises[1:-1])


def test_counting_statistics_alone_can_be_good_enough(engine, energy):
    engine(xafs_scan(foil(energy, 0.0), energy, "Fe-K", repeats=5, target_noise=0.1, **FAR))
    (only,) = merges(engine)
    assert 0 < only["merged_noise"] <= 0.1


def test_devices_move_along_with_the_energy(engine, energy, detectors):
    gap, harmonic = SynAxis(name="gap"), SynAxis(name="harmonic")
    table = {"energies": [7000.0, 7200.0], "positions": [10.0, 12.0]}
    engine(
        xafs_scan(detectors, energy, "Fe-K", e0_shift=2.0, along=[gap, harmonic],
                  along_at={"gap": {"scale": 0.001, "offset": 0.02}, "harmonic": table}, **SHORT)
    )  # fmt: skip
    for event, true in zip(primary(engine), GRID.energy_ev, strict=True):
        assert event["energy"] == pytest.approx(true + 2.0)
        assert event["gap"] == pytest.approx(0.001 * true + 0.02)
        assert event["harmonic"] == pytest.approx(10 + 0.01 * (true - 7000))


def test_a_table_that_is_too_short_is_refused(engine, energy, detectors):
    gap = SynAxis(name="gap")
    table = {"gap": {"energies": [7000.0, 7110.0], "positions": [10.0, 12.0]}}
    with pytest.raises(ValueError, match=r"table of gap goes from 7000\.0 to 7110\.0 eV"):
        engine(xafs_scan(detectors, energy, "Fe-K", along=[gap], along_at=table, **SHORT))
    assert engine.documents == []


def test_of_several_axes_the_one_that_is_late_is_named(engine, energy, detectors, impatient):
    with pytest.raises(DeviceError, match=r"^slow did not go to 7102\.0 within"):
        engine(xafs_scan(detectors, energy, "Fe-K", along=[Stuck()], **SHORT))


def test_the_dark_current_comes_before_the_beam(engine, energy, gate):
    i0, it = (Timed(n, lambda dwell_s: dwell_s * (5 + 95 * (gate.get() == "open"))) for n in "ab")
    roles = {"i0": "a", "itrans": "b"}
    for _ in range(2):
        engine(xafs_scan([i0, it], energy, "Fe-K", roles=roles, shutter=gate, dark_max_age=600.0,
                         **SHORT))  # fmt: skip
    assert [e["data"]["a_dark"] for e in of(engine.documents, "event", "dark")] == [5.0, 5.0]
    assert gate.history == ["close", "open", "close", "open", "close"]
    assert {e["a"] / e["dwell_time"] for e in primary(engine)} == {100.0}


def test_a_pause_while_a_point_is_read_costs_no_point(engine, energy):
    class Interrupting(Timed):
        readings = 0

        def read(self):
            self.readings += 1
            if self.readings == 4:
                engine.request_pause(False)
            return super().read()

    with pytest.raises(RunEngineInterrupted):
        engine(xafs_scan([Interrupting("i0"), Timed("it")], energy, "Fe-K", **SHORT))
    engine.resume()
    assert good_points(engine) == list(range(len(GRID)))


def test_signals_need_no_thread_that_lives_on(engine, energy, detectors):
    before = threading.active_count()
    engine(xafs_scan(detectors, energy, "Fe-K", **SHORT))
    assert threading.active_count() <= before + 1
