"""One writer at one task, in a process of its own; started by writers.py.

    python contender.py CASE NAME FOLDER

Runs in this project's environment and in that of apstools alike, so it loads only what the
contender needs. Prints one JSON object.
"""

import json
import os
import resource
import sys
import threading
import time
from collections import deque
from pathlib import Path

POINTS, CHANNELS = 1000, 6
SPECTRA, SPECTRUM_POINTS = 100, 2000
DEADLINE_S = 600.0
MAPPING = {"energy": "energy", "i0": "ch1", "itrans": "ch2"}
KEYS = ["energy", "energy_setpoint", *(f"ch{n}" for n in range(1, CHANNELS + 1))]
PAIRS = 4


class Nothing:
    """The RunEngine, or whoever makes documents, alone."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name, doc):
        pass

    def finish(self):
        pass


class JSONLines(Nothing):
    """bluesky's JSONLinesWriter."""

    def __init__(self, folder):
        from bluesky.callbacks.json_writer import JSONLinesWriter

        self.writer = JSONLinesWriter(str(folder))

    def __call__(self, name, doc):
        self.writer(name, doc)


class AppendLoop(Nothing):
    """What one writes by hand: a dataset a column, one row longer with every event."""

    flushes = False

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name, doc):
        import h5py

        if name == "start":
            self.file = h5py.File(self.folder / f"{doc['uid']}.h5", "w")
            self.sets = {
                key: self.file.create_dataset(key, (0,), "f8", maxshape=(None,), chunks=(1024,))
                for key in KEYS
            }
        elif name == "event":
            for key, value in doc["data"].items():
                dataset = self.sets[key]
                row = len(dataset)
                dataset.resize((row + 1,))
                dataset[row] = value
            if self.flushes:
                self.file.flush()
        elif name == "event_page":
            for key, values in doc["data"].items():
                dataset = self.sets[key]
                row = len(dataset)
                dataset.resize((row + len(values),))
                dataset[row:] = values
        elif name == "stop":
            self.file.close()


class FlushedAppendLoop(AppendLoop):
    """The same, with every event visible at once."""

    flushes = True


class WholeAppendLoop(AppendLoop):
    """Written by hand too, but all that a file of NXxasWriter keeps of a run of pages.

    Time stamps, uids, documents, and the spectrum, synced to the disk as it ends.
    """

    def __call__(self, name, doc):
        import h5py
        import numpy as np

        if name != "stop":
            super().__call__(name, doc)
        if name == "event_page":
            for key, values in doc["timestamps"].items():
                self.file[f"timestamps/{key}"] = values
            for key in ("seq_num", "time"):
                self.file[key] = doc[key]
            self.file.create_dataset("uid", data=doc["uid"], dtype=h5py.string_dtype())
            i0, itrans = (np.asarray(doc["data"][MAPPING[role]]) for role in ("i0", "itrans"))
            entry = {"energy": doc["data"]["energy"], "i0": i0, "itrans": itrans}
            for key, values in {**entry, "intensity": np.log(i0 / itrans)}.items():
                self.file[f"entry/{key}"] = values
        else:
            self.file[f"documents/{name}"] = json.dumps(doc)
        if name == "stop":
            path = Path(self.file.filename)
            self.file.close()
            with path.open("rb") as file:
                os.fsync(file.fileno())


class Own(Nothing):
    """Writers of this project."""

    names = ()

    def __init__(self, folder):
        from beamline_ophyd import callbacks

        self.writers = []
        for name in self.names:
            options = {"journal": {}, "nexus": {"mapping": MAPPING}, "xdi": {"mapping": MAPPING}}
            options["xdi"]["metadata"] = {
                "Element": {"symbol": "Fe", "edge": "K"},
                "Mono": {"d_spacing": 3.1356},
            }
            kind = {"journal": "Journal", "nexus": "NXxasWriter", "xdi": "XDIWriter"}[name]
            self.writers.append(getattr(callbacks, kind)(folder, **options[name]))

    def __call__(self, name, doc):
        for writer in self.writers:
            writer(name, doc)

    def finish(self):
        for writer in self.writers:
            if hasattr(writer, "wait") and not writer.wait(DEADLINE_S):
                raise RuntimeError(f"{writer} did not end: {writer.problems}")
            if writer.problems:
                raise RuntimeError(str(writer.problems[0]))


