"""Runs as documents, as a plan with this project's contract emits them."""

import numpy as np

CHANNELS = {"i0": "I0", "itrans": "It", "ifluor": "If", "irefer": "Ir"}
BEGAN = 1_760_000_000.25
MCA_CHANNELS = 16
MCA_SETTINGS = {
    "mca_rois_roi0_lo_chan": 3,
    "mca_rois_roi0_hi_chan": 9,
    "mca_rois_roi0_label": "Fe Ka",
    "mca_roi1_min_x": 10,
    "mca_roi1_size_x": 5,
    "mca_preset_real": 1.0,
}


def make_xafs_documents(
    points=12,
    repeats=1,
    *,
    taken=None,
    mode="transmission",
    uid="6f2d9b1e-0000-4000-8000-000000000001",
    seed=1,
    columns=None,
    ev_per_count=2.5e6,
    exit_status="success",
    reason="",
    start=None,
    contract=True,
):
    """The documents of an absorption scan, as a plan with this project's contract emits them.

    `columns` (role to values) replaces the made-up readings; `taken` events come before
    the stop document (None as exit_status: there is none).
    """
    rng = np.random.default_rng(seed)
    total = points * repeats
    if columns is None:
        energy = np.tile(np.linspace(7000.0, 7200.0, points), repeats)
        mu = 0.5 + 1.4 / (1 + np.exp(-(energy - 7112.0) / 2))
        i0 = rng.normal(1e6, 1e3, total)
        signal = {"itrans": i0 * np.exp(-mu), "irefer": i0 * np.exp(-2 * mu)}
        if mode != "transmission":
            signal = {"ifluor": 0.01 * i0 * mu}
        columns = {"energy": energy + rng.normal(0, 0.01, total), "i0": i0, **signal}
    columns = {**columns, "dwell": np.full(total, 0.5)}
    keys = {"energy": "mono_energy", "dwell": "dwell_time", **CHANNELS}
    roles = {role: keys[role] for role in columns}
    start = _start(uid, total) | (start or {})
    if contract:
        start["xafs"] = {
            "version": 1,
            "mode": mode,
            "roles": roles,
            "e0_ev": 7112.0,
            "e0_shift_ev": 0.5,
            "k_constant_ev_a2": 3.80998211,
            "points_per_sweep": points,
            "repeats": repeats,
        }
    events = []
    for row in range(total if taken is None else taken):
        when = BEGAN + 0.6 * (row + 1)
        event = {
            "uid": f"{uid}-e{row}",
            "descriptor": f"{uid}-d",
            "seq_num": row + 1,
            "time": when,
            "data": {key: float(columns[role][row]) for role, key in roles.items()},
            "timestamps": dict.fromkeys(roles.values(), when - 0.1),
            "filled": {},
        }
        events.append(("event", event))
    stop = {
        "uid": f"{uid}-s",
        "run_start": uid,
        "time": BEGAN + 77.0,
        "exit_status": exit_status,
        "reason": reason,
        "num_events": {"primary": len(events)},
    }
    descriptor = _descriptor(uid, roles, ev_per_count)
    ends = [] if exit_status is None else [("stop", stop)]
    return [("start", start), ("descriptor", descriptor), *events, *ends]


def _start(uid, total):
    return {
        "uid": uid,
        "time": BEGAN,
        "scan_id": 7,
        "plan_name": "xafs_scan",
        "num_points": total,
        "hints": {"dimensions": [[["mono_energy"], "primary"]]},
        "Element": {"symbol": "Fe", "edge": "K"},
        "Mono": {"name": "Si(111)", "d_spacing": 3.135601},
        "Scan": {"edge_energy": 7112.0},
        "Sample": {"name": "Fe foil", "formula": "Fe", "prep": "foil, 5 µm"},
        "Facility": {"name": "a storage ring", "xray_source": "undulator"},
        "Beamline": {"name": "BL02"},
        "is_experimental": False,
        "versions": {"bluesky": "1.15.1"},
    }


