"""What a real Tiled server refuses to read, and to whom."""

import dataclasses
import time

import h5py
import httpx
import numpy as np
import pandas as pd
import pyarrow
import pytest
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management
from tiled.structures.table import TableStructure

from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.serving.errors import RegistrationError
from beamline_ophyd.serving.files import register_file

from .hostile import SECRET, TIMEOUT_S, change_source, get, register


@pytest.fixture
def outside(served, tmp_path_factory):
    """Files beside the folder of files, with something in them that nobody may read."""
    place = served.folder.files.parent / "outside"
    place.mkdir(exist_ok=True)
    with h5py.File(place / "secret.h5", "w") as file:
        file["x"] = [SECRET]
    (place / "private.csv").write_text(f"a,b\n1,{SECRET}\n")
    return place


def assert_refused(server, key, dataset, said):
    for path in (f"search/files/{key}", f"metadata/files/{key}/{dataset}"):
        assert get(server, path).status_code == 403
    for suffix in ("", "?format=json"):
        answer = get(server, f"array/full/files/{key}/{dataset}{suffix}")
        assert answer.status_code == 403
        assert said in answer.json()["detail"]
    answer = get(server, f"container/full/files/{key}", format="application/x-hdf5")
    assert answer.status_code == 403


# Files


def test_values_kept_in_another_file_are_refused(served, writer):
    private = served.folder.root / "writer.key"
    path = served.folder.files / "raw.nxs"
    with h5py.File(path, "w") as file:
        file["entry/x"] = 1.0
        size = private.stat().st_size
        file.create_dataset("entry/raw", (size,), "u1", external=[(str(private), 0, size)])
    register(writer, "raw", path)
    assert_refused(served, "raw", "entry/raw", "the values of /entry/raw are in the file")
    assert_refused(served, "raw", "entry/x", "the values of /entry/raw are in the file")


def test_links_to_another_file_are_refused(served, writer, outside):
    path = served.folder.files / "linked.nxs"
    with h5py.File(path, "w") as file:
        file["entry/link"] = h5py.ExternalLink(str(outside / "secret.h5"), "/x")
    register(writer, "linked", path)
    assert_refused(served, "linked", "entry/link", "/entry/link is a link to the file")


def test_symlinks_are_refused(served, writer, outside):
    path = served.folder.files / "symlink.nxs"
    path.symlink_to(outside / "secret.h5")
    register(writer, "symlink", path)
    assert_refused(served, "symlink", "x", "without links")


def test_a_file_that_becomes_a_symlink_is_refused(served, writer, outside):
    path = served.folder.files / "exchanged.nxs"
    with h5py.File(path, "w") as file:
        file["x"] = [1.0]
    register_file(writer.root, "exchanged", path)
    assert get(served, "array/full/files/exchanged/x", format="json").json() == [1.0]
    path.unlink()
    path.symlink_to(outside / "secret.h5")
    assert_refused(served, "exchanged", "x", "without links")


@pytest.mark.parametrize("parameter", ["data_uri", None])
def test_dots_in_a_path_are_refused(served, writer, outside, parameter):
    key = f"dots-{parameter}"
    register(writer, key, f"{served.folder.files}/../outside/secret.h5", parameter)
    assert_refused(served, key, "x", "without `..`")


def test_an_asset_without_a_name_is_not_overlooked(served, writer, outside):
    # Tiled compares only those with a name with its folders.
    register(writer, "nameless", outside / "secret.h5", None)
    assert_refused(served, "nameless", "x", "only files that are themselves in")


def test_other_types_are_refused(served, writer, outside):
    structure = TableStructure.from_pandas(pd.DataFrame({"a": [1], "b": [SECRET]}))
    asset = Asset(
        data_uri=f"file://localhost{served.folder.files}/../outside/private.csv",
        is_directory=False,
        parameter="data_uris",
        num=0,
    )
    source = DataSource(
        structure_family=StructureFamily.table,
        structure=structure,
        mimetype="text/csv",
        parameters={},
        management=Management.external,
        assets=[asset],
    )
    writer.files.new(StructureFamily.table, [source], key="csv", metadata={}, specs=[])
    for kind, query in (("full", {}), ("partition", {"partition": 0})):
        answer = get(served, f"table/{kind}/files/csv", **query)
        assert answer.status_code == 403
        assert "text/csv is not served" in answer.json()["detail"]


