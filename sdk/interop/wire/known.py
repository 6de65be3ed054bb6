"""Differences that docs/differences.md lists: table rows whose first cell is a case, or case.field."""

import fnmatch
import os
import re

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/differences.md")


def load(path=PAGE):
    rows = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                if line.startswith("|") and cells[0].strip("`") and not re.fullmatch("[-: ]+", cells[0]):
                    rows.extend(part.strip(" `") for part in cells[0].split(","))
    return rows


def is_known(rows, name):
    """`name` is case.field; a row may name the case, the field, or a pattern with `*`."""
    return any(name == row or name.startswith(row + ".") or name.startswith(row + "#")
               or fnmatch.fnmatchcase(name, row) for row in rows)
