import os
import subprocess
import sys
import threading
import time

import pytest

from beamline_ophyd.callbacks._worker import GATHERED_POINTS, DocumentWorker

DEADLINE_S = 60.0


@pytest.fixture
def make_worker():
    made = []

    def make(handle, **options):
        made.append(DocumentWorker(handle, name="under test", **options))
        return made[-1]

    yield make
    for worker in made:
        assert worker.close(DEADLINE_S)


def event(n, descriptor="d"):
    return {"descriptor": descriptor, "seq_num": n, "uid": f"e{n}"}


def test_documents_come_in_order_on_one_other_thread(make_worker):
    seen = []
    worker = make_worker(lambda name, doc: seen.append((doc["seq_num"], threading.get_ident())))
    for n in range(1000):
        worker.put("event", event(n))
    assert worker.wait(DEADLINE_S)
    assert [n for n, _ in seen] == list(range(1000))
    threads = {thread for _, thread in seen}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_no_thread_before_the_first_document(make_worker):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "under test"]

    worker = make_worker(lambda name, doc: None)
    assert threads() == []
    worker.put("event", event(1))
    assert len(threads()) == 1


def test_reports_of_one_thread_and_forgetting_of_another_exclude_each_other(make_worker):
    class Guarded(set):
        def add(self, item):
            assert worker._cond._is_owned()
            super().add(item)

    worker = make_worker(lambda name, doc: None)
    worker._reported = Guarded()
    worker.report("r", "trouble")
    worker.report("r", "trouble")
    assert [p.message for p in worker.problems] == ["trouble"]
    worker.forget("r")
    worker.report("r", "trouble")
    assert len(worker.problems) == 2


def test_exceptions_are_kept_and_later_documents_still_handled(make_worker, caplog):
    seen = []

    def handle(name, doc):
        if name == "event":
            raise ValueError("no such place")
        seen.append(name)

    worker = make_worker(handle)
    worker.put("start", {"uid": "r"})
    worker.put("descriptor", {"uid": "d", "run_start": "r"})
    for n in range(5):
        worker.put("event", event(n))
    worker.put("stop", {"run_start": "r"})
    assert worker.wait(DEADLINE_S)
    assert seen == ["start", "descriptor", "stop"]
    assert [(p.where, "no such place" in p.message) for p in worker.problems] == [("r", True)]
    assert len([r for r in caplog.records if "no such place" in r.getMessage()]) == 1


def test_a_document_that_is_no_document_is_reported_not_raised(make_worker):
    worker = make_worker(lambda name, doc: None)
    worker.put("start", {})
    worker.put("event", None)
    assert len(worker.problems) == 2


def test_full_queue_drops_points_marks_the_run_and_keeps_the_frame(make_worker):
    release = threading.Event()
    entered = threading.Event()
    seen = []

    def handle(name, doc):
        entered.set()
        assert release.wait(DEADLINE_S)
        seen.append((name, doc.get("seq_num")))

    worker = make_worker(handle, capacity=3)
    worker.put("start", {"uid": "r"})
    worker.put("descriptor", {"uid": "d", "run_start": "r"})
    assert entered.wait(DEADLINE_S)
    for n in range(10):
        worker.put("event", event(n))
    worker.put("stop", {"run_start": "r"})
    assert seen == []  # nobody has waited for the handler, which is still held
    release.set()
    assert worker.wait(DEADLINE_S)
    assert [n for name, n in seen if name == "event"] == [0, 1, 2]
    assert [name for name, _ in seen if name != "event"] == ["start", "descriptor", "stop"]
    assert worker.has_gap("r")
    assert not worker.has_gap("other")
    assert len(worker.problems) == 1
    worker.forget("r")
    assert not worker.has_gap("r")


def test_rows_of_a_page_count_but_one_page_always_fits(make_worker):
    release = threading.Event()
    pages = []

    def handle(name, doc):
        assert release.wait(DEADLINE_S)
        pages.append(len(doc["seq_num"]))

    worker = make_worker(handle, capacity=10)
    for rows in (50, 5, 5):
        worker.put("event_page", {"descriptor": "d", "seq_num": list(range(rows))})
    release.set()
    assert worker.wait(DEADLINE_S)
    assert pages[0] == 50
    assert worker.has_gap("")


@pytest.fixture
def gathering(make_worker):
    """A worker that gathers for very long, what it handled, and whether that is so many."""

    def make(wanted):
        seen, enough = [], threading.Event()

        def handle(name, doc):
            seen.append(name)
            if len(seen) == wanted:
                enough.set()

        return make_worker(handle, gather=1000.0), seen, enough

    return make