@pytest.mark.parametrize("place", ["table", "column"])
def test_sql_that_leads_to_a_file_is_refused(served, writer, outside, place):
    path = str(outside / "private.csv")
    rows = pyarrow.table({"a": [1], "b": [1.0]})
    table = writer.files.create_appendable_table(schema=rows.schema, key=f"sql-{place}")
    table.append_partition(0, rows)
    assert get(served, f"table/full/files/sql-{place}").status_code == 200
    (source,) = table.data_sources()
    changed = dataclasses.asdict(source)
    if place == "table":
        changed["parameters"]["table_name"] = path
    else:
        column = f"b\" FROM (SELECT 1 AS _dataset_id, content AS b FROM read_text('{path}')) --"
        structure = TableStructure.from_pandas(pd.DataFrame({column: [""]}))
        changed["structure"] = dataclasses.asdict(structure)
    answer = change_source(served, f"files/sql-{place}", changed)
    assert answer.status_code == 200, answer.text
    answer = get(served, f"table/full/files/sql-{place}", format="text/csv")
    assert str(SECRET) not in answer.text
    assert answer.status_code == 422
    assert "private.csv" in answer.json()["detail"]


def test_a_refused_file_is_not_registered_and_the_reason_is_named(served, writer, outside):
    path = served.folder.files / "honest.nxs"
    with h5py.File(path, "w") as file:
        file["entry/link"] = h5py.ExternalLink(str(outside / "secret.h5"), "/x")
    with pytest.raises(RegistrationError, match=r"/entry/link is a link to the file .*secret\.h5"):
        register_file(writer.root, "honest", path)
    assert "honest" not in writer.files


def test_whole_files_and_runs_are_still_read(served, writer):
    path = served.folder.files / "whole.nxs"
    with h5py.File(path, "w") as file:
        file["entry/data/intensity"] = np.arange(5.0)
        file["entry/data/energy"] = h5py.SoftLink("/entry/data/intensity")
    register_file(writer.root, "whole", path)
    run = writer.runs.create_container("a run", metadata={"start": {"uid": "a run"}})
    rows = pyarrow.table({"x": [1.0, 2.0], "name": ["a", "b"]})
    table = run.create_appendable_table(schema=rows.schema, key="internal")
    table.append_partition(0, rows)
    run.write_table(rows.to_pandas(), key="table")
    run.write_array(np.arange(6).reshape(2, 3), key="array")
    with connect(served.uri, served.keys.reader) as client:
        for name in ("intensity", "energy"):
            found = client.files["whole", "entry", "data", name].read()
            np.testing.assert_array_equal(found, np.arange(5.0))
        for key in ("internal", "table"):
            found = client.root["runs", "a run", key].read()
            assert found.to_dict("list") == rows.to_pydict()
        assert client.root["runs", "a run", "array"].read().tolist() == [[0, 1, 2], [3, 4, 5]]
        # The folder can be listed whatever was registered in it.
        assert "whole" in list(client.files)


# Keys


def mint(server, key):
    """Make another key with a key, which does as much and never expires."""
    answer = httpx.post(
        f"{server.uri}/api/v1/auth/apikey",
        headers={"Authorization": f"Apikey {key}"},
        json={"expires_in": None, "scopes": ["inherit"], "note": "kept"},
        trust_env=False,
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 200
    return answer.json()["secret"]


@pytest.mark.slow("starts Tiled twice")
def test_replacing_a_key_ends_what_was_made_with_it(tmp_path):
    with TiledServer(tmp_path / "tiled") as server:
        made = {role: mint(server, getattr(server.keys, role)) for role in ("writer", "reader")}
        for key in made.values():
            assert get(server, "metadata/", key).status_code == 200
    (server.folder.root / "writer.key").unlink()
    with TiledServer(tmp_path / "tiled") as again:
        assert get(again, "metadata/", made["writer"]).status_code == 401
        assert get(again, "metadata/", made["reader"]).status_code == 200
        assert get(again, "metadata/", again.keys.writer).status_code == 200


def test_a_revoked_key_opens_nothing_after_a_moment(served, writer):
    secret = mint(served, served.keys.reader)
    assert get(served, "metadata/", secret).status_code == 200
    answer = httpx.delete(
        f"{served.uri}/api/v1/auth/apikey",
        params={"first_eight": secret[:8]},
        headers={"Authorization": f"Apikey {served.keys.reader}"},
        trust_env=False,
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 204
    until = time.monotonic() + TIMEOUT_S
    while (status := get(served, "metadata/", secret).status_code) == 200:
        assert time.monotonic() < until
    assert status == 401
    assert get(served, "metadata/", served.keys.reader).status_code == 200
