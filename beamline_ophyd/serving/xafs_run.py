"""The class in which Tiled's client opens an absorption run: a Bluesky run that knows its spectrum.

Registered through the entry point ``tiled.special_client``, so every Tiled client in an
environment with this package opens runs with the spec XAFSRun in it, with no import of ours.
"""

import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from bluesky_tiled_plugins.clients.bluesky_run import BlueskyRunV3
from tiled.client.constructors import from_context

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.earlier import earlier_runs
from beamline_ophyd.formats.run import Run

from .contents import FILES, file_key
from .runs import MEASURED_KEY

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from beamline_ophyd.analysis.xafs import PreEdge

__all__ = ["XAFSRun"]

logger = logging.getLogger(__name__)

# Wave number of the weight with which chi is drawn, as everybody does to see its end.
_K_WEIGHT = 2


class XAFSRun(BlueskyRunV3):
    """A Bluesky run that is an absorption spectrum.

    All that a Bluesky run has is there too: ``run.primary.read()``, ``run.documents()``,
    ``run.start``. A run that still goes on gives the spectrum of the points taken so far.

    Examples
    --------
    >>> run = connect().runs[-1]  # doctest: +SKIP
    >>> run.normalized().plot()  # doctest: +SKIP
    """

    def __repr__(self) -> str:
        start, words = self._about("start"), self._about(MEASURED_KEY)
        edge = "-".join(words[key] for key in ("element", "edge") if key in words)
        sample = f" of {words['sample']!r}" if "sample" in words else ""
        when = dt.datetime.fromtimestamp(start["time"]).isoformat(sep=" ", timespec="minutes")
        going = "" if self.metadata.get("stop") else " (goes on)"
        return (
            f"<XAFSRun {edge or 'spectrum'}{sample} {words.get('mode', '')} "
            f"scan_id={start.get('scan_id', 'UNSET')} uid={start['uid'][:8]!r} {when}{going}>"
        )

    def scan_data(self) -> ScanData:
        """All columns, units and metadata, joined to the runs that this one continues.

        Read anew at each call until the run has its stop document. A warning tells of a continued
        run that is not beside this one.
        """
        kept: ScanData | None = self.__dict__.get("_scan_data")
        if kept is not None:
            return kept
        data = ScanData.from_tiled(self)
        earlier, trouble = earlier_runs(data.run, self._beside)
        if trouble:
            logger.warning("%s", trouble)
        data = replace(data, earlier=earlier)
        if data.run.stop is not None:
            self.__dict__["_scan_data"] = data
        return data

    def _beside(self, uid: str) -> tuple[Run, ...]:
        try:
            run = self._node(*self.path_parts[:-1], uid)
        except KeyError:
            return ()
        return (ScanData.from_tiled(run).run,)

    def _node(self, *path: str) -> Any:
        root: Any = from_context(self.context, self.structure_clients)
        return root["/".join(path)]

    def mu(self, channel: str | None = None) -> "xarray.DataArray":
        """Absorption over ``energy`` in eV, merged over the sweeps.

        Parameters
        ----------
        channel : {"transmission", "fluorescence", "reference"}, optional
            By default the run's mode.

        Returns
        -------
        xarray.DataArray
            With the coordinate ``errors``, the standard deviation from counting statistics,
            where it is known.

        Raises
        ------
        ValueError
            When the run lacks a channel or has no point yet.
        """
        data = self.scan_data()
        mu, errors = data.mu(channel)
        return _over("energy", "eV", data.energy, mu, errors, name="mu", attrs=self._words())

    def normalized(
        self, channel: str | None = None, *, flat: bool = False, **options: Any
    ) -> "xarray.DataArray":
        """Normalised absorption over ``energy``: 0 before the edge, about 1 behind it.

        Parameters
        ----------
        channel : str, optional
            As for :meth:`mu`.
        flat : bool
            Take the curvature of the post-edge out too.
        **options
            For :func:`beamline_ophyd.analysis.xafs.pre_edge`: ``e0``, ``pre1``, ``norm1``, ...

        Returns
        -------
        xarray.DataArray
            With ``errors`` as :meth:`mu` has, and ``e0`` in eV and ``edge_step`` as attributes.

        Raises
        ------
        ValueError
            When there is no edge, or too little of the spectrum on one side of it.
        """
        mu = self.mu(channel)
        edge = self._edge(mu, options)
        return _over(
            "energy",
            "eV",
            mu["energy"].values,
            edge.flat if flat else edge.norm,
            edge.norm_errors,
            name="normalized",
            attrs=self._words() | {"e0": edge.e0, "edge_step": edge.edge_step},
        )

    def chi(self, channel: str | None = None, **options: Any) -> "xarray.DataArray":
        """Fine structure chi(k) over ``k`` in 1/Angstrom.

        Parameters
        ----------
        channel : str, optional
            As for :meth:`mu`.
        **options
            For :func:`beamline_ophyd.analysis.xafs.autobk`: ``rbkg``, ``kmin``, ``kmax``, ...

        Raises
        ------
        ValueError
            When there is no edge, or the spectrum ends too close behind it.
        """
        from beamline_ophyd.analysis.xafs import autobk

        mu = self.mu(channel)
        edge = self._edge(mu, {})
        options.setdefault("mu_errors", _errors(mu))
        background = autobk(mu["energy"].values, mu.values, normalised=edge, **options)
        return _over(
            "k",
            "1/Angstrom",
            background.k,
            background.chi,
            background.chi_errors,
            name="chi",
            attrs=self._words() | {"e0": background.e0, "edge_step": background.edge_step},
        )

    def nexus(self, sweep: int | None = None) -> Any:
        """The NXxas file of the run as a tree: ``run.nexus()["entry/data/intensity"].read()``.

        Parameters
        ----------
        sweep : int, optional
            Number of the sweep, from 1, whose own file is wanted
            (``NXxasWriter(repeats="files")``).

        Raises
        ------
        LookupError
            When the file is not in Tiled, for example because the run still goes on.
        """
        uid = self.path_parts[-1]
        try:
            return self._node(*self.path_parts[:-2], FILES.key, file_key(uid, sweep))
        except KeyError as error:
            which = f"run {uid}" if sweep is None else f"sweep {sweep} of run {uid}"
            raise LookupError(
                f"no NXxas file of {which} is in Tiled; it comes when the run has ended, "
                f"and `beamline replay JOURNAL --files FOLDER` writes one again"
            ) from error

    def plot(
        self,
        what: Literal["mu", "normalized", "chi"] = "normalized",
        *,
        axes: "Axes | None" = None,
        **options: Any,
    ) -> "Axes":
        """Draw the spectrum, with a band of one standard deviation where that is known.

        Parameters
        ----------
        what : {"normalized", "mu", "chi"}
            ``chi`` is drawn times k squared.
        axes : matplotlib.axes.Axes, optional
            To draw into; by default those of a new figure.
        **options
            As for the method of that name.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if what not in ("mu", "normalized", "chi"):
            raise ValueError(f"what is {what!r}; give 'mu', 'normalized' or 'chi'")
        spectrum = getattr(self, what)(**options)
        if axes is None:
            from matplotlib import pyplot

            _, axes = pyplot.subplots(layout="constrained")
        (dimension,) = spectrum.dims
        x = spectrum[dimension].values
        weight = x**_K_WEIGHT if what == "chi" else 1.0
        (line,) = axes.plot(x, weight * spectrum.values, label=spectrum.attrs["uid"][:8])
        if (errors := _errors(spectrum)) is not None:
            low, high = spectrum.values - errors, spectrum.values + errors
            axes.fill_between(x, weight * low, weight * high, color=line.get_color(), alpha=0.3)
        axes.set(**_LABELS[what], title=spectrum.attrs.get("sample", ""))
        return axes

    def _edge(self, mu: "xarray.DataArray", options: dict[str, Any]) -> "PreEdge":
        from beamline_ophyd.analysis.xafs import find_e0, pre_edge

        energy, about = mu["energy"].values, self.scan_data().about.xafs
        options = {"mu_errors": _errors(mu)} | options
        if "e0" not in options and about is not None:
            # Of several edges in one scan, the one that the plan was told.
            options["e0"] = find_e0(energy, mu.values, near=about.e0_ev)
        return pre_edge(energy, mu.values, **options)

    def _about(self, key: str) -> dict[str, Any]:
        return dict(self.metadata.get(key) or {})  # type: ignore[call-overload]

    def _words(self) -> dict[str, Any]:
        """What a search goes by, which says element and sample in plain words."""
        return {"uid": self._about("start")["uid"], **self._about(MEASURED_KEY)}


_LABELS = {
    "mu": {"xlabel": "energy (eV)", "ylabel": r"$\mu(E)$"},
    "normalized": {"xlabel": "energy (eV)", "ylabel": r"normalized $\mu(E)$"},
    "chi": {"xlabel": r"$k$ ($\AA^{-1}$)", "ylabel": r"$k^2 \chi(k)$ ($\AA^{-2}$)"},
}


def _over(
    dimension: str,
    unit: str,
    x: np.ndarray,
    values: np.ndarray,
    errors: np.ndarray | None,
    *,
    name: str,
    attrs: dict[str, Any],
) -> "xarray.DataArray":
    import xarray

    coordinates: dict[str, Any] = {dimension: (dimension, x, {"units": unit})}
    if errors is not None:
        coordinates["errors"] = (dimension, errors)
    return xarray.DataArray(values, coordinates, [dimension], name=name, attrs=attrs)


def _errors(spectrum: "xarray.DataArray") -> np.ndarray | None:
    return spectrum["errors"].values if "errors" in spectrum.coords else None
