"""Scattering paths as FEFF writes them, and the chi(k) of one."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from beamline_ophyd.edges import K_CONSTANT_EV_A2

__all__ = ["FeffPath"]

COLUMNS = 7


@dataclass(frozen=True, eq=False)
class FeffPath:
    """One scattering path: a file ``feffNNNN.dat`` of FEFF 6 to 8.

    Made by :meth:`read`. The columns are what FEFF calls them.

    Attributes
    ----------
    degeneracy : float
        Number of such paths in the structure that FEFF was given.
    r_eff : float
        Half of the path's length there, in Angstrom.
    legs : int
    atoms : tuple of str
        Elements, the absorber first.
    k : ndarray, shape (n,)
        In 1/Angstrom.
    amplitude, phase : ndarray, shape (n,)
        ``mag[feff]`` times ``red factor``, and ``real[2*phc]`` plus ``phase[feff]``.
    mean_free_path : ndarray, shape (n,)
        ``lambda``, in Angstrom.
    real_p : ndarray, shape (n,)
        Real part of the wave number with the self-energy, in 1/Angstrom.
    title : str
    """

    degeneracy: float
    r_eff: float
    legs: int
    atoms: tuple[str, ...]
    k: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray
    mean_free_path: np.ndarray
    real_p: np.ndarray
    title: str = ""

    @classmethod
    def read(cls, path: str | Path) -> "FeffPath":
        """Read a file ``feffNNNN.dat``.

        Raises
        ------
        ValueError
            When it is no such file, or cut short.
        OSError
            When it cannot be read.
        """
        lines = Path(path).read_text(encoding="latin-1").splitlines()
        rule = next((i for i, line in enumerate(lines) if line.strip().startswith("-----")), None)
        try:
            if rule is None:
                raise ValueError("it has no line of dashes")
            legs, degeneracy, r_eff = lines[rule + 1].split()[:3]
            first = rule + 3
            count = int(legs)
            atoms = tuple(line.split()[5] for line in lines[first : first + count])
            table = np.array([line.split() for line in lines[first + count + 1 :] if line.strip()])
            numbers = table.astype(float)
            if numbers.ndim != 2 or numbers.shape[1] != COLUMNS or len(numbers) < 4:
                raise ValueError(f"its table has shape {numbers.shape}, not rows of {COLUMNS}")
            head = count, float(degeneracy), float(r_eff)
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"{path} is not a path file of FEFF ({error}); give a file named like feff0001.dat"
            ) from None
        k, phc, mag, phase, reduction, mean_free_path, real_p = numbers.T
        return cls(
            degeneracy=head[1],
            r_eff=head[2],
            legs=head[0],
            atoms=atoms,
            k=k,
            amplitude=mag * reduction,
            phase=phc + phase,
            mean_free_path=mean_free_path,
            real_p=real_p,
            title=lines[0].split("  ")[0].strip(),
        )

    def chi(
        self,
        k: Any,
        *,
        r: float | None = None,
        n: float | None = None,
        s02: float = 1.0,
        sigma2: float = 0.0,
        e0: float = 0.0,
        third: float = 0.0,
        fourth: float = 0.0,
    ) -> np.ndarray:
        """Fine structure of the path: the EXAFS equation with FEFF's complex wave number.

        M. Newville, Rev. Mineral. Geochem. 78, 33 (2014), section 6; with
        ``p = real[p] + i / lambda`` and dR = R - R_eff,
        ``chi = N S02 |f| / (q R^2) exp(-2 R_eff / lambda) exp(-2 p^2 sigma^2 + 2/3 p^4 C4)
        sin(2 q R_eff + phase + 2 p (dR - 2 sigma^2 / R_eff) - 4/3 p^3 C3)``,
        all of it taken at ``q = sqrt(k^2 - e0 / 3.81)`` and the exponents complex.

        Parameters
        ----------
        k : array_like, shape (m,)
            In 1/Angstrom, counted from the E0 of the data.
        r : float, optional
            Half length of the path in Angstrom; by default `r_eff`.
        n : float, optional
            Number of paths; by default `degeneracy`.
        s02 : float
            Amplitude reduction.
        sigma2 : float
            Mean square variation of R, in Angstrom^2.
        e0 : float
            Shift of the origin of k in eV: above the data's E0 where it is positive.
        third, fourth : float
            Cumulants of the distribution of R, in Angstrom^3 and Angstrom^4.

        Returns
        -------
        ndarray, shape (m,)
            0 where k lies below the origin, or beyond FEFF's table.
        """
        k = np.asarray(k, dtype=float)
        r = self.r_eff if r is None else r
        square = k**2 - e0 / K_CONSTANT_EV_A2
        inside = (square > 1e-6) & (square <= self.k[-1] ** 2)
        q = np.sqrt(np.where(inside, square, 1.0))
        amplitude, phase, mean_free_path, real_p = self._at(q).T
        p = real_p + 1j / mean_free_path
        exponent = (
            -2 * self.r_eff / mean_free_path
            - 2 * p**2 * (sigma2 - p**2 * fourth / 3)
            + 1j * (2 * q * self.r_eff + phase)
            + 2j * p * (r - self.r_eff - 2 * sigma2 / self.r_eff - 2 * p**2 * third / 3)
        )
        height = (self.degeneracy if n is None else n) * s02 * amplitude / (q * r**2)
        return np.where(inside, height * np.imag(np.exp(exponent)), 0.0)

    @cached_property
    def _at(self) -> CubicSpline:
        columns = (self.amplitude, self.phase, self.mean_free_path, self.real_p)
        return CubicSpline(self.k, np.stack(columns, axis=1))
