"""Measure an absorption spectrum with two sweeps, and find its edge.

Start the beamline first: `beamline ioc --speed 50`.
"""

from bluesky import plan_stubs as bps

from beamline_ophyd import ScanData
from beamline_ophyd.analysis import xafs
from beamline_ophyd.plans import preview, xafs_scan
from beamline_ophyd.session import start

with start(report=False) as session:
    RE, mono = session.RE, session.mono
    detectors = [session.i0, session.it, session.ir]
    near_edge = {"bounds": [-60, -15, 40, 100], "steps": [5, 1, 4], "times": [0.2, 0.2, 0.2]}

    print(preview(xafs_scan(detectors, mono.energy, "Fe-K", repeats=2, **near_edge)))
    RE(bps.mv(session.stage, "fe_foil"))
    (uid,) = RE(xafs_scan(detectors, mono.energy, "Fe-K", repeats=2, **near_edge))

    session.wait()
    scan = ScanData.from_file(session.files[uid])
    mu, errors = scan.mu()  # the merge of both sweeps
    energy = scan.energy[: len(mu)]
    e0 = xafs.find_e0(energy, mu)
    print(f"E0 = {e0:.1f} eV, {len(mu)} points, noise {errors.mean():.1e}")
