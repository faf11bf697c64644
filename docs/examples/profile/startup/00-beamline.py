"""A facility's profile: the beamline's session, its names, and what is only here.

The same folder opens in IPython, `ipython --profile-dir docs/examples/profile`, and in
bluesky-queueserver, `start-re-manager --keep-re --startup-dir docs/examples/profile/startup`.
In Jupyter and in scripts these are the lines to begin with. Copy it and write your own into it.
"""

import os

from beamline_ophyd.devices import SIMULATOR
from beamline_ophyd.session import start

session = start(
    os.environ.get("BEAMLINE_PREFIX", "BL02:"),
    # Your devices: a copy of beamline_ophyd/devices/beamlines/facility.yaml.
    devices=os.environ.get("BEAMLINE_DEVICES", SIMULATOR),
    # Journals, files and metadata; the Tiled server is the one over its subfolder `tiled`.
    folder=os.environ.get("BEAMLINE_FOLDER"),
    files=os.environ.get("BEAMLINE_FILES_FOLDER"),
    # Or one that is elsewhere, whose key is in TILED_API_KEY.
    tiled=os.environ.get("BEAMLINE_TILED_URI"),
    # What is true of every run here.
    md={"Facility": {"name": "my ring", "xray_source": "bending magnet"}},
)

# RE, the devices by their names, and all plans.
globals().update(session.namespace())
