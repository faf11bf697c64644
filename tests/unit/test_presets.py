import pytest

from beamline_ophyd.grid import energy_grid
from beamline_ophyd.presets import PRESETS_VARIABLE, PresetError, load_presets, preset


@pytest.mark.parametrize("name", ["exafs", "quick", "xanes"])
def test_the_presets_of_the_package_make_grids(name):
    grid = energy_grid("Fe-K", **preset(name))
    assert (grid.energy_ev < grid.e0_ev).any()
    assert (grid.energy_ev > grid.e0_ev + 100).any()


def test_a_facility_replaces_them_by_file_or_environment(tmp_path, monkeypatch):
    file = tmp_path / "ours.yaml"
    file.write_text("survey:\n  regions:\n  - {start: -50, stop: 50, step: 5, time: 0.1}\n")
    assert list(load_presets(file)) == ["survey"]
    monkeypatch.setenv(PRESETS_VARIABLE, str(file))
    assert len(energy_grid("Cu-K", **preset("survey"))) == 21
    with pytest.raises(PresetError, match=r"no preset 'exafs' in .*ours.yaml; it has survey"):
        preset("exafs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {bounds: [0, -10], steps: [1]}", "a: .*region 1 ends at"),
        ("a: {bounds: [0, 10], steps: [1], tims: [1]}", r"a\.tims: Extra inputs"),
        ("a: {description: nothing}", "neither bounds nor regions"),
        ("[1, 2]", "the file: "),
        ("a: {", "cannot be read"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, text, words):
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(PresetError, match=words):
        load_presets(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PresetError, match=r"none\.yaml cannot be read"):
        load_presets(tmp_path / "none.yaml")