def _descriptor(uid, roles, ev_per_count):
    units = {"energy": "eV", "dwell": "s"}
    data_keys = {
        key: {
            "source": f"test:{role}",
            "dtype": "number",
            "shape": [],
            "object_name": key,
            "units": units.get(role, "counts"),
        }
        for role, key in roles.items()
    }
    length = {"source": "test:length", "dtype": "number", "shape": [], "units": "cm"}
    given = {} if ev_per_count is None else {"ev_per_count": ev_per_count}
    configuration = {}
    for key in (key for role, key in roles.items() if role in CHANNELS):
        values = {"gas": "N2", "length": 15.0, **given}
        configuration[key] = {
            "data": {f"{key}_{name}": value for name, value in values.items()},
            "timestamps": {f"{key}_{name}": BEGAN for name in values},
            "data_keys": {f"{key}_length": length},
        }
    return {
        "uid": f"{uid}-d",
        "run_start": uid,
        "time": BEGAN,
        "name": "primary",
        "data_keys": data_keys,
        "object_keys": {key: [key] for key in data_keys},
        "configuration": configuration,
        "hints": {key: {"fields": [key]} for key in data_keys},
    }


def of(documents, name, stream=None):
    """The documents of one kind; of events, those of one stream."""
    found = [doc for kind, doc in documents if kind == name]
    if stream is None:
        return found
    descriptors = {d["uid"] for d in of(documents, "descriptor") if d["name"] == stream}
    return [doc for doc in found if doc["descriptor"] in descriptors]


def numbered(documents, points, quality=None, **contract):
    """The run with its events' point numbers, their marks, and further words of its contract."""
    documents = [(name, {**doc}) for name, doc in documents]
    start, descriptor = documents[0][1], documents[1][1]
    start["xafs"] = {**start["xafs"], "point_key": "point", "quality_key": "quality", **contract}
    about = {"source": "test", "dtype": "number", "shape": []}
    descriptor["data_keys"] = {**descriptor["data_keys"], "point": about, "quality": about}
    events = [doc for name, doc in documents if name == "event"]
    marks = [""] * len(points) if quality is None else quality
    for event, point, mark in zip(events, points, marks, strict=True):
        event["data"] = {**event["data"], "point": point, "quality": mark}
        event["timestamps"] = {**event["timestamps"], "point": 0.0, "quality": 0.0}
    return documents


def with_dark(documents, values, *, errors=None, units="counts/s"):
    """The run with a stream "dark": data key to dark current, and to its standard deviation."""
    start, *rest = documents
    run = start[1]["uid"]
    data = {f"{key}_dark": value for key, value in values.items()}
    data |= {f"{key}_dark_error": error for key, error in (errors or {}).items()}
    about = {"source": "dark", "dtype": "number", "shape": [], "units": units}
    descriptor = {
        "uid": f"{run}-dark",
        "run_start": run,
        "name": "dark",
        "time": BEGAN,
        "data_keys": dict.fromkeys(data, about),
        "configuration": {},
    }
    event = {
        "uid": f"{run}-dark-0",
        "descriptor": f"{run}-dark",
        "seq_num": 1,
        "time": BEGAN,
        "data": data,
        "timestamps": dict.fromkeys(data, BEGAN - 60.0),
        "filled": {},
    }
    return [start, ("descriptor", descriptor), ("event", event), *rest]


def with_spectra(documents):
    """The run with a fluorescence detector that gives a spectrum of its own at each point."""
    descriptor = next(d for d in of(documents, "descriptor") if d["name"] == "primary")
    about = {"source": "x", "dtype": "array", "shape": [MCA_CHANNELS], "units": "counts"}
    descriptor["data_keys"] = {**descriptor["data_keys"], "mca": {**about, "object_name": "mca"}}
    descriptor["configuration"] = {**descriptor["configuration"], "mca": {"data": MCA_SETTINGS}}
    for row, event in enumerate(of(documents, "event", "primary")):
        event["data"] = {**event["data"], "mca": (row + np.arange(MCA_CHANNELS)).tolist()}
        event["timestamps"] = {**event["timestamps"], "mca": BEGAN}
    return documents
