"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import beamline_ophyd

MODULES = [m.name for m in pkgutil.walk_packages(beamline_ophyd.__path__, "beamline_ophyd.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    found = (doctest.DocTestFinder().find(importlib.import_module(name)) for name in MODULES)
    assert sum(len(test.examples) for tests in found for test in tests) > 30
