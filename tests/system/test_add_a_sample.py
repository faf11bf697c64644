"""What docs/how-to/add-a-sample.md says, done step by step."""

import math

import numpy as np
import pytest

from beamline_ophyd.simulator import DeviceServerError

from ..pvs import Beamline, count

EDGE_KEV = 7.112
ENERGY_KEV = np.round(EDGE_KEV + np.arange(-0.060, 0.241, 0.005), 4)
MU = -1.3 + 0.9 / (1 + np.exp(-(ENERGY_KEV - EDGE_KEV) * 500))


def measured(path, first=0):
    """A spectrum in units and columns of its beamline, with the gains of its amplifiers in it."""
    rows = [
        f"{e:.4f} {1e5:.1f} {1e5 * math.exp(-m):.3f}" for e, m in zip(ENERGY_KEV, MU, strict=True)
    ]
    header = [
        "# XDI/1.0",
        "# Element.symbol: Fe",
        "# Element.edge: K",
        "# Sample.formula: Fe3O4",
        "# Column.1: energy keV",
        "# Column.2: i0",
        "# Column.3: itrans",
        "# ---",
    ]
    path.write_text("\n".join([*header, *rows[first:]]) + "\n")
    return path


def test_a_measured_spectrum_is_scanned_at_the_place_chosen_for_it(start_ioc, tmp_path):
    measured(tmp_path / "my_oxide.xdi")
    (tmp_path / "holder.dat").write_text("my_oxide 4000 -2000\n")
    start_ioc(prefix="ADD:", samples=tmp_path, noise=False, speed=500.0)
    bl = Beamline("ADD:")
    assert list(bl.get("SAMPLE:PLACES")) == ["my_oxide", "empty"]
    place = (bl.get("SAMPLE:PLACES:X")[0], bl.get("SAMPLE:PLACES:Y")[0])
    assert place == (4000.0, -2000.0)
    bl.put("SAMPLE:X", place[0])
    bl.put("SAMPLE:Y", place[1])
    assert bl.get("SAMPLE:NAME") == "my_oxide"
    constant = bl.get("SAMPLE:OFFSET")
    for index in (20, 40):
        bl.put("MONO:ENERGY", 1000 * ENERGY_KEV[index])
        _, i0, it, *_ = count(bl, 50.0)
        assert math.log(i0 / it) == pytest.approx(MU[index] + constant, abs=2e-3)
    bl.close()


def test_a_spectrum_without_a_pre_edge_stops_the_server_with_its_reason(start_ioc, tmp_path):
    path = measured(tmp_path / "short.xdi", first=7)  # from 25 eV below the edge on
    with pytest.raises(DeviceServerError, match=r"short\.xdi: runs from 7087\.0 .* below 7082\.0"):
        start_ioc(prefix="SHORT:", sample=[path])
