"""What a run shows while it is measured."""

import pytest

from beamline_ophyd.callbacks import LiveView
from beamline_ophyd.callbacks.live_view import has_display


def show(documents, **options):
    lines = []
    view = LiveView(out=lines.append, **options)
    for item in documents:
        view(*item)
    return lines, view


def test_the_table_has_the_energy_first_and_a_row_a_point(xafs_documents):
    lines, _ = show(xafs_documents(points=5), table=True, plots=False)
    heading = next(line for line in lines if "seq_num" in line)
    columns = [name.strip() for name in heading.strip("|").split("|")]
    assert columns[:3] == ["seq_num", "time", "mono_energy"]
    assert {"I0", "It", "Ir"} <= set(columns)
    rows = [line for line in lines if line.startswith("|") and "seq_num" not in line]
    assert [int(row.split("|")[1]) for row in rows] == [1, 2, 3, 4, 5]
    assert [float(row.split("|")[3]) for row in rows][-1] == pytest.approx(7200.0, abs=0.1)


def test_a_second_run_has_a_table_of_its_own(xafs_documents):
    runs = [*xafs_documents(points=3, uid="first"), *xafs_documents(points=3, uid="second")]
    lines, _ = show(runs, table=True, plots=False)
    assert sum("seq_num" in line for line in lines) == 2


def test_the_plots_show_each_channel_over_energy(xafs_documents):
    from matplotlib import pyplot

    pyplot.close("all")
    documents = xafs_documents(points=5)
    show(documents, table=False, plots=True)
    (figure,) = map(pyplot.figure, pyplot.get_fignums())
    drawn = {axes.get_ylabel(): axes.lines[0] for axes in figure.axes if axes.lines}
    taken = [doc["data"] for name, doc in documents if name == "event"]
    assert list(drawn["I0"].get_ydata()) == [data["I0"] for data in taken]
    assert list(drawn["I0"].get_xdata()) == [data["mono_energy"] for data in taken]
    pyplot.close("all")


def test_trouble_with_showing_is_told_once_and_hurts_nobody(xafs_documents, caplog):
    def broken(line):
        raise OSError("no terminal any more")

    view = LiveView(table=True, plots=False, out=broken)
    for item in xafs_documents(points=5):
        view(*item)
    assert caplog.text.count("no terminal any more") == 1


def test_without_a_screen_there_is_no_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display()
