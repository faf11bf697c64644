"""A two-circle powder diffractometer."""

from ophyd import Component as Cpt
from ophyd import Device

from ._axis import Axis

__all__ = ["Diffractometer"]


class Diffractometer(Device):
    """Angles of sample and detector, in degrees.

    Attributes
    ----------
    theta : Axis
        Beam to the sample's surface.
    two_theta : Axis
        Beam to the detector.
    """

    theta = Cpt(Axis, "DIFF:TH", kind="hinted")
    two_theta = Cpt(Axis, "DIFF:TTH", kind="hinted")
