import numpy as np
import pytest
from lmfit.lineshapes import pvoigt

from beamline_ophyd import ScanData
from beamline_ophyd.analysis import xrd

CU_KALPHA1 = 1.5405929  # G. Hoelzer et al., Phys. Rev. A 56, 4554 (1997)
CU_KALPHA2 = 1.5444274
SI = 5.431144  # NIST SRM 640f
LAB6 = 4.156826  # NIST SRM 660c
SI_LINES = [(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 0, 0), (3, 3, 1), (4, 2, 2), (3, 3, 3), (4, 4, 0)]
LAB6_LINES = [
    (1, 0, 0),
    (1, 1, 0),
    (1, 1, 1),
    (2, 0, 0),
    (2, 1, 0),
    (2, 1, 1),
    (2, 2, 0),
    (3, 0, 0),
]


def angles(a, lines, wavelength=CU_KALPHA1):
    return np.array([xrd.two_theta(a / np.linalg.norm(hkl), wavelength) for hkl in lines])


def counted(positions, *, fwhm=0.08, fraction=0.4, height=5000, step=0.01, seed=1, ratio=None):
    """A counted pattern of pseudo-Voigt lines on a background of 50 counts."""
    x = np.arange(positions[0] - 2, positions[-1] + 2, step)
    y = np.full(len(x), 50.0)
    for at in positions:
        lines = [(at, 1.0)]
        if ratio is not None:
            second = 2 * np.degrees(np.arcsin(ratio * np.sin(np.radians(at / 2))))
            lines.append((second, 0.5))
        for centre, part in lines:
            line = pvoigt(x, 1.0, centre, fwhm / 2, fraction)
            y += part * height * line / pvoigt(centre, 1.0, centre, fwhm / 2, fraction)
    return x, np.random.default_rng(seed).poisson(y)


@pytest.mark.parametrize(
    ("a", "lines", "published"),
    [
        (SI, SI_LINES[:3], [28.4412, 47.3007, 56.1199]),
        (LAB6, LAB6_LINES[:2], [21.3583, 30.3854]),
    ],
)
def test_lines_of_the_standards_are_where_they_are_published(a, lines, published):
    np.testing.assert_allclose(angles(a, lines), published, atol=1e-4)
    d = xrd.d_spacing(published, CU_KALPHA1)
    np.testing.assert_allclose(d, a / np.linalg.norm(lines, axis=1), rtol=1e-5)


def test_there_is_no_line_beyond_half_a_wavelength():
    assert np.isnan(xrd.two_theta(0.5, CU_KALPHA1))
    with pytest.raises(ValueError, match="give angles above 0"):
        xrd.d_spacing([10.0, 0.0], CU_KALPHA1)


@pytest.mark.parametrize("height", [60, 5000])
def test_peaks_that_stand_out_are_found_and_no_others(height):
    positions = angles(SI, SI_LINES)
    x, y = counted(positions, height=height)
    found = xrd.find_peaks(x, y)
    np.testing.assert_allclose([peak.two_theta for peak in found], positions, atol=0.06)
    assert [p.height for p in found] == pytest.approx([height] * len(found), rel=0.4)


def test_noise_has_no_peaks():
    flat = np.random.default_rng(5).poisson(20, 20_000)
    assert xrd.find_peaks(np.linspace(10, 100, 20_000), flat) == []


@pytest.mark.parametrize(
    ("shape", "fraction"), [("gaussian", 0.0), ("lorentzian", 1.0), ("pseudo-voigt", 0.4)]
)
def test_a_peak_is_what_it_was_made_of(shape, fraction):
    x, y = counted([28.4412], fraction=fraction)
    fit = xrd.fit_peak(x, y, 28.4, shape=shape)
    assert fit.centre == pytest.approx(28.4412, abs=4 * fit.centre_error)
    assert fit.fwhm == pytest.approx(0.08, abs=4 * fit.fwhm_error)
    assert fit.height == pytest.approx(5000, abs=4 * fit.height_error)
    assert fit.background == pytest.approx(50, abs=3)
    assert fit.reduced_chi_square == pytest.approx(1, abs=0.3)
    assert fit.fraction == pytest.approx(fraction, abs=0.06)
    assert 0 < fit.centre_error < 0.001


def test_errors_are_the_scatter_of_patterns():
    fits = [xrd.fit_peak(*counted([28.4412], height=400, seed=s), 28.44) for s in range(60)]
    for name in ("centre", "fwhm", "height", "area"):
        scatter = np.std([getattr(fit, name) for fit in fits])
        told = np.mean([getattr(fit, f"{name}_error") for fit in fits])
        assert scatter == pytest.approx(told, rel=0.35)
    made = 400 * 0.08 / 2 * np.pi / (0.4 + 0.6 * np.sqrt(np.pi * np.log(2)))
    assert np.mean([fit.area for fit in fits]) == pytest.approx(made, rel=0.03)


