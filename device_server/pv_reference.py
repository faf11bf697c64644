#!/usr/bin/env python3
"""Write docs/reference/pvs.md from the databases and record types of the device server.

python device_server/pv_reference.py [--check]

With --check nothing is written, and the exit code is 1 where the page is not up to date.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "reference" / "pvs.md"

#: Macros that a page shows by their names; P, the prefix, is left out.
SHOWN = {"CH": "*CH*", "TEXT": "what the chamber sees"}

OUTPUTS = {"ao", "bo", "longout", "mbbo", "motor", "scaler", "stringout"}
STATES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT")
ALARMS = (("LOLO", "LLSV"), ("LOW", "LSV"), ("HIGH", "HSV"), ("HIHI", "HHSV"))

INTRODUCTION = """\
# PVs of the device server

Made by `python device_server/pv_reference.py` from the databases in `device_server/db`; a change is
made there. Every name has the server's prefix in front, `BL02:` unless `--prefix` gives another.
All are served over Channel Access and PVAccess, with units, limits and alarms; "set" marks those to
put to.
"""


@dataclass
class Record:
    """A record of a database, macros as in the file."""

    type: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)
    group: list[str] = field(default_factory=list)


def read_database(text: str) -> list[Record]:
    """Records of a .db file."""
    records = []
    for line in text.splitlines():
        if opened := re.match(r'record\((\w+), "([^"]+)"\)', line):
            records.append(Record(*opened.groups()))
        elif put := re.match(r'\s+field\((\w+), "([^"]*)"\)', line):
            records[-1].fields[put[1]] = put[2]
        elif told := re.match(r'\s+"(\$\(P\)[^"]+)": \{', line):
            records[-1].group.append(told[1])
    return records


def served_names() -> list[str]:
    """Every PV of the server without its prefix, tables of PVAccess among them."""
    names = []
    for file, uses in loaded_databases().items():
        records = read_database((HERE / "db" / file).read_text(encoding="utf-8"))
        for use in uses:
            macros = dict(pair.split("=", 1) for pair in use.split(",") if pair) | {"P": ""}
            for record in records:
                names += [
                    re.sub(r"\$\((\w+)\)", lambda found, m=macros: m[found[1]], name)
                    for name in (record.name, *record.group)
                ]
    return list(dict.fromkeys(names))


def loaded_databases() -> dict[str, list[str]]:
    """Files in the order in which the server loads them, each with the macros of its uses."""
    table = (HERE / "ioc" / "server.c").read_text(encoding="utf-8").split("databases[] = {")[1]
    uses: dict[str, list[str]] = {}
    for name, macros in re.findall(r'\{"(\w+\.db)", "([^"]*)"\}', table.split("};")[0]):
        uses.setdefault(name, []).append(macros)
    return uses


def shown(text: str) -> str:
    """Text of a database with its macros as the page has them."""
    text = text.replace("$(P)", "")
    return re.sub(r"\$\((\w+)\)", lambda macro: SHOWN.get(macro[1], macro[1]), text)


def states(fields: dict[str, str]) -> str:
    """Enum strings with their numbers."""
    strings = [fields.get("ZNAM"), fields.get("ONAM")]
    strings += [fields.get(f"{state}ST") for state in (*STATES, "FF")]
    named = [text for text in strings if text is not None]
    return ", ".join(f"{number} `{text}`" for number, text in enumerate(named))


def values(record: Record) -> str:
    """What a record takes or tells: words, range, alarms."""
    found = record.fields
    told = [states(found)]
    for low, high in (("DLLM", "DHLM"), ("DRVL", "DRVH"), ("LOPR", "HOPR")):
        if low in found and high in found:
            told.append(f"{found[low]} to {found[high]}")
            break
    told += [
        f"{severity} {'below' if limit.startswith('LO') else 'above'} {found[limit]}"
        for limit, severity in ((name, found[sevr]) for name, sevr in ALARMS if sevr in found)
    ]
    if "NELM" in found:
        told.append(f"up to {found['NELM']} values")
    return "; ".join(filter(None, told))


def rows(records: list[Record]) -> Iterator[str]:
    """Table of the records that say what they are, and a line of those that do not."""
    yield "| PV | record | what | unit | values |"
    yield "| --- | --- | --- | --- | --- |"
    for record in records:
        if what := record.fields.get("DESC"):
            settable = record.type in OUTPUTS and record.fields.get("DISP") != "1"
            kind = record.type + (", set" if settable else "")
            unit = record.fields.get("EGU", "")
            yield f"| {shown(record.name)} | {kind} | {shown(what)} | {unit} | {values(record)} |"
    inner = [shown(record.name) for record in records if "DESC" not in record.fields]
    if inner:
        yield ""
        yield f"At work inside: {', '.join(inner)}."
    for group in dict.fromkeys(name for record in records for name in record.group):
        members = ", ".join(shown(record.name) for record in records if group in record.group)
        yield ""
        yield f"Over PVAccess, together as `{shown(group)}`: {members}."


def chapter(name: str, uses: list[str]) -> Iterator[str]:
    """One database: what its first comment says, and its records."""
    text = (HERE / "db" / name).read_text(encoding="utf-8")
    comment = re.match(r"(?:#.*\n)+", text)
    if comment is None:
        raise ValueError(f"{name} begins with no comment that says what it holds; add one")
    yield f"## {name.removesuffix('.db').capitalize()}"
    yield ""
    yield from (line.removeprefix("#").strip() for line in comment[0].splitlines())
    macros = [dict(pair.split("=", 1) for pair in use.split(",") if pair) for use in uses]
    if channels := [f"{m['CH']} ({m['TEXT']})" if "TEXT" in m else m["CH"] for m in macros if m]:
        yield ""
        yield f"*CH* is one of {', '.join(channels)}."
    yield ""
    yield from rows(read_database(text))
    yield ""


def record_type(name: str) -> Iterator[str]:
    """Fields of one of the server's own record types."""
    text = (HERE / "records" / f"{name}Record.dbd").read_text(encoding="utf-8")
    comment = re.match(r"#\s*(.*)", text)
    assert comment is not None
    menus = {
        menu: ", ".join(f"`{word}`" for word in re.findall(r'choice\(\w+,\s*"([^"]*)"\)', body))
        for menu, body in re.findall(r"menu\((\w+)\) \{(.*?)\n\}", text, re.DOTALL)
    }
    yield f"## Fields of the {name} record"
    yield ""
    yield f"{comment[1]} Those of every EPICS record (DESC, STAT, SEVR ..) come with them."
    yield ""
    yield "| field | what | values | put |"
    yield "| --- | --- | --- | --- |"
    # A field's name ends with $ where there is one for each channel.
    for name_, kind, body in re.findall(
        r"field\(([\w$]+),\s*DBF_(\w+)\) \{(.*?)\n\t\}", text, re.S
    ):
        if kind == "NOACCESS":
            continue
        prompt = re.search(r'prompt\("([^"]*)"\)', body)
        menu = re.search(r"menu\((\w+)\)", body)
        what = "" if prompt is None else prompt[1].replace("$", "n")
        kinds = menus.get(menu[1], menu[1]) if menu else kind.lower()
        put = "" if "SPC_NOMOD" in body else "yes"
        yield f"| {name_.replace('$', 'n')} | {what} | {kinds} | {put} |"
    yield ""


def page() -> str:
    """Text of the page."""
    lines = [INTRODUCTION]
    for name, uses in loaded_databases().items():
        lines += chapter(name, uses)
    for name in ("motor", "scaler"):
        lines += record_type(name)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    text = page()
    if parser.parse_args().check:
        up_to_date = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not up_to_date:
            sys.stderr.write(
                f"{PAGE.name} is not what the databases say; "
                "run python device_server/pv_reference.py\n"
            )
        return 0 if up_to_date else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
