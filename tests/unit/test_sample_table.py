"""The table of samples in the documentation says what the files of the library say."""

import re

import pytest
import xraydb

from ..environments import ROOT

SAMPLES = ROOT / "device_server" / "samples"
TABLE = ROOT / "docs" / "reference" / "samples.md"
ROW = re.compile(r"^\| (\w+) \| (\w+) (\w+) \| ([\d.]+) \| ([\d.]+) \| (.+) \|$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall(TABLE.read_text())}


def header(stem):
    lines = (SAMPLES / f"{stem}.xdi").read_text()
    return dict(re.findall(r"^# ([\w.]+): (.*)$", lines, re.MULTILINE))


def test_every_sample_is_in_the_table():
    assert sorted(ROWS) == sorted(path.stem for path in SAMPLES.glob("*.xdi"))


@pytest.mark.parametrize("stem", sorted(ROWS))
def test_the_edges_are_those_of_the_file_and_of_the_element(stem):
    symbol, edge, element_ev, compound_ev, source = ROWS[stem]
    about = header(stem)
    assert (symbol, edge) == (about["Element.symbol"], about["Element.edge"])
    assert float(element_ev) == xraydb.xray_edge(symbol, edge).energy
    published_ev, _, words = about["Simulation.published_edge"].partition(" eV, ")
    assert compound_ev == published_ev
    assert source == "as fe2o3" or source.split(" ")[0] == words.split(" ")[0]


@pytest.mark.parametrize("stem", sorted(ROWS))
def test_the_steepest_rise_of_the_file_is_at_its_published_edge(stem):
    _, _, element_ev, compound_ev, _ = ROWS[stem]
    shift_ev = float(header(stem)["Simulation.edge_shift"].split()[0])
    assert float(element_ev) + shift_ev == pytest.approx(float(compound_ev), abs=0.5)
