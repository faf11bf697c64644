"""Reading and writing runs: documents, journal lines, NeXus trees.

Shared by the callbacks, which write while a scan runs, and by everything that moves a
run from one form to another afterwards.
"""
