"""Reduction of measured data; :mod:`~beamline_ophyd.analysis.xafs` for absorption spectra."""
