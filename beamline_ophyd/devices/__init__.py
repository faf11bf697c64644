"""ophyd devices of an absorption beamline; the prefix says which one.

>>> from beamline_ophyd.devices import Monochromator
>>> mono = Monochromator("BL02:", name="mono")
>>> mono.energy.user_readback.pvname
'BL02:MONO:ENERGY.RBV'
"""

from ._axis import Axis, MotionError
from ._beamline import SIMULATOR, Beamline, BeamlineFileError, load_beamline
from ._connect import (
    BeamlineConnectionError,
    connect,
    disconnect,
    not_connected,
    searched_places,
    use_loopback_by_default,
)
from ._detectors import (
    Detectors,
    FluorescenceDetector,
    FluorescenceElement,
    PointDetector,
)
from ._diffractometer import Diffractometer
from ._ion_chambers import IonChamber, IonChambers
from ._mirror import HarmonicMirror
from ._monochromator import Monochromator
from ._overview import Connection, Reading, connections, readings
from ._preamplifier import Preamplifier
from ._pvs import PVNameError, with_pvs
from ._sample_stage import SampleStage
from ._scaler import CountError, Scaler, ScalerDetector
from ._shutter import Shutter, ShutterError
from ._simulation import Simulation
from ._storage_ring import StorageRing

__all__ = [
    "SIMULATOR",
    "Axis",
    "Beamline",
    "BeamlineConnectionError",
    "BeamlineFileError",
    "Connection",
    "CountError",
    "Detectors",
    "Diffractometer",
    "FluorescenceDetector",
    "FluorescenceElement",
    "HarmonicMirror",
    "IonChamber",
    "IonChambers",
    "Monochromator",
    "MotionError",
    "PVNameError",
    "PointDetector",
    "Preamplifier",
    "Reading",
    "SampleStage",
    "Scaler",
    "ScalerDetector",
    "Shutter",
    "ShutterError",
    "Simulation",
    "StorageRing",
    "connect",
    "connections",
    "disconnect",
    "load_beamline",
    "not_connected",
    "readings",
    "searched_places",
    "use_loopback_by_default",
    "with_pvs",
]
