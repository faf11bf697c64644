"""Reduces scans of library samples with larch and fits their first shell, where larch is.

    python sample_judge.py SCANS.npz RESULTS.json

SCANS holds `energy/STEM`, `mu/STEM` and `reference/STEM`, mu of the foil behind the sample. RESULTS
has for each stem larch's E0 of the sample, of the foil and of what is below the main edge of an
oxide ("onset"), in eV, and the distance of the first path in
Angstrom. The paths are FEFF's for the recipe's crystal, but the fit starts 3 % away from them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xraydb
from larch import Group  # pyright: ignore[reportMissingImports]
from larch.fitting import guess, param_group  # pyright: ignore[reportMissingImports]
from larch.xafs import (  # pyright: ignore[reportMissingImports]
    autobk,
    feffit,
    feffit_dataset,
    feffit_transform,
    find_e0,
    pre_edge,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "device_server" / "samples"))
from generator.exafs import run_feff  # pyright: ignore[reportMissingImports]
from generator.recipes import RECIPES  # pyright: ignore[reportMissingImports]

START_TOO_LONG = 0.03
FIRST_SHELL_A = 0.45  # beyond the first path: bcc and hexagonal metals, corundum have two distances
ONSET_EV = 4.0  # beyond the tabulated edge: below the main edge of an oxide
SHELLS_A = 1.1  # beyond the first path: the next shell, which leaks into the first one's peak


def fit_first_distance(group, recipe):
    """Distance of the first path, when it and the next ones are stretched alike."""
    paths = run_feff(recipe.crystal, recipe.edge, 5.0)
    nearest = min(path.reff for path in paths)
    paths = [path for path in paths if path.reff <= nearest + SHELLS_A + 0.25]
    pars = param_group(
        amp=guess(0.8, min=0.1, max=2.0),
        shift=guess(0.0, min=-20.0, max=20.0),
        stretch=guess(START_TOO_LONG, min=-0.1, max=0.1),
        near=guess(0.005, min=0.0, max=0.05),
        far=guess(0.005, min=0.0, max=0.05),
    )
    for path in paths:
        path.s02, path.e0 = "amp", "shift"
        path.sigma2 = "near" if path.reff <= nearest + FIRST_SHELL_A else "far"
        path.deltar = f"stretch * {path.reff}"
    transform = feffit_transform(
        kmin=3.0,
        kmax=recipe.k_max - 2.0 if recipe.k_max > 10 else 8.5,
        kweight=2,
        dk=1,
        window="hanning",
        rmin=max(1.1, nearest - 1.0),
        rmax=nearest + SHELLS_A,
    )
    out = feffit(pars, [feffit_dataset(data=group, pathlist=paths, transform=transform)])
    return nearest * (1 + out.paramgroup.stretch.value)


scans = np.load(sys.argv[1])
results = {}
for recipe in RECIPES:
    if f"mu/{recipe.stem}" not in scans:
        continue
    group = Group(energy=scans[f"energy/{recipe.stem}"], mu=scans[f"mu/{recipe.stem}"])
    pre_edge(group)
    autobk(group, rbkg=1.0, kweight=2)
    distance = fit_first_distance(group, recipe)
    edge = float(xraydb.xray_edge(recipe.symbol, recipe.edge).energy)
    begin = group.energy < edge + ONSET_EV
    onset = find_e0(group.energy[begin], group.mu[begin])
    results[recipe.stem] = {
        "e0": float(group.e0),
        "reference": float(find_e0(group.energy, scans[f"reference/{recipe.stem}"])),
        "onset": float(onset),
        "distance": float(distance),
    }
Path(sys.argv[2]).write_text(json.dumps(results))
