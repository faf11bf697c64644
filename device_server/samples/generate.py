#!/usr/bin/env python3
"""Make the sample library: tables of elements and crystal phases, and the spectra of the samples.

For developers; users add measured spectra instead (docs/how-to/add-a-sample.md). Needs xraydb for
the tables and phases, and xraylarch, which brings FEFF6, for the samples (`make reference`). The
results are committed. `check` compares the foils with measured ones that nothing was fitted to.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def make_tables(options: argparse.Namespace) -> int:
    """Write elements.dat."""
    from generator.tables import write_elements

    write_elements(options.out / "elements.dat")
    return 0


def make_lines(options: argparse.Namespace) -> int:
    """Write the fluorescence lines of the elements."""
    from generator.lines import write_lines
    from generator.tables import LOWEST_EV

    write_lines(options.out / "fluorescence.dat", LOWEST_EV)
    return 0


def make_phases(options: argparse.Namespace) -> int:
    """Write phases.dat."""
    from generator.phases import write_phases

    write_phases(options.out / "phases.dat")
    return 0


def make_samples(options: argparse.Namespace) -> int:
    """Write the spectra of all recipes, or of those asked for."""
    from generator.build import build_sample
    from generator.recipes import RECIPES

    unknown = set(options.only or ()) - {recipe.stem for recipe in RECIPES}
    if unknown:
        known = ", ".join(recipe.stem for recipe in RECIPES)
        sys.stderr.write(f"no recipe for {', '.join(sorted(unknown))}; there are {known}\n")
        return 2
    for recipe in RECIPES:
        if not options.only or recipe.stem in options.only:
            sys.stdout.write(f"{build_sample(recipe, options.data, options.out)}\n")
    return 0


def check_samples(options: argparse.Namespace) -> int:
    """Tell how far the foils are from measured ones; fails when a limit is exceeded."""
    from generator.check import CHECKS, check_sample

    good = True
    for stem, measured in CHECKS:
        found = check_sample(stem, measured, options.data, options.out)
        good = good and found.good
        sys.stdout.write(
            f"{stem} against {measured}: first shell {found.first_shell_angstrom:.3f} A, "
            f"|chi(R)| {100 * found.chi_r:.1f} %, k^2 chi {found.chi_k:.3f}, "
            f"near edge {found.xanes_rms:.4f} ({'good' if found.good else 'TOO FAR'})\n"
        )
    return 0 if good else 1


TASKS = {
    "tables": make_tables,
    "lines": make_lines,
    "phases": make_phases,
    "samples": make_samples,
    "check": check_samples,
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(TASKS))
    parser.add_argument("--only", nargs="*", metavar="NAME", help="samples to make, default all")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("BEAMLINE_REFERENCE_DATA", "../shared/data")),
        help="folder of the measured spectra (default: $BEAMLINE_REFERENCE_DATA)",
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the library")
    options = parser.parse_args()
    return TASKS[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
