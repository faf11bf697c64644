"""The page of PVs is what the databases say, and all that it names is served."""

import importlib.util
import subprocess
import sys

import pytest

from ..environments import ROOT
from ..pvs import DEADLINE_S

SCRIPT = ROOT / "device_server" / "pv_reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("pv_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date():
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_name_is_served(reference, ioc, pva):
    names = reference.served_names()
    assert {"MONO:ENERGY", "DET:I0:GAS", "PREAMP:IR:sens_num", "SCALER:TABLE"} <= set(names)
    values = pva.get([ioc.prefix + name for name in names], timeout=DEADLINE_S, throw=False)
    assert not [n for n, value in zip(names, values, strict=True) if isinstance(value, Exception)]


def test_every_record_of_the_databases_is_on_the_page(reference):
    page = reference.PAGE.read_text()
    for file in sorted((ROOT / "device_server" / "db").glob("*.db")):
        records = reference.read_database(file.read_text())
        assert records, file
        assert not [r.name for r in records if reference.shown(r.name) not in page]
