import importlib.metadata

import pytest

import beamline_ophyd


def test_the_version_is_known_beside_the_module_of_metadata():
    import beamline_ophyd.metadata  # once shadowed the standard library's

    assert beamline_ophyd.__version__ == importlib.metadata.version("beamline-ophyd")


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        beamline_ophyd.nothing  # noqa: B018
