"""What a session is wired of: wrappers around every plan, metadata, and where its data go."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any, Literal

from bluesky import RunEngine
from bluesky.utils import PersistentDict

from beamline_ophyd import plans
from beamline_ophyd.callbacks import FigureView, TextView
from beamline_ophyd.devices import (
    Beamline,
    BeamlineConnectionError,
    BeamlineFileError,
    not_connected,
)
from beamline_ophyd.serving import DataFolder
from beamline_ophyd.serving.client import Server, split_key

__all__ = [
    "check_names",
    "chosen_wrappers",
    "live_views",
    "named_server",
    "persistent_metadata",
    "plan_wrappers",
    "prompt_names",
    "running_server",
]

logger = logging.getLogger("bluesky.beamline_ophyd")

_CHAMBERS = ("i0", "it", "ir", "ifluor", "diffracted")


def prompt_names(beamline: Beamline) -> dict[str, Any]:
    """What has a name at the prompt beside the RunEngine, the session and the devices."""
    from bluesky import plan_stubs as bps
    from bluesky import plans as bp

    names = {"bp": bp, "bps": bps} | {name: getattr(plans, name) for name in plans.__all__}
    chambers = beamline.get("chambers")
    found = {name: getattr(chambers, name, None) for name in _CHAMBERS}
    return names | {name: chamber for name, chamber in found.items() if chamber is not None}


def check_names(beamline: Beamline, file: str | Path) -> None:
    """Refuse a device that would take the place of something else at the prompt.

    Raises
    ------
    BeamlineFileError
        Names the device, its file and what it would replace.
    """
    own = {"RE": "its RunEngine", "session": "itself", "bp": "bluesky's plans"}
    own |= {"bps": "bluesky's plan stubs"} | {name: f"chambers.{name}" for name in _CHAMBERS}
    taken = {"RE", "session", *prompt_names(beamline)}
    for name in beamline:
        if name in taken:
            raise BeamlineFileError(
                f"{file}: a device is called {name!r}, the name that a session gives to "
                f"{own.get(name, f'beamline_ophyd.plans.{name}')}; give the device another one"
            )


def live_views(live: bool | Literal["text"], *, figure: bool) -> list[FigureView | TextView]:
    """Where a live reduction is shown in the session itself."""
    views: list[FigureView | TextView] = [FigureView()] if live and figure else []
    return [*views, TextView()] if live == "text" else views


def plan_wrappers(
    beamline: Beamline, engine: RunEngine, check: Callable[[Mapping[str, Any]], None]
) -> list[Any]:
    """What every plan gets around it; innermost first, so that checks precede the shutter."""

    def away(device: Any) -> Exception:
        return BeamlineConnectionError(not_connected(device))

    # bluesky keeps the reason to itself when a plan closes its run, as nearly all do.
    reason = partial(plans.abort_reason_wrapper, reason=lambda: getattr(engine, "_reason", ""))
    wrappers = [reason, lambda plan: plans.check_before_run_wrapper(plan, check)]
    if (in_beam := getattr(beamline.get("stage"), "sample", None)) is not None:
        wrappers.insert(0, partial(plans.sample_name_wrapper, name=in_beam))
    if (gate := beamline.get("shutter")) is not None:
        wrappers.append(partial(plans.shutter_wrapper, shutter=gate))
    if baseline := beamline.labelled("baseline"):
        wrappers.append(partial(plans.baseline_wrapper, devices=baseline))
    # Outermost, for what the others use too.
    wrappers.append(partial(plans.connected_wrapper, error=away))
    return wrappers


def chosen_wrappers(
    beamline: Beamline, suspend: bool | Mapping[str, Any], proposal: str | Path | None
) -> list[Any]:
    """What every plan gets around it where a user has asked for it."""
    wrappers: list[Any] = []
    if proposal is not None:
        wrappers.append(partial(plans.proposal_wrapper, file=str(proposal)))
    if suspend is True and "ring" not in beamline:
        logger.warning("no device is called ring, so no run waits for the beam; name a signal")
    elif suspend:
        chosen = {"current": "ring.current"} if suspend is True else dict(suspend)
        chosen = {key: _signal(beamline, value) for key, value in chosen.items()}
        plans.beam_suspenders(**chosen)  # refuses what does not fit, before there is a plan
        wrappers.append(lambda plan: plans.suspend_wrapper(plan, plans.beam_suspenders(**chosen)))
    return wrappers


def _signal(beamline: Beamline, named: Any) -> Any:
    """A signal by its name, such as "ring.current"; anything else is what it is."""
    if not isinstance(named, str):
        return named
    device, *parts = named.split(".")
    try:
        return reduce(getattr, parts, beamline[device])
    except (KeyError, AttributeError) as error:
        raise ValueError(f"suspend names {named!r}, which is no signal: {error}") from error


def persistent_metadata(home: Path, *, kept: bool) -> Any:
    """The RunEngine's metadata: on disk, or a copy of what another session keeps there."""
    metadata: Any = PersistentDict(str(home / "metadata"))
    if kept:
        return metadata
    copy = dict(metadata)
    if (finalizer := getattr(metadata, "_finalizer", None)) is not None:
        finalizer.detach()  # by which it would write over the other session's
    return copy


def named_server(uri: str) -> tuple[str, str]:
    """Address and writer's key of a Tiled server that is named."""
    address, key = split_key(uri)
    return address, key or os.environ.get("TILED_API_KEY") or DataFolder.at().key("writer")


def running_server(served: DataFolder) -> Server | None:
    """The Tiled server over a data folder, if one runs."""
    if served.running() is None:
        logger.warning(
            "no Tiled server runs over %s: runs go to the journal and to files only; "
            "start one with `beamline tiled --folder %s`",
            served.root,
            served.root,
        )
        return None
    return None, None, served.root