def test_peaks_that_overlap_are_fitted_together():
    x, y = counted([30.0, 30.12])
    fits = xrd.fit_peaks(
        x, y, [xrd.FoundPeak(30.01, 4000, 60, 0.07), xrd.FoundPeak(30.11, 4000, 60, 0.07)]
    )
    assert [fit.centre for fit in fits] == pytest.approx([30.0, 30.12], abs=0.002)
    assert fits[0].result is fits[1].result


def test_the_second_line_of_a_tube_is_taken_along():
    ratio = CU_KALPHA2 / CU_KALPHA1
    x, y = counted([88.0], ratio=ratio)
    fit = xrd.fit_peak(x, y, 88.0, kalpha2=ratio)
    assert fit.centre == pytest.approx(88.0, abs=4 * fit.centre_error)
    assert fit.fwhm == pytest.approx(0.08, abs=4 * fit.fwhm_error)
    assert fit.reduced_chi_square == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"near": 90.0}, "outside of the pattern"),
        ({"near": 27.0}, "no peak stands out"),
        ({"near": 28.44, "shape": "box"}, "give one of gaussian"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, words):
    x, y = counted([28.4412])
    with pytest.raises(ValueError, match=words):
        xrd.fit_peak(x, y, **options)


@pytest.mark.parametrize(
    ("a", "lines", "lattice"), [(SI, SI_LINES, "diamond"), (LAB6, LAB6_LINES, "P")]
)
def test_the_standards_come_out_of_their_patterns(a, lines, lattice):
    """To 6e-5 A, with the zero of two-theta 0.02 degrees off."""
    x, y = counted(angles(a, lines) + 0.02)
    peaks = xrd.fit_peaks(x, y)
    centres, errors = [p.centre for p in peaks], [p.centre_error for p in peaks]
    cell = xrd.index_cubic(centres, CU_KALPHA1, errors=errors)
    assert cell.lattice == lattice
    assert (np.sum(cell.hkl**2, axis=1) == np.sum(np.square(lines), axis=1)).all()
    assert cell.merit > 50
    assert cell.a == pytest.approx(a, abs=6e-5)
    assert cell.a == pytest.approx(a, abs=4 * cell.refined.a_error)
    assert cell.refined.zero_shift == pytest.approx(0.02, abs=0.001)


@pytest.mark.parametrize(
    ("a", "lattice", "lines"),
    [
        (2.8665, "I", [(1, 1, 0), (2, 0, 0), (2, 1, 1), (2, 2, 0), (3, 1, 0)]),
        (3.6149, "F", [(1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1), (2, 2, 2)]),
        (5.6402, "F", [(2, 0, 0), (2, 2, 0), (2, 2, 2), (4, 2, 0), (4, 2, 2), (5, 1, 1)]),
    ],
)
def test_cubic_lattices_are_told_apart_also_with_lines_missing(a, lattice, lines):
    cell = xrd.index_cubic(angles(a, lines), CU_KALPHA1)
    assert (cell.lattice, cell.a) == (lattice, pytest.approx(a, rel=1e-6))


def test_a_short_pattern_does_not_tell_p_from_i_unless_one_says_so():
    short = angles(LAB6, [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0)])
    unsaid = xrd.index_cubic(short, CU_KALPHA1)
    assert (unsaid.lattice, unsaid.a) == ("I", pytest.approx(LAB6 * np.sqrt(2)))
    assert xrd.index_cubic(short, CU_KALPHA1, lattice="P").a == pytest.approx(LAB6)
    with pytest.raises(ValueError, match="give one of diamond"):
        xrd.index_cubic(short, CU_KALPHA1, lattice="C")


def test_lines_of_no_cubic_lattice_are_refused():
    with pytest.raises(ValueError, match="no cubic lattice has these"):
        xrd.index_cubic([20.0, 23.1, 29.7, 33.9, 41.2], CU_KALPHA1, tolerance=0.02)
    with pytest.raises(ValueError, match="at least three"):
        xrd.index_cubic([20.0, 30.0], CU_KALPHA1)


@pytest.mark.parametrize(
    ("system", "a", "c", "squares"),
    [
        ("tetragonal", 4.5937, 2.9587, lambda h, k, a: (h**2 + k**2) / a**2),  # rutile
        ("hexagonal", 2.6649, 4.9468, lambda h, k, a: 4 / 3 * (h**2 + h * k + k**2) / a**2),  # Zn
    ],
)
def test_lattices_of_two_axes_are_refined(system, a, c, squares):
    hkl = np.array([(1, 0, 1), (1, 1, 0), (0, 0, 2), (1, 1, 2), (2, 0, 0), (2, 0, 1)])
    inverse = np.array([squares(h, k, a) + el**2 / c**2 for h, k, el in hkl])
    positions = xrd.two_theta(1 / np.sqrt(inverse), CU_KALPHA1)
    noise = 0.002 * np.random.default_rng(3).standard_normal((200, len(hkl)))
    found = [
        xrd.refine_lattice(positions + 0.03 + one, hkl, CU_KALPHA1, system, errors=0.002 + 0 * one)
        for one in noise
    ]
    assert np.mean([f.a for f in found]) == pytest.approx(a, abs=1e-4)
    assert np.mean([f.c for f in found]) == pytest.approx(c, abs=1e-4)
    assert np.mean([f.zero_shift for f in found]) == pytest.approx(0.03, abs=0.001)
    told = np.array([(f.a_error, f.c_error) for f in found]) / np.sqrt(
        [[max(f.reduced_chi_square or 1.0, 1.0)] for f in found]
    )
    scatter = np.std([(f.a, f.c) for f in found], axis=0)
    np.testing.assert_allclose(scatter, told.mean(axis=0), rtol=0.2)