class Journal(Own):
    """The journal alone."""

    names = ("journal",)


class NXxas(Own):
    """The NXxas writer alone."""

    names = ("nexus",)


class JournalAndNXxas(Own):
    """Both, as a session has them."""

    names = ("journal", "nexus")


class XDI(Own):
    """The XDI writer alone."""

    names = ("xdi",)


class Apstools(Nothing):
    """NXWriter of apstools, which writes at the stop document, on a thread."""

    def __init__(self, folder):
        from apstools.callbacks.nexus_writer import (  # pyright: ignore[reportMissingImports]
            NXWriter,
        )

        self.folder = folder
        self.writer = NXWriter()
        self.writer.warn_on_missing_content = False

    def __call__(self, name, doc):
        if name == "start":
            self.writer.file_name = self.folder / f"{doc['uid']}.hdf"
        before = set(threading.enumerate())
        self.writer.receiver(name, doc)
        for thread in set(threading.enumerate()) - before:  # which the writer started
            thread.join(DEADLINE_S)
            if thread.is_alive():
                raise RuntimeError("NXWriter did not end")


CONTENDERS = {
    "alone": Nothing,
    "JSONLinesWriter": JSONLines,
    "h5py append": AppendLoop,
    "h5py append, flushed": FlushedAppendLoop,
    "h5py append, all": WholeAppendLoop,
    "Journal": Journal,
    "NXxasWriter": NXxas,
    "Journal + NXxasWriter": JournalAndNXxas,
    "XDIWriter": XDI,
    "apstools NXWriter": Apstools,
}


def scan(writer, folder, setting):
    """Scans under the RunEngine, each in turn without and with the writer.

    Seconds of each, by the clock until the RunEngine is done and of the processor until the file
    is; growth of memory, and bytes of the files of one scan. The order changes from pair to pair.
    """
    engine, plan = setting()
    engine(plan(50), writer)
    writer.finish()
    before, held, written = used_mb(), 0, 0
    seconds = {"without": [], "with": []}
    for pair in range(PAIRS):
        for kind in ("without", "with") if pair % 2 else ("with", "without"):
            held = size_of(folder) if kind == "with" else held
            began, worked = time.perf_counter(), time.process_time()
            engine(plan(POINTS), *([writer] if kind == "with" else []))
            took = time.perf_counter() - began
            if kind == "with":
                writer.finish()
                written = size_of(folder) - held
            seconds[kind].append((took, time.process_time() - worked))
    return {"seconds": seconds, "mb": used_mb() - before, "bytes": written}


def visibility(writer, folder):
    """One scan while another process looks at the file; the time of every event."""
    engine, plan = list_scan()
    times = []

    def tell(name, doc):
        if name == "event":
            times.append(time.time())
        writer(name, doc)

    engine(plan(POINTS), tell)
    writer.finish()
    return {"times": times}


def list_scan():
    """A RunEngine, and a plan of some points that gives eight columns."""
    import numpy as np
    from bluesky import RunEngine
    from bluesky import plans as bp
    from ophyd import Signal
    from ophyd.sim import SynAxis

    energy = SynAxis(name="energy")
    signals = [Signal(name=key, value=1.0 + n) for n, key in enumerate(KEYS[2:])]
    return RunEngine({}), lambda points: bp.list_scan(
        signals, energy, np.linspace(7000, 8000, points).tolist()
    )


def xafs_scan():
    """The same with this project's plan for an absorption spectrum, which costs a third of it."""
    from bluesky import RunEngine
    from ophyd import Device, Signal
    from ophyd.sim import SynAxis
    from ophyd.status import Status

    from beamline_ophyd import plans

    class Detector(Device):
        """Counts at once."""

        def __init__(self, name):
            super().__init__("", name=name)
            self.preset_time = Signal(name=f"{name}_time", value=0.0)

        def trigger(self):
            status = Status(self)
            status.set_finished()
            return status

        def read(self):
            return {self.name: {"value": 1.0, "timestamp": time.time()}}

        def describe(self):
            return {self.name: {"source": "x", "dtype": "number", "shape": []}}

        @property
        def hints(self):
            return {"fields": [self.name]}

    energy = SynAxis(name="energy")
    detectors = [Detector(name) for name in ("I0", "It", "Ir", "If")]
    return RunEngine({}, context_managers=[]), lambda points: plans.xafs_scan(
        detectors, energy, "Fe-K", bounds=[-100, points - 101], steps=[1.0], times=[1.0]
    )


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def spectra(writer, folder, *, pages):
    """Spectra one after the other, as fast as they are taken; all documents are made before."""
    documents = deque(
        item for number in range(SPECTRA) for item in spectrum_documents(number, pages=pages)
    )
    began = time.perf_counter()
    while documents:
        writer(*documents.popleft())
    writer.finish()
    return {"seconds": time.perf_counter() - began, "bytes": size_of(folder)}


