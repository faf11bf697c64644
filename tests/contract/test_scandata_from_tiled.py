"""A run that Tiled's own writer put into Tiled, read back as ScanData."""

from typing import Any

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from tiled.client import Context, from_context
from tiled.server.app import build_app_from_config

from beamline_ophyd import ScanData


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiled")
    stores = [f"file://localhost{folder}/data", f"duckdb:///{folder}/tables.duckdb"]
    configuration: dict[str, Any] = {
        "trees": [
            {
                "path": "/",
                "tree": "catalog",
                "args": {
                    "uri": f"sqlite:///{folder}/catalogue.db",
                    "writable_storage": stores,
                    "init_if_not_exists": True,
                },
            }
        ],
        "media_types": {
            "BlueskyRun": {
                "application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter"
            }
        },
        "authentication": {"single_user_api_key": "secret"},
    }
    with Context.from_app(build_app_from_config(configuration), api_key="secret") as context:
        yield from_context(context)


@pytest.mark.parametrize("bad_point", [None, 5])
def test_columns_and_mu_come_back_to_the_last_bit(catalogue, xafs_documents, bad_point):
    documents = xafs_documents(repeats=2, uid=f"run-with-bad-point-{bad_point}")
    if bad_point is not None:
        documents[bad_point][1]["data"]["It"] = float("nan")
    writer = TiledWriter(catalogue)
    for item in documents:
        writer(*item)
    uid = documents[0][1]["uid"]
    data, expected = ScanData.from_tiled(catalogue[uid]), ScanData.from_documents(documents)
    assert data.uid == uid
    assert data.roles == expected.roles
    assert data.units == expected.units
    for key, values in expected.columns.items():
        np.testing.assert_array_equal(data.columns[key], values)
    for found, known in zip(data.mu(), expected.mu(), strict=True):
        assert found is not None
        assert known is not None
        assert found.tobytes() == known.tobytes()
