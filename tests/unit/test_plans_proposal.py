import pytest

from beamline_ophyd.plans import ProposalError, count, proposal_wrapper


def test_yaml_and_json_say_the_same(engine, detectors, tmp_path):
    yaml, json = tmp_path / "p.yaml", tmp_path / "p.json"
    yaml.write_text("id: 7\ntitle: Rust\nsafety: green\nusers:\n- {name: Ada, orcid: 0-1}\n")
    json.write_text(
        '{"id": 7, "title": "Rust", "safety": "green", "users": [{"name": "Ada", "orcid": "0-1"}]}'
    )
    for file in (yaml, json):
        engine(proposal_wrapper(count(detectors), str(file)))
    said = [doc for name, doc in engine.documents if name == "start"]
    for start in said:
        assert start["proposal_id"] == 7
        assert start["proposal"] == {"title": "Rust", "safety": "green"}
        assert start["users"] == [{"name": "Ada", "orcid": "0-1"}]


def test_the_plan_goes_before(engine, detectors, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("id: 7")
    engine(proposal_wrapper(count(detectors, md={"proposal_id": 8}), str(file)))
    assert engine.documents[0][1]["proposal_id"] == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [("title: x", "id: Field required"), ("id: 1\nusers: [{}]", r"users\.0\.name"), ("{", "read")],
)
def test_a_wrong_file_stops_the_plan_before_it_begins(engine, detectors, tmp_path, text, words):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(ProposalError, match=words):
        engine(proposal_wrapper(count(detectors), str(file)))
    assert engine.documents == []
    with pytest.raises(ProposalError, match=r"none.yaml cannot be read"):
        engine(proposal_wrapper(count(detectors), str(tmp_path / "none.yaml")))
