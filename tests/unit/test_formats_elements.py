import pytest

from beamline_ophyd.formats.elements import ELEMENT_NAMES


def test_names_are_those_of_the_tables_that_edges_come_from():
    xraydb = pytest.importorskip("xraydb")
    assert len(ELEMENT_NAMES) == 118
    for number, (symbol, name) in enumerate(ELEMENT_NAMES.items(), start=1):
        assert (xraydb.atomic_number(symbol), xraydb.atomic_name(symbol)) == (number, name)
