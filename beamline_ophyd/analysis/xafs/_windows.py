"""Windows of Fourier transforms."""

from typing import Any

import numpy as np
from scipy.special import i0 as bessel_i0

__all__ = ["WINDOWS", "ftwindow"]

WINDOWS = ("kaiser", "hanning", "parzen", "welch", "sine", "gaussian")


def ftwindow(
    x: Any,
    xmin: float | None = None,
    xmax: float | None = None,
    dx: float = 1.0,
    dx2: float | None = None,
    window: str = "hanning",
) -> np.ndarray:
    """Window over a range of k or R, rising and falling around its ends.

    With ``x1, x2 = xmin -+ dx/2`` and ``x3, x4 = xmax -+ dx2/2`` the window is 0 outside of
    x1 to x4. Between the sills x2 and x3 hanning (sin^2 sills), parzen (straight) and welch
    (quadratic) are 1; sine and kaiser, ``(I0(dx sqrt(1 - u^2)) - 1) / (I0(dx) - 1)`` with u
    from -1 at x1 to 1 at x4, span the whole range; gaussian is ``exp(-(x - centre)^2 / 2 dx^2)``
    and has no end.

    Parameters
    ----------
    x : array_like, shape (n,)
        k in 1/Angstrom or R in Angstrom.
    xmin, xmax : float, optional
        The range; by default that of `x`.
    dx, dx2 : float
        Widths of the two sills, in the units of x; `dx2` is `dx` by default. For kaiser and
        gaussian `dx` is their parameter.
    window : {"hanning", "kaiser", "parzen", "welch", "sine", "gaussian"}
        A name may be cut to its first three letters.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        For a window of another name, negative widths, or an empty range.

    Examples
    --------
    >>> [float(w) for w in ftwindow([1, 2, 3, 4, 5], xmin=2, xmax=4, dx=2, window="parzen")]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    x = np.asarray(x, dtype=float)
    name = next((w for w in WINDOWS if w[:3] == window.lower()[:3]), None)
    if name is None:
        raise ValueError(f"window is {window!r}; give one of {', '.join(WINDOWS)}")
    xmin = float(np.min(x)) if xmin is None else float(xmin)
    xmax = float(np.max(x)) if xmax is None else float(xmax)
    dx2 = dx if dx2 is None else dx2
    if min(dx, dx2) < 0 or (name == "gaussian" and not dx > 0):
        least = "more than 0" if name == "gaussian" else "0 or more"
        raise ValueError(f"dx is {dx:g} and dx2 {dx2:g}; a {name} window takes {least}")
    x1, x4 = xmin - dx / 2, xmax + dx2 / 2
    centre, half = (x1 + x4) / 2, (x4 - x1) / 2
    if not half > 0:
        raise ValueError(f"the window from {xmin:g} to {xmax:g} is empty; raise its upper end")
    if name == "gaussian":
        return np.exp(-((x - centre) ** 2) / (2 * dx**2))
    if name == "sine":
        return np.where((x >= x1) & (x <= x4), np.sin(np.pi * (x4 - x) / (2 * half)), 0.0)
    if name == "kaiser":
        inside = np.maximum(1 - ((x - centre) / half) ** 2, 0.0)
        return (bessel_i0(dx * np.sqrt(inside)) - 1) / max(float(bessel_i0(dx)) - 1, 1e-10)
    # 0 at the outer end of a sill, 1 at its inner end; a sill of no width is a step.
    rise = np.clip((x - x1) / dx, 0, 1) if dx > 0 else (x >= xmin).astype(float)
    fall = np.clip((x4 - x) / dx2, 0, 1) if dx2 > 0 else (x <= xmax).astype(float)
    up = np.minimum(rise, fall)
    if name == "hanning":
        return np.sin(np.pi * up / 2) ** 2
    return up if name == "parzen" else 1 - (1 - up) ** 2
