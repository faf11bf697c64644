import numpy as np
import pytest
from pydantic import ValidationError

from beamline_ophyd.formats.measurement import read_metadata
from beamline_ophyd.metadata import RunMetadata, infer_roles

CONTRACT = {
    "version": 1,
    "mode": "transmission",
    "roles": {"energy": "mono_energy", "i0": "I0", "itrans": "It"},
    "e0_ev": 7112.0,
    "k_constant_ev_a2": 3.81,
    "points_per_sweep": 10,
}


@pytest.mark.parametrize(
    "start",
    [
        {"Sample": {"name": "Fe foil"}},
        {"sample": {"name": "Fe foil"}},
        {"sample": "Fe foil"},
        {"sample_name": "Fe foil"},
        {"sample": "something else", "Sample": {"name": "Fe foil"}},
    ],
)
def test_a_sample_is_found_however_it_is_said(start):
    assert RunMetadata.from_start(start).sample_name == "Fe foil"


def test_a_run_of_any_other_plan_has_no_contract():
    run = RunMetadata.from_start({"uid": "x", "plan_name": "count"})
    assert run.xafs is None
    assert run.sample_name is None
    assert run.is_experimental


def test_the_contract_is_read():
    run = RunMetadata.from_start(
        {"xafs": CONTRACT, "Element": {"symbol": "Fe", "edge": "K"}, "is_experimental": False}
    )
    assert (run.element, run.edge, run.is_experimental) == ("Fe", "K", False)
    assert run.xafs is not None
    assert run.xafs.repeats == 1
    assert run.xafs.roles.channels == {"i0": "I0", "itrans": "It"}


@pytest.mark.parametrize("change", [{"version": 2}, {"points_per_sweep": 0}, {"mode": "magic"}])
def test_a_contract_that_breaks_the_rules_is_refused(change):
    with pytest.raises(ValidationError):
        RunMetadata.from_start({"xafs": CONTRACT | change})


def test_roles_by_name():
    roles = infer_roles(["Ir", "IT", "I0", "other"], energy="energy")
    assert roles.channels == {"i0": "I0", "itrans": "IT", "irefer": "Ir"}
    assert infer_roles(["i0", "i1", "i2"], energy="e").channels == {
        "i0": "i0",
        "itrans": "i1",
        "irefer": "i2",
    }


@pytest.mark.parametrize("odd", [5, 5.0, True, ["a", "b"], {"a": 1}])
def test_words_that_are_no_text_are_taken_as_text(odd):
    start = {"xafs": CONTRACT, "Element": {"symbol": "Fe", "edge": odd}, "Sample": {"name": odd}}
    run = RunMetadata.from_start(start)
    assert run.xafs is not None
    assert (run.element, run.edge, run.sample_name) == ("Fe", str(odd), str(odd))


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_nothing_is_no_sample(nothing):
    assert "Sample" not in RunMetadata.from_start({"Sample": nothing, "sample": nothing}).families


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("xafs", CONTRACT | {"points_per_sweep": -1}),
        ("Sample", {"name": Unspeakable()}),
        ("is_experimental", np.array([True, False])),
    ],
)
def test_a_word_that_is_not_understood_costs_only_itself(key, value):
    start = {"xafs": CONTRACT, "Element": {"symbol": "Fe", "edge": "K"}, "Sample": "foil",
             "is_experimental": False}  # fmt: skip
    run, trouble = read_metadata(start | {key: value})
    assert trouble.startswith(f"{key!r} of the start document is not understood")
    assert (run.element, run.edge) == ("Fe", "K")
    assert (run.xafs is None) == (key == "xafs")
    assert run.sample_name == (None if key == "Sample" else "foil")
    assert run.is_experimental == (key == "is_experimental")
    assert read_metadata(start)[1] == ""
