"""What a client does that has a key and no good intentions."""

import json

import httpx
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

SECRET = 271828.0
TIMEOUT_S = 60.0


def get(server, path, key=None, **query):
    return httpx.get(
        f"{server.uri}/api/v1/{path}",
        params=query,
        headers={"Authorization": f"Apikey {key or server.keys.reader}"},
        trust_env=False,
        timeout=TIMEOUT_S,
    )


def register(client, key, path, parameter="data_uri"):
    """Register a path as it stands, as no honest client would."""
    asset = Asset(
        data_uri=f"file://localhost{path}", is_directory=False, parameter=parameter, num=None
    )
    source = DataSource(
        structure_family=StructureFamily.container,
        structure=None,
        mimetype="application/x-hdf5",
        parameters={},
        management=Management.external,
        assets=[asset],
    )
    client.files.new(StructureFamily.container, [source], key=key, metadata={}, specs=[])


def change_source(server, path, source):
    """Say that the data of a node are elsewhere, with the writer's key."""
    return httpx.put(
        f"{server.uri}/api/v1/data_source/{path}",
        content=json.dumps({"data_source": source}),
        headers={
            "Authorization": f"Apikey {server.keys.writer}",
            "Content-Type": "application/json",
        },
        trust_env=False,
        timeout=TIMEOUT_S,
    )
