"""Reduction of measured data.

:mod:`~beamline_ophyd.analysis.xafs` is for absorption spectra,
:mod:`~beamline_ophyd.analysis.xrd` for powder patterns.
"""
