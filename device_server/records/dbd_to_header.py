"""Write a record type's C header and its expanded .dbd from one .dbd source.

The offsets that the database uses to reach a record's fields come from the C structure, so header
and .dbd must never be out of step: both are made here, in the build, from one file.

Besides the .dbd language of EPICS base the source may repeat fields::

    repeat(32) {
        field(S$,DBF_ULONG) { prompt("Count $") }
    }

one field a block; `$` is the number, from 1. In C such a field is an array: `S7` is `prec->s[6]`.

Usage: dbd_to_header.py SOURCE --include FOLDER --header OUT.h --dbd OUT.dbd
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

C_TYPES = {
    "DBF_CHAR": "epicsInt8",
    "DBF_UCHAR": "epicsUInt8",
    "DBF_SHORT": "epicsInt16",
    "DBF_USHORT": "epicsUInt16",
    "DBF_LONG": "epicsInt32",
    "DBF_ULONG": "epicsUInt32",
    "DBF_INT64": "epicsInt64",
    "DBF_UINT64": "epicsUInt64",
    "DBF_FLOAT": "epicsFloat32",
    "DBF_DOUBLE": "epicsFloat64",
    "DBF_ENUM": "epicsEnum16",
    "DBF_MENU": "epicsEnum16",
    "DBF_DEVICE": "epicsEnum16",
    "DBF_INLINK": "DBLINK",
    "DBF_OUTLINK": "DBLINK",
    "DBF_FWDLINK": "DBLINK",
}

INCLUDE = re.compile(r'^\s*include\s+"([^"]+)"\s*$')
REPEAT = re.compile(r"^\s*repeat\((\d+)\)\s*\{\s*$")
FIELD = re.compile(
    r'^[ \t]*field\((\w+\$?)\s*,\s*(\w+)\)\s*\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}', re.MULTILINE
)
MENU = re.compile(r"\bmenu\((\w+)\)\s*\{([^}]*)\}")
CHOICE = re.compile(r'choice\((\w+)\s*,\s*"([^"]*)"\)')
RECORD = re.compile(r"\brecordtype\((\w+)\)")
EXTRA = re.compile(r'extra\("([^"]*)"\)')
SIZE = re.compile(r"size\((\d+)\)")
PROMPT = re.compile(r'prompt\("([^"]*)"\)')


class DbdError(Exception):
    """A source that cannot be turned into a header."""


@dataclass
class Field:
    """One member of the C structure and the database fields that it holds."""

    name: str
    kind: str
    body: str
    count: int = 0  # of a repeated field

    @property
    def member(self) -> str:
        """The C member's name."""
        return self.name.rstrip("$").lower()

    def declaration(self) -> str:
        """The C member's declaration."""
        prompt = PROMPT.search(self.body)
        note = f"  /* {prompt.group(1)} */" if prompt and not self.count else ""
        array = f"[{self.count}]" if self.count else ""
        if self.kind == "DBF_NOACCESS":
            extra = EXTRA.search(self.body)
            if extra is None:
                raise DbdError(f'field {self.name}: DBF_NOACCESS needs extra("C declaration")')
            return f"    {' '.join(extra.group(1).split())};{note}"
        if self.kind == "DBF_STRING":
            size = SIZE.search(self.body)
            if size is None:
                raise DbdError(f"field {self.name}: DBF_STRING needs size(...)")
            return f"    char {self.member}{array}[{size.group(1)}];{note}"
        if self.kind not in C_TYPES:
            raise DbdError(f"field {self.name}: unknown type {self.kind}; one of {list(C_TYPES)}")
        return f"    {C_TYPES[self.kind]} {self.member}{array};{note}"

    def places(self) -> list[tuple[str, str]]:
        """Each database field's name and the C expression of its place."""
        if self.kind == "DBF_NOACCESS":
            extra = EXTRA.search(self.body)
            assert extra is not None
            names = re.findall(r"(\w+)\s*(?:\[[^\]]*\])?\s*$", extra.group(1))
            return [(self.name, names[0])]
        if not self.count:
            return [(self.name, self.member)]
        stem = self.name.rstrip("$")
        return [(f"{stem}{i + 1}", f"{self.member}[{i}]") for i in range(self.count)]


@dataclass
class Source:
    """What a .dbd source holds, includes resolved."""

    record: str = ""
    fields: list[Field] = field(default_factory=list)
    menus: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    c_lines: list[str] = field(default_factory=list)
    expanded: list[str] = field(default_factory=list)


def without_comments(lines: list[str]) -> str:
    """Drop comments (`#` outside quotes) and the lines that go to C as they are."""
    kept = []
    for line in lines:
        if line.lstrip().startswith("%"):
            continue
        kept.append(re.sub(r'^((?:[^"#]|"(?:[^"\\]|\\.)*")*)#.*$', r"\1", line))
    return "\n".join(kept)


