"""Runs what the documentation shows: the code of a page, block after block, as a reader would."""

import re
from pathlib import Path
from typing import Any

__all__ = ["DOCS", "code_blocks", "run_page"]

DOCS = Path(__file__).parents[1] / "docs"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page, language):
    """The page's blocks of a language: (line of the first statement, text)."""
    text = (DOCS / page).read_text()
    return [
        (text.count("\n", 0, found.start()) + 2, found[2])
        for found in _BLOCK.finditer(text)
        if found[1] == language
    ]


def run_page(page) -> dict[str, Any]:
    """Run the page's Python, and return its names; a traceback shows the page's lines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, text in code_blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(DOCS / page), "exec"), names)
    return names
