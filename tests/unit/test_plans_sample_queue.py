"""The queue over devices in memory: order, checks, what is kept, and how it goes on."""

import json
from itertools import count

import pytest
from bluesky import plan_stubs as bps
from bluesky.preprocessors import plan_mutator
from bluesky.simulators import RunEngineSimulator
from bluesky.utils import RunEngineInterrupted
from ophyd import Component as Cpt
from ophyd import Device
from ophyd.sim import SynAxis

from beamline_ophyd.callbacks import Journal
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import DeviceError, QueueError, run_summary, sample_queue
from beamline_ophyd.queue_log import QueueLog
from beamline_ophyd.sheet import SheetError, read_sheet

from ..runs import of
from .doubles import Timed, done

PRESETS = "short: {bounds: [-10, 10], steps: [5], times: [0.1]}\n"
SHEET = """\
sample,place,edge,regions,repeats,comment
iron,left,Fe-K,short,2,
copper,right,Cu-K,short,1,thin
nickel,left,Ni-K,short,1,
"""
POINTS = 5


class Stage(Device):
    """A stage that knows two places and remembers where it went."""

    x = Cpt(SynAxis)
    y = Cpt(SynAxis)

    def __init__(self, name):
        super().__init__("", name=name)
        self.history = []

    def check_value(self, place):
        if place not in ("left", "right"):
            raise ValueError(f"{self.name} has no sample {place!r}; the holder has left, right")

    def set(self, place):
        self.history.append(place)
        return done(self)


@pytest.fixture
def stage():
    return Stage("stage")


@pytest.fixture
def run(engine, energy, detectors, stage, tmp_path):
    """Run a sheet: run(text, **options)."""
    (tmp_path / "presets.yaml").write_text(PRESETS)
    journal = Journal(tmp_path / "journal")
    engine.subscribe(journal)

    def go(text=SHEET, around=lambda plan: plan, **options):
        sheet = tmp_path / "foils.csv"
        sheet.write_text(text)
        given = {"stage": stage, "presets": str(tmp_path / "presets.yaml"), **options}
        return engine(around(sample_queue(str(sheet), detectors, energy, **given)))

    yield go
    journal.close()


@pytest.fixture
def report(tmp_path):
    def now():
        sheet = read_sheet(tmp_path / "foils.csv", tmp_path / "presets.yaml")
        return QueueLog.beside(tmp_path / "foils.csv").report(sheet)

    return now


def samples(engine):
    return [start["Sample"]["name"] for start in of(engine.documents, "start")]


def test_the_rows_are_measured_in_order(run, engine, stage, gate, report):
    uids = run(shutter=gate, md={"Sample": {"owner": "us"}})
    assert samples(engine) == ["iron", "copper", "nickel"]
    assert stage.history == ["left", "right", "left"]
    assert gate.history == ["open", "close"] * 3
    starts = of(engine.documents, "start")
    assert [start["num_points"] for start in starts] == [2 * POINTS, POINTS, POINTS]
    assert starts[1]["comment"] == "thin"
    assert starts[1]["Sample"] == {"owner": "us", "name": "copper"}
    row = starts[1]["queue"]
    assert (row["sheet"], row["row"], row["place"]) == ("foils.csv", 3, "right")
    found = report()
    assert [row.status for row in found.rows] == ["done"] * 3
    assert [row.runs[0] for row in found.rows] == list(uids)
    assert found.finished
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["sample"] == "iron"
    assert "3 of 3 rows" in str(found)


def test_coordinates_instead_of_places(run, engine, stage):
    run("sample,x,y,edge,regions\niron,1.5,-2,Fe-K,short\n")
    assert (stage.x.position, stage.y.position) == (1.5, -2.0)
    assert stage.history == []


def test_what_is_done_is_not_measured_again_unless_asked_for(run, engine):
    run()
    assert run() == ()
    assert len(run(SHEET.replace("iron", "zinc,left,Zn-K,short,1,\niron"))) == 1
    assert len(run(rows=[3])) == 1  # of the sheet as it was before: copper
    assert samples(engine)[-2:] == ["zinc", "copper"]
    assert len(run(again=True)) == 3


def test_the_whole_sheet_is_checked_before_anything_moves(run, engine, energy, stage, report):
    energy.limits = (7000, 9000)
    before = energy.position
    with pytest.raises(SheetError) as refusal:
        run("""\
sample,place,x,y,edge,regions,mode,repeats
iron,left,,,Fe-K,short,,1
gold,middle,,,Fe-K,short,,1
lead,left,,,Pb-L3,short,,1
tin,left,,,Fe-K,short,fluorescence,1
zinc,left,,,Fe-K,short,,none
lost,,,,Fe-K,short,,1
""")
    assert [(p.row, p.column) for p in refusal.value.problems] == [
        (3, "place"), (4, "regions"), (5, "mode"), (6, "repeats"), (7, "place"),
    ]  # fmt: skip
    assert "column regions: region 1 reaches 13025.0 eV, outside" in str(refusal.value)
    assert "column mode: no detector is known as ifluor" in str(refusal.value)
    assert of(engine.documents, "start") == []
    assert (energy.position, stage.history) == (before, [])
    assert not QueueLog.beside(refusal.value.args[0].split(" has ")[0]).path.exists()


def test_only_checking_moves_nothing(run, engine, stage, tmp_path):
    assert run(check_only=True) == ()
    assert stage.history == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["foils.csv", "presets.yaml"]