def read(path: Path, folders: list[Path], source: Source, *, top: bool) -> None:
    """Read one file into `source`; included files only give fields and C lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    block: list[str] = []
    count = 0

    def flush() -> None:
        text = without_comments(block)
        found = [Field(*match.groups(), count=count) for match in FIELD.finditer(text)]
        if count and len(found) != 1:
            raise DbdError(f"{path}: repeat({count}) holds {len(found)} fields, must hold one")
        source.fields.extend(found)
        if top:
            for number in range(1, count + 1):
                source.expanded += [line.replace("$", str(number)) for line in block]
            if not count:
                source.expanded += block
        block.clear()

    for line in lines:
        if include := INCLUDE.match(line):
            flush()
            found = next((f / include[1] for f in folders if (f / include[1]).exists()), None)
            if found is None:
                raise DbdError(f"{path}: included file {include[1]} is in none of {folders}")
            read(found, folders, source, top=False)
            if top:
                source.expanded.append(line)
        elif repeat := REPEAT.match(line):
            flush()
            count = int(repeat[1])
        elif count and line.strip() == "}" and block and brace_depth(block) == 0:
            flush()
            count = 0
        else:
            if line.lstrip().startswith("%"):
                source.c_lines.append(line.lstrip()[1:])
            block.append(line)
    flush()
    if top:
        text = without_comments(lines)
        records = RECORD.findall(text)
        if len(records) != 1:
            raise DbdError(f"{path}: holds {len(records)} record types, must hold one")
        source.record = records[0]
        source.menus = [(name, CHOICE.findall(body)) for name, body in MENU.findall(text)]


def brace_depth(lines: list[str]) -> int:
    """Braces open at the end of some lines."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", without_comments(lines))
    return text.count("{") - text.count("}")


def header(source: Source, origin: str) -> str:
    """Return the text of the C header."""
    struct = f"{source.record}Record"
    out = [
        f"/* Made from {origin} by dbd_to_header.py in the build. */",
        f"#ifndef INC_{struct}_H",
        f"#define INC_{struct}_H",
        "",
        "#include <stddef.h>",
        '#include "epicsTypes.h"',
        '#include "link.h"',
        *source.c_lines,
        "",
    ]
    for name, choices in source.menus:
        out.append("typedef enum {")
        out += [f"    {choice}, /* {text} */" for choice, text in choices]
        out += [f"}} {name};", f"#define {name}_NUM_CHOICES {len(choices)}", ""]
    out += [f"typedef struct {struct} {{", *(f.declaration() for f in source.fields)]
    out += [f"}} {struct};", "", "enum {"]
    places = [place for f in source.fields for place in f.places()]
    out += [f"    {struct}{name} = {index}," for index, (name, _) in enumerate(places)]
    out += [
        "};",
        "",
        "#ifdef GEN_SIZE_OFFSET",
        '#include "dbStaticLib.h"',
        '#include "epicsExport.h"',
        "",
        f"static int {struct}SizeOffset(dbRecordType *type)",
        "{",
        "    static const struct {",
        "        unsigned short size, offset;",
        "    } place[] = {",
    ]
    for _, member in places:
        out.append(f"        {{sizeof((({struct} *)0)->{member}), offsetof({struct}, {member})}},")
    out += [
        "    };",
        "    const int n = (int)(sizeof(place) / sizeof(place[0]));",
        "    if (type->no_fields != n)",
        "        return -1;",
        "    for (int i = 0; i < n; i++) {",
        "        type->papFldDes[i]->size = place[i].size;",
        "        type->papFldDes[i]->offset = place[i].offset;",
        "    }",
        f"    type->rec_size = sizeof({struct});",
        "    return 0;",
        "}",
        f"epicsExportRegistrar({struct}SizeOffset);",
        "#endif",
        "",
        "#endif",
        "",
    ]
    return "\n".join(out)


def main() -> int:
    """Run the script; the exit code is 1 for a source that makes no header."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--include", type=Path, action="append", default=[])
    parser.add_argument("--header", type=Path, required=True)
    parser.add_argument("--dbd", type=Path, required=True)
    options = parser.parse_args()
    source = Source()
    try:
        read(options.source, [options.source.parent, *options.include], source, top=True)
        text = header(source, options.source.name)
    except (DbdError, OSError) as error:
        sys.stderr.write(f"dbd_to_header.py: {error}\n")
        return 1
    options.header.write_text(text, encoding="utf-8")
    options.dbd.write_text("\n".join(source.expanded) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
