"""Pre-edge line, post-edge polynomial, edge step, normalised and flattened mu."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._edge import find_e0
from ._spectra import MINIMUM_POINTS, as_spectra, by_mask, one_or_many

__all__ = ["PreEdge", "pre_edge"]

LARGEST_KEV = 150.0
"""Energies that are all below it may be in keV: it is above the K edge of uranium."""


@dataclass(frozen=True)
class PreEdge:
    """What :func:`pre_edge` finds; arrays have the shape of mu, numbers that of its stack.

    Attributes
    ----------
    e0 : float or ndarray
        Edge energy in eV.
    edge_step : float or ndarray
        Height of the edge at E0, in the units of mu.
    norm : ndarray
        Normalised mu: the pre-edge is 0, the post-edge about 1.
    flat : ndarray
        `norm` with the curvature of the post-edge removed above E0.
    pre_edge, post_edge : ndarray
        The fitted curves, in the units of mu.
    norm_errors : ndarray or None
        Standard deviation of `norm`, where that of mu was given. It contains what the
        noise does to the fitted curves and to the edge step.
    edge_step_error : float, ndarray or None
        Standard deviation of the edge step from the noise alone; the choice of the ranges
        often matters more.
    """

    e0: Any
    edge_step: Any
    norm: np.ndarray
    flat: np.ndarray
    pre_edge: np.ndarray
    post_edge: np.ndarray
    norm_errors: np.ndarray | None = None
    edge_step_error: Any = None


def pre_edge(
    energy: Any,
    mu: Any,
    e0: Any = None,
    *,
    mu_errors: Any = None,
    step: Any = None,
    nnorm: int | None = None,
    nvict: int = 0,
    pre1: float | None = None,
    pre2: float | None = None,
    norm1: float | None = None,
    norm2: float | None = None,
) -> PreEdge:
    """Normalise mu(E): a line through the pre-edge, a polynomial through the post-edge.

    Newville, Rev. Mineral. Geochem. 78, 33 (2014), section 5.

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV, strictly increasing.
    mu : array_like, shape (..., n)
        One spectrum or a stack. Points that are not finite stay so and are not fitted.
    e0 : float or array_like, shape (...), optional
        Edge energy in eV, one for all or one each. By default that of :func:`find_e0`, of a
        stack the median of all, so that noise does not move the spectra against each other.
    mu_errors : array_like, shape (..., n), optional
        Standard deviation of mu, of independent points.
    step : float or array_like, shape (...), optional
        Edge step to use instead of the fitted one.
    nnorm : int, optional
        Degree of the post-edge polynomial, 0 to 3; by default 2 for a post-edge range of
        more than 300 eV, 1 for more than 30 eV, else 0.
    nvict : int
        The pre-edge line is fitted to mu times E to this power.
    pre1, pre2 : float, optional
        Pre-edge range in eV from E0; by default from the first point (the second, to spare
        a start-up artefact) to half that distance.
    norm1, norm2 : float, optional
        Post-edge range in eV from E0; by default up to the last point, from a third of
        that distance but at most 25 eV.

    Raises
    ------
    ValueError
        When a range holds too few points, with the range and the spectrum's own.
    """
    energy, mu = as_spectra(energy, mu)
    if e0 is None:
        e0 = np.median(find_e0(energy, mu))
    e0 = np.asarray(e0, dtype=float)
    if e0.ndim and e0.shape != mu.shape[:-1]:
        raise ValueError(
            f"e0 has shape {e0.shape} for spectra of shape {mu.shape}; give one number, or one "
            f"for each spectrum, shape {mu.shape[:-1]}"
        )
    ranges = (pre1, pre2, norm1, norm2)
    if e0.ndim == 0:
        parts = _normalise(energy, mu, float(e0), mu_errors, step, nnorm, nvict, ranges)
    else:
        parts = _each_e0(energy, mu, e0, mu_errors, step, nnorm, nvict, ranges)
    edge_step, norm, flat, pre, post, norm_errors, step_error = parts
    worst = float(np.min(edge_step))
    if not worst > 0:
        raise ValueError(
            f"the edge step at {float(e0.flat[np.argmin(edge_step) if e0.ndim else 0]):.1f} eV is "
            f"{worst:.3g}, not positive: is there an edge, and do the pre-edge and post-edge "
            "ranges lie on its two sides?"
        )
    return PreEdge(
        one_or_many(e0),
        one_or_many(edge_step),
        norm,
        flat,
        pre,
        post,
        norm_errors,
        None if step_error is None else one_or_many(step_error),
    )


def _each_e0(
    energy: np.ndarray, mu: np.ndarray, e0: np.ndarray, mu_errors: Any, step: Any, *rest: Any
) -> list[Any]:
    """Normalise spectra of several edge energies, those of one energy together."""
    errors = None if mu_errors is None else np.broadcast_to(mu_errors, mu.shape)
    steps = None if step is None else np.broadcast_to(step, e0.shape)
    together: list[Any] | None = None
    for value in np.unique(e0):
        these = e0 == value
        parts = _normalise(
            energy,
            mu[these],
            float(value),
            None if errors is None else errors[these],
            None if steps is None else steps[these],
            *rest,
        )
        if together is None:
            together = [None if p is None else np.empty(e0.shape + p.shape[1:]) for p in parts]
        for whole, part in zip(together, parts, strict=True):
            if whole is not None:
                whole[these] = part
    if together is None:
        raise ValueError("there are no spectra in the stack")
    return together


def _normalise(
    energy: np.ndarray,
    mu: np.ndarray,
    e0: float,
    mu_errors: Any,
    step: Any,
    nnorm: int | None,
    nvict: int,
    ranges: tuple[float | None, ...],
) -> list[Any]:
    measured = np.isfinite(mu.reshape(-1, len(energy))).any(axis=0) & np.isfinite(energy)
    fits = _Fits(energy[measured], e0, nnorm, nvict, ranges)
    coefficients = by_mask(energy, mu, fits.solve)
    pre, post = fits.curves(energy, coefficients)
    at_e0 = fits.curves(np.array([e0]), coefficients)
    fitted = (at_e0[1] - at_e0[0])[..., 0]
    edge_step = fitted if step is None else np.broadcast_to(np.asarray(step, float), fitted.shape)
    height = edge_step[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        norm = (mu - pre) / height
        flat = np.where(energy > e0, (mu - post + fitted[..., None]) / height, norm)
        if mu_errors is None:
            return [edge_step, norm, flat, pre, post, None, None]
        sigma = np.broadcast_to(np.asarray(mu_errors, float), mu.shape)
        norm_errors, step_error = fits.errors(energy, norm, height, sigma, step is not None)
    return [edge_step, norm, flat, pre, post, norm_errors, step_error]


class _Fits:
    """Both least-squares fits, as matrices that turn mu into coefficients."""

    def __init__(
        self,
        energy: np.ndarray,
        e0: float,
        nnorm: int | None,
        nvict: int,
        ranges: tuple[float | None, ...],
    ) -> None:
        if len(energy) < MINIMUM_POINTS:
            raise ValueError(
                f"the spectrum has {len(energy)} usable points; it takes at least {MINIMUM_POINTS}"
            )
        pre1, pre2, norm1, norm2 = ranges
        first = float(energy[1] - e0) if pre1 is None else pre1
        second = first / 2 if pre2 is None else pre2
        last = float(energy[-1] - e0) if norm2 is None else norm2
        third = min(25.0, last / 3) if norm1 is None else norm1
        if nnorm is None:
            nnorm = 2 if last - third > 300 else 1 if last - third > 30 else 0
        self.e0, self.degree, self.nvict = e0, nnorm, nvict
        self.before, self.after = sorted((first, second)), sorted((third, last))
        # Powers of a number of order 1 keep the fit well conditioned.
        self.span = max(abs(third), abs(last), 1.0)

    def solve(self, energy: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """Coefficients of the two curves, shape (m, 2 + degree + 1), from mu of shape (m, n)."""
        pre, post, before, after = self._matrices(energy)
        return np.concatenate([mu[:, before] @ pre.T, mu[:, after] @ post.T], axis=1)

    def curves(self, energy: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pre-edge and post-edge curves at energies of shape (n,), each of shape (..., n)."""
        x = (energy - self.e0) / self.span
        pre = coefficients[..., :1] + coefficients[..., 1:2] * x
        if self.nvict:
            pre = pre * (self.e0 / energy) ** self.nvict
        post = coefficients[..., 2:] @ np.vander(x, self.degree + 1, increasing=True).T
        return pre, post

    def errors(
        self,
        energy: np.ndarray,
        norm: np.ndarray,
        height: np.ndarray,
        sigma: np.ndarray,
        pinned: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Standard deviations of the normalised mu and of the edge step.

        Linear propagation: norm depends on mu itself, on the pre-edge line and on the step.
        """

        def variances(x: np.ndarray, spread: np.ndarray) -> np.ndarray:
            pre, _, before, _ = self._matrices(x)
            basis = np.stack([np.ones(len(energy)), (energy - self.e0) / self.span], axis=1)
            if self.nvict:
                basis = basis * ((self.e0 / energy) ** self.nvict)[:, None]
            line = np.zeros((len(energy), len(x)))
            line[:, before] = basis @ pre
            direct = (energy[:, None] == x[None, :]).astype(float) - line
            rise = np.zeros(len(x)) if pinned else self._step_weights(x)
            square = spread**2
            return np.stack(
                [
                    square @ (direct**2).T,
                    square @ (direct * rise).T,
                    np.repeat((square @ rise**2)[:, None], len(energy), axis=1),
                ],
                axis=1,
            )

        finite = np.where(np.isfinite(norm), sigma, np.nan)
        own, shared, step = np.moveaxis(by_mask(energy, finite, variances), -2, 0)
        total = own - 2 * norm * shared + norm**2 * step
        return np.sqrt(np.maximum(total, 0.0)) / height, np.sqrt(step[..., 0])

    def _step_weights(self, energy: np.ndarray) -> np.ndarray:
        """What each point of mu adds to the edge step."""
        pre, post, before, after = self._matrices(energy)
        weights = np.zeros(len(energy))
        weights[after] += post[0]
        weights[before] -= pre[0]
        return weights

    def _matrices(self, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray, slice, slice]:
        before = self._range(energy, self.before, 1, "pre-edge")
        after = self._range(energy, self.after, self.degree, "post-edge")
        x = (energy - self.e0) / self.span
        line = np.vander(x[before], 2, increasing=True)
        pre = np.linalg.pinv(line)
        if self.nvict:
            pre = pre * (energy[before] / self.e0) ** self.nvict
        post = np.linalg.pinv(np.vander(x[after], self.degree + 1, increasing=True))
        return pre, post, before, after

    def _range(self, energy: np.ndarray, bounds: list[float], degree: int, what: str) -> slice:
        low, high = bounds
        start, stop = np.searchsorted(energy - self.e0, [low, np.nextafter(high, np.inf)])
        if stop - start <= degree:
            raise ValueError(
                f"the {what} range {low:.0f} to {high:.0f} eV from E0 = {self.e0:.1f} eV holds "
                f"{stop - start} points; the spectrum spans {energy[0] - self.e0:.0f} to "
                f"{energy[-1] - self.e0:.0f} eV"
                + ("; energies are in eV, are these keV?" if energy[-1] < LARGEST_KEV else "")
            )
        return slice(int(start), int(stop))
