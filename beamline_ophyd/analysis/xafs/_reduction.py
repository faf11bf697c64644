"""From a run, or an xarray Dataset, to chi(R) in one call."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beamline_ophyd.data import ScanData

from ._background import Background, autobk
from ._edge import find_e0
from ._fourier import FourierTransform, xftf
from ._glitches import find_glitches, masked
from ._normalise import PreEdge, pre_edge
from ._spectra import as_spectra

if TYPE_CHECKING:
    import xarray

__all__ = ["Reduction", "reduce", "reduce_arrays"]


@dataclass(frozen=True)
class Reduction:
    """One spectrum, or a stack on one grid, from mu(E) to chi(R).

    Attributes
    ----------
    energy : ndarray, shape (n,)
        In eV.
    mu : ndarray, shape (..., n)
    mu_errors : ndarray or None
        Standard deviation of mu, where the photon numbers are known.
    glitches : ndarray of bool, shape (..., n)
        Points that are off; they are in `mu`, and counted unless `reduce` was told otherwise.
    normalised : PreEdge
    background : Background
    transform : FourierTransform
    """

    energy: np.ndarray
    mu: np.ndarray
    mu_errors: np.ndarray | None
    glitches: np.ndarray
    normalised: PreEdge
    background: Background
    transform: FourierTransform

    @property
    def e0(self) -> Any:
        """Edge energy in eV."""
        return self.normalised.e0

    @property
    def edge_step(self) -> Any:
        """Edge step, in the units of mu."""
        return self.normalised.edge_step

    def to_dataset(self) -> "xarray.Dataset":
        """All of it as an xarray Dataset over energy, k and r; a stack has the axis `spectrum`.

        A stack of more than one axis has `spectrum_0`, `spectrum_1` and so on.
        """
        import xarray

        axes = self.mu.ndim - 1
        stack = ("spectrum",) if axes == 1 else tuple(f"spectrum_{i}" for i in range(axes))
        on_energy, on_k, on_r = ((*stack, name) for name in ("energy", "k", "r"))
        edge, background, transform = self.normalised, self.background, self.transform
        found = {
            "mu": (on_energy, self.mu),
            "mu_errors": (on_energy, self.mu_errors),
            "glitch": (on_energy, self.glitches),
            "norm": (on_energy, edge.norm),
            "norm_errors": (on_energy, edge.norm_errors),
            "flat": (on_energy, edge.flat),
            "pre_edge": (on_energy, edge.pre_edge),
            "post_edge": (on_energy, edge.post_edge),
            "background": (on_energy, background.bkg),
            "chi": (on_k, background.chi),
            "chi_errors": (on_k, background.chi_errors),
            "chir": (on_r, transform.chir),
            "chir_mag": (on_r, transform.chir_mag),
            "chir_errors": (on_r, transform.chir_errors),
        }
        for name, value in (("e0", edge.e0), ("edge_step", edge.edge_step)):
            found[name] = (stack if np.ndim(value) else (), np.asarray(value))
        units = {"e0": "eV", "energy": "eV", "k": "1/angstrom", "r": "angstrom"}
        dataset = xarray.Dataset(
            {name: one for name, one in found.items() if one[1] is not None},
            {"energy": self.energy, "k": background.k, "r": transform.r},
        )
        for name, unit in units.items():
            dataset[name].attrs["units"] = unit
        return dataset


def reduce(
    scan: "ScanData | xarray.Dataset",
    channel: str | None = None,
    *,
    e0: Any = None,
    near: float | None = None,
    without_glitches: bool = False,
    **options: Any,
) -> Reduction:
    """Reduce a run: E0, normalisation, background and Fourier transform.

    Parameters
    ----------
    scan : ScanData or xarray.Dataset
        A run, also one that has only begun to leave the edge behind; or a Dataset as
        ``ScanData.to_xarray(merged=True)`` makes it, with the coordinate ``energy`` and the
        variables ``mu_transmission``, ``mu_transmission_errors`` and so on. Further axes make a
        stack, such as ``xarray.concat`` of several.
    channel : {"transmission", "fluorescence", "reference"}, optional
        By default the run's mode; of a Dataset the first one that is there.
    e0 : float or array_like, optional
        Edge energy in eV; by default it is found within 25 eV of `near`.
    near : float, optional
        Where the edge is expected, in eV; by default where the run says.
    without_glitches : bool
        Leave out the points that are marked as glitches; by default they count.
    **options
        Of :func:`reduce_arrays`.

    Raises
    ------
    ValueError
        When the run is no absorption spectrum, lacks the channel, or is too short.

    Examples
    --------
    ::

        run = connect().runs[uid]
        found = xafs.reduce(ScanData.from_tiled(run), kmin=3, kmax=12)
        found.e0, found.edge_step
        found.to_dataset().to_netcdf("fe_foil.nc")
    """
    if isinstance(scan, ScanData):
        energy, (mu, errors) = scan.energy, scan.mu(channel)
        contract = scan.about.xafs
        if near is None and contract is not None:
            near = contract.e0_ev
        order = np.argsort(energy, kind="stable")
        energy, mu = energy[order], mu[order]
        errors = None if errors is None else errors[order]
    else:
        energy, mu, errors = _of_dataset(scan, channel)
    return reduce_arrays(
        energy,
        mu,
        errors,
        e0=e0,
        near=near,
        without_glitches=without_glitches,
        **options,
    )


def reduce_arrays(
    energy: Any,
    mu: Any,
    mu_errors: Any = None,
    *,
    e0: Any = None,
    near: float | None = None,
    without_glitches: bool = False,
    rbkg: float = 1.0,
    kmin: float = 3.0,
    kmax: float | None = None,
    kweight: float = 2.0,
    dk: float = 1.0,
    window: str = "hanning",
    rmax_out: float = 10.0,
    **ranges: Any,
) -> Reduction:
    """Reduce arrays, as :func:`reduce` does a run.

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV, strictly increasing.
    mu : array_like, shape (..., n)
    mu_errors : array_like, shape (..., n), optional
        Standard deviation of mu.
    e0, near, without_glitches
        See :func:`reduce`. A stack has one E0, the median, unless one each is given.
    rbkg : float
        See :func:`autobk`.
    kmin, kmax, kweight, dk, window, rmax_out
        See :func:`xftf`; by default up to 1/Angstrom below the end of the data.
    **ranges
        ``pre1``, ``norm2``, ``nnorm`` and the like, see :func:`pre_edge`.
    """
    energy, mu = as_spectra(energy, mu)
    errors = None if mu_errors is None else np.broadcast_to(np.asarray(mu_errors, float), mu.shape)
    if e0 is None:
        e0 = np.median(find_e0(energy, mu, near))
    glitches = find_glitches(energy, mu, e0=float(np.median(e0)))
    used = masked(mu, glitches) if without_glitches else mu
    normalised = pre_edge(energy, used, e0, mu_errors=errors, **ranges)
    background = autobk(energy, used, normalised=normalised, rbkg=rbkg, mu_errors=errors)
    transform = xftf(
        background.k,
        background.chi,
        kmin=kmin,
        kmax=float(background.k[-1]) - 1 if kmax is None else kmax,
        kweight=kweight,
        dk=dk,
        window=window,
        rmax_out=rmax_out,
        chi_errors=background.chi_errors,
    )
    return Reduction(energy, mu, errors, glitches, normalised, background, transform)


def _of_dataset(
    dataset: "xarray.Dataset", channel: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    there = [
        str(name).removeprefix("mu_")
        for name in dataset.data_vars
        if str(name).startswith("mu_") and not str(name).endswith("_errors")
    ]
    channel = channel or next(iter(there), None)
    if channel not in there or "energy" not in dataset.coords:
        have = ", ".join(map(str, dataset.variables)) or "nothing"
        raise ValueError(
            f"the Dataset has {have}; it takes the coordinate energy and a variable such as "
            "mu_transmission, as ScanData.to_xarray(merged=True) makes them"
        )
    ordered = dataset.sortby("energy").transpose(..., "energy")
    errors = ordered.get(f"mu_{channel}_errors")
    return (
        ordered["energy"].values,
        ordered[f"mu_{channel}"].values,
        None if errors is None else errors.values,
    )
