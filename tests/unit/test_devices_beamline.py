"""Devices built from a YAML file; nothing here connects to anything."""

import pytest

from beamline_ophyd.devices import (
    SIMULATOR,
    BeamlineFileError,
    IonChambers,
    Monochromator,
    PVNameError,
    disconnect,
    load_beamline,
    with_pvs,
)

FACILITY = SIMULATOR.with_name("facility.yaml")


@pytest.fixture
def load(tmp_path):
    """Build the devices of a text: load("Shutter: [...]", P="X:")."""
    made = []

    def build(text, **macros):
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        made.append(load_beamline(file, **macros))
        return made[-1]

    yield build
    for beamline in made:
        beamline.disconnect()


@pytest.fixture
def facility():
    beamline = load_beamline(FACILITY)
    yield beamline
    beamline.disconnect()


def test_the_simulators_file_names_every_part():
    beamline = load_beamline(P="T1:")
    assert {"mono", "chambers", "shutter", "stage", "ring", "simulation"} <= set(beamline)
    assert beamline["mono"].energy.user_readback.pvname == "T1:MONO:ENERGY.RBV"
    baseline = [device.name for device in beamline.labelled("baseline")]
    assert {"mono_bragg", "stage", "ring", "simulation"} <= set(baseline)
    assert beamline.labelled("nonsense") == []
    assert repr(beamline).startswith("Beamline(mono, ")
    beamline.disconnect()


def test_the_example_of_a_facility_builds_without_its_pvs(facility):
    mono, chambers = facility["mono"], facility["chambers"]
    assert mono.energy.user_setpoint.pvname == "07BM:mono:energy.VAL"
    assert mono.d_spacing.pvname == "07BM:mono:dSpacing"
    assert chambers.count.pvname == "07BM:scaler1.CNT"
    assert chambers.it.counts.pvname == "07BM:scaler1.S4"
    assert chambers.it.gain.pvname.startswith("07BM:IC1:")
    assert chambers.it.ev_per_count is None
    assert (chambers.it.name, chambers.it.counts.name) == ("It", "It")
    assert chambers.stage_sigs == {chambers.count_mode: "OneShot"}
    assert {device.name for device in facility.labelled("baseline")} >= {"ring", "table"}
    assert not any(device.connected for device in facility.devices if hasattr(device, "connected"))
    assert facility["slit"].user_readback.source == "ca://07BM:slit:m4.RBV"


def test_names_of_pvs_may_have_braces(load):
    text = 'IonChambers: [{name: c, pvs: {it.counts: "XF:{Sclr:1}.S4", i0: "XF:{IC:0}"}}]'
    chambers = load(text)["c"]
    assert chambers.it.counts.pvname == "XF:{Sclr:1}.S4"
    assert chambers.i0.gain.pvname.startswith("XF:{IC:0}")


def test_a_class_on_other_pvs_leaves_the_class_alone():
    other = with_pvs(Monochromator, {"bragg": "X:m1", "crystal": None})
    device = other("BL:", name="mono")
    stock = Monochromator("BL:", name="mono")
    assert isinstance(device, Monochromator)
    assert device.bragg.user_readback.pvname == "X:m1.RBV"
    assert device.energy.user_readback.pvname == "BL:MONO:ENERGY.RBV"
    assert "crystal" not in device.component_names
    assert stock.bragg.user_readback.pvname == "BL:MONO:BRAGG.RBV"
    assert stock.crystal.pvname == "BL:MONO:CRYSTAL"
    disconnect(device, stock)


@pytest.mark.parametrize(
    ("cls", "pvs", "words"),
    [
        (Monochromator, {"enrgy": "X"}, "has no component 'enrgy'; it has energy, bragg"),
        (IonChambers, {"i0.gian": "X"}, "has no component 'gian'; it has counts"),
        (IonChambers, {"count.value": "X"}, "'count' of IonChambers is a signal"),
    ],
)
def test_a_component_that_is_not_there_is_named(cls, pvs, words):
    with pytest.raises(PVNameError, match=words):
        with_pvs(cls, pvs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Shuter: [{name: s}]", "no device class Shuter; .*Shutter"),
        ("ophyd.Nonsense: [{name: s}]", "ophyd.Nonsense"),
        ("Shutter: [{prefix: X}]", "name"),
        ("Shutter: [{name: 2nd, prefix: X}]", "'2nd'"),
        ("Shutter: [{name: lambda, prefix: X}]", "'lambda'"),
        ("Shutter: [{name: s, prefix: X}, {name: s, prefix: Y}]", "'s'"),
        ("Shutter: [{name: s, prefix: $(Q)}]", r"macro \$\(Q\) has no value"),
        ("Shutter: [{name: s, pvs: {cmd: X}}]", "device 's': Shutter has no component 'cmd'"),
        ("Shutter: [{name: s, prefix: X, colour: red}]", "device 's': .*colour"),
        ("Shutter: [{name: s, prefix: X, labels: baseline}]", "'s': labels is 'baseline'; give a"),
        ("Shutter: {name: s, prefix: X}", "below Shutter stands no list of devices; write Shutter"),
        ("ophyd.EpicMotor: [{name: m, prefix: X}]", "no class ophyd.EpicMotor .module"),
        ("- a list", "mine.yaml"),
        ("Shutter: [", "mine.yaml"),
        ("Shutter:", "mine.yaml"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(load, text, words):
    with pytest.raises(BeamlineFileError, match=words):
        load(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BeamlineFileError, match=r"none\.yaml: No such file"):
        load_beamline(tmp_path / "none.yaml")


def test_an_unknown_device_is_told_with_those_there_are(facility):
    with pytest.raises(KeyError, match="no device 'mirror'; it has mono, chambers"):
        facility["mirror"]
    assert facility.get("mirror") is None
    assert "mono" in facility
    assert len(facility) == len(list(facility)) == len(facility.devices)