def test_looking_at_the_plan_leaves_no_trace(energy, detectors, stage, tmp_path):
    (tmp_path / "presets.yaml").write_text(PRESETS)
    sheet = tmp_path / "foils.csv"
    sheet.write_text(SHEET)
    given = {"stage": stage, "presets": str(tmp_path / "presets.yaml")}
    messages = RunEngineSimulator().simulate_plan(
        sample_queue(str(sheet), detectors, energy, **given)
    )
    opened = [m.kwargs["Sample"]["name"] for m in messages if m.command == "open_run"]
    assert opened == ["iron", "copper", "nickel"]
    assert not QueueLog.beside(sheet).path.exists()


class Breaking(SynAxis):
    """An energy axis that cannot go to one energy until it is mended."""

    broken_at = 0.0

    def set(self, value):
        if value == self.broken_at:
            raise RuntimeError("the chain is off")
        return super().set(value)


@pytest.fixture
def energy():
    return Breaking(name="energy")


@pytest.mark.parametrize("with_journals", [True, False])
def test_a_row_that_failed_goes_on_where_it_stopped(
    run, engine, energy, report, tmp_path, with_journals
):
    grid = energy_grid("Cu-K", bounds=[-10, 10], steps=[5], times=[0.1]).energy_ev.tolist()
    energy.broken_at = grid[2]
    with pytest.raises(RuntimeError, match="the chain is off"):
        run()
    assert [row.status for row in report().rows] == ["done", "failed", "waiting"]
    assert "the chain is off" in report().rows[1].reason
    assert not report().finished
    energy.broken_at = 0.0
    journals = {"journals": str(tmp_path / "journal")} if with_journals else {}
    uids = run(**journals)
    assert [row.status for row in report().rows] == ["done"] * 3
    assert len(uids) == 2
    starts = of(engine.documents, "start")
    assert starts[2]["xafs"]["continues"] == (starts[1]["uid"] if with_journals else None)
    energies = [event["data"]["energy"] for event in of(engine.documents, "event", "primary")]
    copper = [energy for energy in energies if energy > 8900]
    assert copper == (grid if with_journals else grid[:2] + grid)


def test_a_queue_that_was_killed_goes_on(run, report, engine, tmp_path):
    """Killed after a run's last point, and before the log said so."""
    run()
    log = QueueLog.beside(tmp_path / "foils.csv").path
    lines = log.read_text().splitlines()
    assert [bool("status" in line) for line in lines] == [False, True] * 3
    log.write_text("\n".join(lines[:5]) + "\n" + lines[5][:20])
    assert [row.status for row in report().rows] == ["done", "done", "interrupted"]
    assert run(journals=str(tmp_path / "journal")) == ()
    assert [row.status for row in report().rows] == ["done"] * 3
    assert samples(engine) == ["iron", "copper", "nickel"]


def test_the_others_go_on_when_told_so(run, energy, report):
    energy.broken_at = 7112.0
    with pytest.raises(QueueError, match=r"1 of 3 rows .*\n  row 2 \(iron\): .*chain is off"):
        run(keep_going=True)
    assert [row.status for row in report().rows] == ["failed", "done", "done"]


@pytest.mark.parametrize(
    ("end", "status"), [("resume", "done"), ("abort", "aborted"), ("stop", "stopped"),
                        ("halt", "aborted")],
)  # fmt: skip
def test_how_an_interrupted_row_ended_is_kept(run, engine, report, tmp_path, end, status):
    saves = count(1)

    def pause_at_the_third(msg):
        if msg.command == "save" and next(saves) == 3:
            return None, bps.pause()
        return None, None

    with pytest.raises(RunEngineInterrupted):
        run(around=lambda plan: plan_mutator(plan, pause_at_the_third))
    assert [row.status for row in report().rows] == ["interrupted", "waiting", "waiting"]
    getattr(engine, end)()
    assert report().rows[0].status == status
    if end == "resume":
        assert report().finished
        return
    first = report().rows[0].runs[0]
    assert run_summary(tmp_path / "journal" / f"{first}.jsonl")["missing"] == [[3, 2 * POINTS]]
    run(journals=str(tmp_path / "journal"))
    assert report().finished
    assert len(report().rows[0].runs) == 2


def test_a_move_that_fails_is_the_rows_failure(run, stage, report):
    def stuck(place):
        raise RuntimeError("no compressed air")

    stage.set = stuck
    with pytest.raises(RuntimeError, match="no compressed air"):
        run()
    assert report().rows[0].status == "failed"


def test_two_at_once_are_refused(run, tmp_path):
    with (
        QueueLog.beside(tmp_path / "foils.csv").held(),
        pytest.raises(ValueError, match="is being run by another program"),
    ):
        run()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": [2, 9]}, r"rows has 9; .* has rows 2, 3, 4"),
        ({"options": {"repeats": 3}}, "options has repeats, which the rows"),
        ({"stage": None}, "'left' needs a stage that knows places"),
        ({"state": "/proc/none"}, "log /proc/none cannot be written"),
        ({"x": 5}, "x is 5, which cannot be set and read"),
    ],
)
def test_refusals(run, options, words):
    with pytest.raises(ValueError, match=words):
        run(**options)


def test_rows_are_left_out_or_measured_where_the_beam_is(run, engine, report):
    run("sample,edge,regions,skip\na,Fe-K,short,yes\nb,Fe-K,short,\n", stage=None)
    assert samples(engine) == ["b"]
    assert [row.status for row in report().rows] == ["skipped", "done"]


def test_a_device_error_names_the_device(run, detectors, impatient):
    class Dead(Timed):
        def trigger(self):
            from ophyd.status import Status

            return Status(self)

    detectors[1] = Dead("it")
    with pytest.raises(DeviceError, match="it did not count"):
        run()
