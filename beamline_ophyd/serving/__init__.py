"""Tiled for a beamline: a server over one data folder, and a client that finds it.

    from beamline_ophyd.serving import connect

Importing this loads neither Tiled nor bluesky.
"""

from .client import connect
from .connection import Connection
from .contents import FILE_SPEC, FILES, RUNS
from .errors import ServerError
from .folder import DataFolder, Keys, default_folder
from .following import live
from .server import DEFAULT_PORT, TiledServer, serve_forever

__all__ = [
    "DEFAULT_PORT",
    "FILES",
    "FILE_SPEC",
    "RUNS",
    "Connection",
    "DataFolder",
    "Keys",
    "ServerError",
    "TiledServer",
    "connect",
    "default_folder",
    "live",
    "serve_forever",
]
