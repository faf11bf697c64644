"""Small XDI files for tests."""


def write_xdi(path, *lines, element="# Element.symbol: Fe", edge="# Element.edge: K"):
    header = ["# XDI/1.0", element, edge, "# Column.1: energy eV", "# Column.2: mutrans"]
    path.write_text("\n".join([*header, "# ----", *lines]) + "\n")
    return path