def test_a_refinement_says_what_it_lacks():
    with pytest.raises(ValueError, match="too few for 2 parameters"):
        xrd.refine_lattice([28.44], [(1, 1, 1)], CU_KALPHA1)
    with pytest.raises(ValueError, match="do not tell a from c"):
        xrd.refine_lattice([20.0, 41.0, 63.0], [(1, 0, 0), (2, 0, 0), (3, 0, 0)], 1.54, "hexagonal")


def test_scherrers_size_comes_back_from_a_counted_peak():
    """A line of 400 A and an instrument of 0.05 degrees, as a pseudo-Voigt of both: within 3 %."""
    at, size, instrument = 47.3007, 400.0, 0.05
    lorentzian = np.degrees(0.94 * CU_KALPHA1 / (size * np.cos(np.radians(at / 2))))
    # Thompson, Cox and Hastings: the width and Lorentzian part of the convolution.
    g, el = instrument, lorentzian
    total = (
        g**5
        + 2.69269 * g**4 * el
        + 2.42843 * g**3 * el**2
        + 4.47163 * g**2 * el**3
        + 0.07842 * g * el**4
        + el**5
    ) ** 0.2
    part = el / total
    eta = 1.36603 * part - 0.47719 * part**2 + 0.11116 * part**3
    x, y = counted([at], fwhm=total, fraction=eta, height=20_000)
    fit = xrd.fit_peak(x, y)
    gaussian, broadening = fit.widths
    assert gaussian == pytest.approx(instrument, rel=0.1)
    found = xrd.scherrer_size(at, broadening, CU_KALPHA1, fwhm_error=fit.fwhm_error)
    assert found.angstrom == pytest.approx(size, rel=0.03)
    assert 0 < found.error < 20


def test_the_instruments_width_is_taken_out():
    wide = xrd.scherrer_size(40.0, 0.5, 1.54, instrument=0.3, shape="gaussian")
    assert wide.broadening == pytest.approx(0.4)
    assert xrd.scherrer_size(40.0, 0.5, 1.54, instrument=0.1).broadening == pytest.approx(0.4)
    with pytest.raises(ValueError, match="too large for this instrument"):
        xrd.scherrer_size(40.0, 0.1, 1.54, instrument=0.1)


def powder_run(monitor=None, **columns):
    roles = {"two_theta": "tth", "counts": "det", "monitor": monitor}
    contract = {"version": 1, "roles": roles, "wavelength_angstrom": 1.5}
    rows = len(columns["tth"])
    page = {
        "descriptor": "d",
        "seq_num": list(range(1, rows + 1)),
        "time": [0.0] * rows,
        "uid": [str(i) for i in range(rows)],
        "data": columns,
    }
    keys = {name: {"dtype": "number", "shape": [], "source": "test"} for name in columns}
    documents = [
        ("start", {"uid": "r", "time": 0.0, "powder": contract}),
        ("descriptor", {"uid": "d", "name": "primary", "data_keys": keys}),
        ("event_page", page),
    ]
    return ScanData.from_documents(documents)


def test_a_powder_scan_is_a_pattern():
    run = powder_run(tth=[31.0, 30.0, 32.0, np.nan], det=[100.0, 50.0, 400.0, 1.0])
    found = xrd.pattern(run)
    assert found.two_theta.tolist() == [30.0, 31.0, 32.0]
    assert found.counts.tolist() == found.intensity.tolist() == [50.0, 100.0, 400.0]
    assert found.errors[2] == 20
    assert found.wavelength == 1.5


def test_the_incident_beam_is_divided_out():
    run = powder_run("I0", tth=[30.0, 31.0], det=[100.0, 50.0], I0=[2e6, 1e6])
    found = xrd.pattern(run)
    assert found.intensity[0] == pytest.approx(found.intensity[1]) == pytest.approx(75.0)
    assert found.errors[0] == pytest.approx(10 * 0.75)


def test_other_runs_have_no_pattern(xafs_documents):
    with pytest.raises(ValueError, match="is no powder scan"):
        xrd.pattern(ScanData.from_documents(xafs_documents()))
    with pytest.raises(ValueError, match="lacks I0"):
        xrd.pattern(powder_run("I0", tth=[30.0], det=[1.0]))
