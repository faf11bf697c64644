import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline_ophyd.formats.names import safe_file_name, safe_nexus_name


@given(st.text(st.characters()))
def test_file_names_are_one_visible_part_of_a_path(text):
    name = safe_file_name(text)
    assert name
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith((".", "-"))
    assert len(name.encode()) <= 200


@given(st.text(st.characters()))
def test_nexus_names_are_valid(text):
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", safe_nexus_name(text))


@pytest.mark.parametrize("name", ["I0", "mono_energy", "_2theta"])
def test_good_names_stay(name):
    assert safe_nexus_name(name) == name
    assert safe_file_name(name.strip("_")) == name.strip("_")
