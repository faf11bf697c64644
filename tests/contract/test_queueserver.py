"""What bluesky-queueserver makes of the plans: their parameters, and what may be passed."""

import inspect
import json

import pytest
from bluesky_queueserver.manager.profile_ops import (
    existing_plans_and_devices_from_nspace,
    validate_plan,
)

from beamline_ophyd import plans

NAMES = [n for n in plans.__all__ if inspect.isgeneratorfunction(getattr(plans, n))]
PLANS = [n for n in NAMES if not n.endswith("_wrapper")]


@pytest.fixture(scope="module")
def existing():
    namespace = {name: getattr(plans, name) for name in PLANS}
    found, *_ = existing_plans_and_devices_from_nspace(nspace=namespace)
    return found


def test_all_names_of_a_session_are_taken_wrappers_too():
    namespace = {name: getattr(plans, name) for name in plans.__all__}
    found, *_ = existing_plans_and_devices_from_nspace(nspace=namespace)
    assert set(NAMES) <= set(found)


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_taken_with_all_its_annotations(existing, name):
    parameters = {p["name"]: p for p in existing[name]["parameters"]}
    signature = inspect.signature(getattr(plans, name))
    assert list(parameters) == list(signature.parameters)
    for parameter in parameters.values():
        assert "annotation" in parameter, f"{name}: {parameter['name']} has lost its annotation"


def test_a_scan_is_asked_for_in_json(existing):
    item = json.loads(
        json.dumps(
            {
                "name": "xafs_scan",
                "args": [["i0", "it"], "mono.energy", "Fe-K"],
                "kwargs": {
                    "bounds": [-200, -30, 15, "14k"],
                    "steps": [10, 0.5, "0.05k"],
                    "times": [0.5, 0.5, "0.25k"],
                    "repeats": 3,
                    "along": ["gap"],
                    "along_at": {"gap": {"scale": 0.001}},
                    "resume": {"uid": "x"},
                    "md": {"sample": {"name": "foil"}},
                },
                "item_type": "plan",
            }
        )
    )
    devices = {"i0": {}, "it": {}, "gap": {}, "mono": {}}
    taken, why = validate_plan(item, allowed_plans=existing, allowed_devices=devices)
    assert taken, why
    item["kwargs"]["repeats"] = "three"
    taken, why = validate_plan(item, allowed_plans=existing, allowed_devices=devices)
    assert not taken
    assert "repeats" in why