def test_points_are_gathered_until_a_document_frames_the_run(gathering):
    worker, seen, enough = gathering(6)
    for n in range(5):
        worker.put("event", event(n))
    assert worker._until_due() > 900.0  # nobody wakes the thread before
    assert seen == []
    worker.put("stop", {"run_start": "r"})
    assert enough.wait(DEADLINE_S)
    assert seen == ["event"] * 5 + ["stop"]


def test_many_points_are_gathered_no_longer(gathering):
    worker, _, enough = gathering(GATHERED_POINTS)
    for n in range(GATHERED_POINTS):
        worker.put("event", event(n))
    assert enough.wait(DEADLINE_S)


def test_points_that_are_waited_for_are_gathered_no_longer(gathering):
    worker, seen, _ = gathering(3)
    for n in range(3):
        worker.put("event", event(n))
    assert worker.wait(DEADLINE_S)
    assert len(seen) == 3


def test_age_of_gathered_points_counts_from_their_coming(make_worker):
    handled = []
    worker = make_worker(
        lambda name, doc: handled.append(time.monotonic()),
        tick=lambda: None,
        tick_interval=1000.0,
        gather=0.5,
    )
    worker.put("event", event(1))
    with worker._cond:
        assert worker._cond.wait_for(lambda: worker._tick_due is not None, DEADLINE_S)
        # The half second for which the point was gathered is part of its age, and no more than it
        # however late the thread came to it.
        assert handled[0] + 999.5 <= worker._tick_due <= time.monotonic() + 999.5
    assert worker.wait(DEADLINE_S)


def test_tick_follows_within_the_interval_without_further_documents(make_worker):
    ticked = threading.Event()
    worker = make_worker(lambda name, doc: None, tick=ticked.set, tick_interval=0.01)
    worker.put("event", event(1))
    assert ticked.wait(DEADLINE_S)


def test_tick_comes_by_age_while_documents_keep_coming(make_worker):
    ticks = []
    enough = threading.Event()

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) >= 3:
            enough.set()

    worker = make_worker(lambda name, doc: None, tick=tick, tick_interval=0.02)
    deadline = time.monotonic() + DEADLINE_S
    n = 0
    while not enough.is_set() and time.monotonic() < deadline:
        worker.put("event", event(n))
        n += 1
    assert enough.is_set()
    assert n > 10


def test_wait_ticks_at_once_and_lasts_until_the_tick_is_content(make_worker):
    calls = []

    def tick():
        calls.append(time.monotonic())
        return 0.01 if len(calls) < 3 else None

    worker = make_worker(lambda name, doc: None, tick=tick, tick_interval=1000.0)
    worker.put("event", event(1))
    assert worker.wait(DEADLINE_S)
    assert len(calls) == 3


def test_wait_gives_up_at_its_deadline(make_worker):
    release = threading.Event()
    worker = make_worker(lambda name, doc: release.wait(DEADLINE_S))
    worker.put("event", event(1))
    assert not worker.wait(0.01)
    release.set()
    assert worker.wait(DEADLINE_S)


def test_closed_worker_refuses_without_raising(make_worker):
    seen = []
    worker = make_worker(lambda name, doc: seen.append(name))
    worker.put("event", event(1))
    assert worker.close(DEADLINE_S)
    worker.put("event", event(2))
    assert seen == ["event"]
    assert "closed" in worker.problems[0].message


def test_forked_child_is_left_alone(make_worker):
    seen = []
    worker = make_worker(lambda name, doc: seen.append(name))
    worker.put("event", event(1))
    assert worker.wait(DEADLINE_S)
    child = os.fork()
    if child == 0:
        worker.put("event", event(2))
        ignored = (
            "forked child" in str(worker.problems[0]) and not worker.wait(1) and len(seen) == 1
        )
        os._exit(0 if ignored else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.put("event", event(3))
    assert worker.wait(DEADLINE_S)
    assert not worker.problems


def test_queued_documents_survive_the_end_of_the_interpreter(tmp_path):
    out = tmp_path / "seen"
    code = f"""
import threading
from beamline_ophyd.callbacks._worker import GATHERED_POINTS, DocumentWorker
out = open({str(out)!r}, "w")
main_ended = threading.main_thread().join
def handle(name, doc):
    main_ended(timeout=30)
    print(doc["seq_num"], file=out, flush=True)
worker = DocumentWorker(handle, name="w")
for n in range(100):
    worker.put("event", {{"descriptor": "d", "seq_num": n}})
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=150)
    assert out.read_text().split() == [str(n) for n in range(100)]
