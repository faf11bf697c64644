"""A live reduction for people in the next room: sent to the page beside Tiled."""

import logging
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson

from beamline_ophyd.serving import ServerError
from beamline_ophyd.serving.client import find_server

from .reduction import LiveState
from .views import in_words

__all__ = ["WebView"]

TIMEOUT_S = 2.0
PAUSE_S = 10.0
"""How long a server that did not take a state is left alone."""

logger = logging.getLogger(__name__)


class WebView:
    """Puts each state where the Tiled server's page ``watch/`` shows it.

    A server that is away is told of once and asked again later; the page then shows the newest
    state.

    Parameters
    ----------
    uri, key : str, optional
        Address and writer's key of a server of :mod:`beamline_ophyd.serving`.
    folder : path, optional
        Data folder of a server on this machine, instead of the two above.
    """

    def __init__(
        self, uri: str | None = None, key: str | None = None, *, folder: str | Path | None = None
    ) -> None:
        self._server = (uri, key, folder)
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False)
        self._away_until = 0.0
        self._told = False

    def __call__(self, state: LiveState) -> None:
        """Send a state."""
        if time.monotonic() < self._away_until and state.exit_status is None:
            return
        try:
            uri, key = find_server(*self._server, write=True)
            self._client.put(
                f"{uri.rstrip('/').removesuffix('/api/v1')}/api/v1/watch/state",
                content=orjson.dumps(_plain(state), option=orjson.OPT_SERIALIZE_NUMPY),
                headers={"Authorization": f"Apikey {key}", "Content-Type": "application/json"},
            ).raise_for_status()
        except (httpx.HTTPError, ServerError) as error:
            self._away_until = time.monotonic() + PAUSE_S
            if not self._told:
                self._told = True
                logger.warning("the page watch/ does not show this scan: %s", error)
        else:
            self._told = False

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


def _plain(state: LiveState) -> dict[str, Any]:
    """What the page shows of a state; what is no finite number becomes null in JSON."""
    found: dict[str, Any] = {
        "uid": state.uid,
        "title": state.title,
        "words": in_words(state),
        "points": state.points,
        "planned": state.planned,
        "exit_status": state.exit_status,
    }
    spectrum = state.spectrum
    if spectrum is not None:
        found |= {"energy": _numbers(spectrum.energy), "mu": _numbers(spectrum.mu)}
        if (edge := spectrum.normalised) is not None:
            found |= {"norm": _numbers(edge.flat), "norm_errors": _numbers(edge.norm_errors)}
        if (background := spectrum.background) is not None:
            weight = background.k**2
            errors = None if background.chi_errors is None else weight * background.chi_errors
            found |= {"k": _numbers(background.k), "chi": _numbers(weight * background.chi)}
            found["chi_errors"] = _numbers(errors)
    return found


def _numbers(values: np.ndarray | None) -> np.ndarray | None:
    """As a page draws them: to seven digits, of which orjson writes no more."""
    return None if values is None else np.ascontiguousarray(values, np.float32)
