"""Data that a run only points to: which file holds them, by its documents."""

import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .run import Run

__all__ = ["ExternalData", "external_data"]

AREA_DETECTOR_PATH = "/entry/data/data"
"""Where EPICS's area detector puts its images into an HDF5 file, unless told otherwise."""


@dataclass(frozen=True)
class ExternalData:
    """One file with data of a data key.

    Attributes
    ----------
    file : str
        Path of the file, or its address where it is on no disk of this machine.
    path : str
        Path of the dataset in it; empty where it is no HDF5 file, and where the documents lead
        out of the root that they name.
    mimetype : str
    """

    file: str
    path: str
    mimetype: str

    @property
    def is_hdf5(self) -> bool:
        """Whether HDF5 can link to it."""
        return bool(self.path)

    def seen_from(self, folder: Path) -> str:
        """The file as a link names it in a NeXus file in that folder.

        Relative where both are below the folder's parent, so that they can be moved together;
        HDF5 looks for it beside the file that has the link.
        """
        common = folder.resolve().parent
        place = Path(os.path.realpath(self.file))
        is_near = len(common.parts) > 1 and place.is_relative_to(common)
        return os.path.relpath(place, folder.resolve()) if is_near else self.file


def external_data(run: Run) -> dict[str, list[ExternalData]]:
    """Data key to the files that hold its data, in the order in which they came.

    From stream_resource documents, which name their data key, and from resource documents,
    whose datums stand in the events.
    """
    found: dict[str, list[ExternalData]] = {}
    resources: dict[str, Mapping[str, Any]] = {}
    for name, doc in run.external:
        if name == "stream_resource" and doc.get("data_key") is not None:
            found.setdefault(str(doc["data_key"]), []).append(_of_stream_resource(doc))
        elif name == "resource":
            resources[str(doc.get("uid"))] = doc
    if resources:
        for key, uids in _resources_of_keys(run).items():
            for uid in dict.fromkeys(uids):
                if uid in resources:
                    found.setdefault(key, []).append(_of_resource(resources[uid]))
    return found


def _of_stream_resource(doc: Mapping[str, Any]) -> ExternalData:
    parameters = doc.get("parameters")
    words: Mapping[str, Any] = parameters if isinstance(parameters, Mapping) else {}
    mimetype = str(doc.get("mimetype") or doc.get("spec") or "")
    path = str(words.get("dataset") or words.get("path") or "")
    is_hdf5 = "hdf5" in mimetype.lower()
    return ExternalData(
        file=_file(str(doc.get("uri") or doc.get("resource_path") or "")),
        path=(path or AREA_DETECTOR_PATH) if is_hdf5 else "",
        mimetype=mimetype,
    )


def _of_resource(doc: Mapping[str, Any]) -> ExternalData:
    spec, kwargs = str(doc.get("spec") or ""), doc.get("resource_kwargs")
    words: Mapping[str, Any] = kwargs if isinstance(kwargs, Mapping) else {}
    root, path = str(doc.get("root") or ""), str(doc.get("resource_path") or "")
    is_hdf5 = "hdf5" in spec.lower() or path.lower().endswith((".h5", ".hdf5", ".nxs"))
    file = f"{root.rstrip('/')}/{path}" if root else path
    if root and not Path(os.path.normpath(file)).is_relative_to(os.path.normpath(root)):
        is_hdf5 = False
    return ExternalData(
        file=file,
        path=str(words.get("dataset") or words.get("path") or AREA_DETECTOR_PATH) * is_hdf5,
        mimetype="application/x-hdf5" if is_hdf5 else spec,
    )


def _file(uri: str) -> str:
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme in ("", "file") else uri


def _resources_of_keys(run: Run) -> dict[str, list[str]]:
    """Data key to the resources of the datums that its events name."""
    resource_of: dict[str, str] = {}
    for name, doc in run.external:
        given = doc.get("datum_id")
        if name in ("datum", "datum_page") and given is not None:
            each = given if isinstance(given, (list, tuple)) else [given]
            resource_of |= dict.fromkeys(map(str, each), str(doc.get("resource")))
    found: dict[str, list[str]] = {}
    for stream in run.streams.values():
        for key, about in stream.data_keys.items():
            if "external" in about and key in stream.columns:
                named = (resource_of.get(str(value)) for value in stream.columns[key])
                found.setdefault(key, []).extend(uid for uid in named if uid is not None)
    return found
