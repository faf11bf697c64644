"""Scans of an absorption beamline as Bluesky plans, and the preprocessors around them.

The plans take any devices that follow the bluesky protocols and know no simulator.
"""

if __name__ != "beamline_ophyd.plans":
    raise ImportError(
        f"these plans are not a top-level package: import beamline_ophyd.plans, not {__name__}"
    )

from ._preprocessors import (
    abort_reason_wrapper,
    baseline_wrapper,
    check_before_run_wrapper,
    sample_name_wrapper,
)
from ._profile import AlignmentError
from ._resuming import run_summary
from ._shutter import shutter_wrapper
from ._steps import DeviceError
from .aligning import Alignment, align
from .calibrating import Calibration, calibrate_mono
from .connecting import connected_wrapper
from .dark import dark_current_wrapper, record_dark_current
from .gain import Gains, auto_gain
from .halting import close_after_halt
from .harmonics import Harmonics, harmonic_check
from .interrupting import InterruptibleTask
from .maps import fixed_energy_map, mesh_scan, xanes_map
from .powder import powder_scan
from .previewing import Preview, preview, preview_grid
from .proposal import ProposalError, proposal_wrapper
from .sample_queue import QueueError, sample_queue
from .scans import count, line_scan
from .suspending import beam_suspenders, suspend_wrapper
from .tuning import RockingCurve, rocking_curve, tune_pitch
from .xafs import xafs_scan

__all__ = [
    "Alignment",
    "AlignmentError",
    "Calibration",
    "DeviceError",
    "Gains",
    "Harmonics",
    "InterruptibleTask",
    "Preview",
    "ProposalError",
    "QueueError",
    "RockingCurve",
    "abort_reason_wrapper",
    "align",
    "auto_gain",
    "baseline_wrapper",
    "beam_suspenders",
    "calibrate_mono",
    "check_before_run_wrapper",
    "close_after_halt",
    "connected_wrapper",
    "count",
    "dark_current_wrapper",
    "fixed_energy_map",
    "harmonic_check",
    "line_scan",
    "mesh_scan",
    "powder_scan",
    "preview",
    "preview_grid",
    "proposal_wrapper",
    "record_dark_current",
    "rocking_curve",
    "run_summary",
    "sample_name_wrapper",
    "sample_queue",
    "shutter_wrapper",
    "suspend_wrapper",
    "tune_pitch",
    "xafs_scan",
    "xanes_map",
]
