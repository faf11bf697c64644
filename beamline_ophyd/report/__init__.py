"""One page a run, for people: figures, numbers, metadata, and what to look at twice.

    from beamline_ophyd.report import write_report

    write_report(ScanData.from_file("scan.nxs"), "scan.html")

The page is one HTML file without scripts; it fetches nothing, and what runs say of themselves
(sample names, comments) is text in it, never markup.
"""

from ._findings import Finding, findings
from ._page import report_html, write_report

__all__ = ["Finding", "findings", "report_html", "write_report"]