def memory(writer, *, pages):
    """The same with documents that are made as they are written, for what they hold in memory."""
    before = used_mb()
    for number in range(SPECTRA):
        for item in spectrum_documents(number, pages=pages):
            writer(*item)
    writer.finish()
    return {"mb": used_mb() - before}


def spectrum_documents(number, *, pages):
    """The documents of one spectrum, as events or as one page."""
    import numpy as np

    random = np.random.default_rng(number)
    uid = f"0000{number:04d}-0000-4000-8000-000000000000"
    energy = np.linspace(7000.0, 8000.0, SPECTRUM_POINTS)
    columns = {key: random.normal(1e6, 1e3, SPECTRUM_POINTS) for key in KEYS[2:]}
    columns = {"energy": energy, "energy_setpoint": energy, **columns}
    began = 1.76e9 + number
    yield (
        "start",
        {
            "uid": uid,
            "time": began,
            "scan_id": number + 1,
            "plan_name": "list_scan",
            "plan_type": "generator",
            "detectors": KEYS[2:],
            "motors": ["energy"],
            "num_points": SPECTRUM_POINTS,
            "hints": {"dimensions": [[["energy"], "primary"]]},
        },
    )
    keys = {
        key: {"source": "x", "dtype": "number", "shape": [], "object_name": key, "units": ""}
        for key in KEYS
    }
    yield (
        "descriptor",
        {
            "uid": f"{uid}-d",
            "run_start": uid,
            "time": began,
            "name": "primary",
            "data_keys": keys,
            "object_keys": {key: [key] for key in KEYS},
            "configuration": {key: {"data": {}, "data_keys": {}, "timestamps": {}} for key in KEYS},
            "hints": {key: {"fields": [key]} for key in KEYS},
        },
    )
    stamps = [began + 0.001 * row for row in range(SPECTRUM_POINTS)]
    if pages:
        yield (
            "event_page",
            {
                "descriptor": f"{uid}-d",
                "seq_num": list(range(1, SPECTRUM_POINTS + 1)),
                "time": stamps,
                "uid": [f"{uid}-{row}" for row in range(SPECTRUM_POINTS)],
                "data": {key: values.tolist() for key, values in columns.items()},
                "timestamps": dict.fromkeys(KEYS, stamps),
                "filled": {},
            },
        )
    else:
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        for row, values in enumerate(rows):
            yield (
                "event",
                {
                    "descriptor": f"{uid}-d",
                    "seq_num": row + 1,
                    "time": stamps[row],
                    "uid": f"{uid}-{row}",
                    "data": dict(zip(KEYS, values, strict=True)),
                    "timestamps": dict.fromkeys(KEYS, stamps[row]),
                    "filled": {},
                },
            )
    yield (
        "stop",
        {
            "uid": f"{uid}-s",
            "run_start": uid,
            "time": began + 2,
            "exit_status": "success",
            "reason": "",
            "num_events": {"primary": SPECTRUM_POINTS},
        },
    )


def used_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    case, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    failed = []
    threading.excepthook = lambda failure: failed.append(repr(failure.exc_value))
    writer = CONTENDERS[name](folder)
    if case == "scan":
        result = scan(writer, folder, list_scan)
    elif case == "xafs_scan":
        result = scan(writer, folder, xafs_scan)
    elif case == "visibility":
        result = visibility(writer, folder)
    elif case.endswith("memory"):
        result = memory(writer, pages=case.startswith("pages"))
    else:
        result = spectra(writer, folder, pages=case == "pages")
    if failed:
        sys.exit(f"{len(failed)} threads failed, first: {failed[0]}")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
