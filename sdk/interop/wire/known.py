"""Differences that docs/differences.md lists: table rows whose first cell names `case`, `case.field`, or a pattern with `*`.

Every driver has rows of its own, told apart by how they begin, so that it can say which of them nothing needs any more.
"""

import fnmatch
import os
import re
from dataclasses import dataclass

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/differences.md")
# What the other drivers' rows begin with; the rest is the raw requests' own.
PREFIXES = ("mqadmin.", "clients.")
# An answer that never came is not another answer: only a row that names it excuses it.
NEVER_BY_PATTERN = (".outcome", ".steps", ".setup")


@dataclass
class Row:
    name: str
    code: str | None   # the code that the second cell promises
    used: bool = False

    def covers(self, name, ours):
        if not (name == self.name or name.startswith((self.name + ".", self.name + "#")) or fnmatch.fnmatchcase(name, self.name)):
            return False
        if name.endswith(NEVER_BY_PATTERN):
            return self.name == name
        if name.endswith(".code"):
            return str(ours) == self.code
        return not name.endswith(".remark") or ours == "text" or self.name == name


class Rows:
    """The rows of one driver: `prefix` is one of PREFIXES, or empty."""

    def __init__(self, prefix="", path=PAGE):
        self.rows = [row for row in load(path) if (row.name.startswith(prefix) if prefix else not row.name.startswith(PREFIXES))]

    def covers(self, name, ours=None):
        covering = [row for row in self.rows if row.covers(name, ours)]
        for row in covering:
            row.used = True
        return bool(covering)

    def unused(self):
        """One sentence for every name that no difference needed."""
        return [f"docs/differences.md lists `{row.name}`, but nothing differs there" for row in self.rows if not row.used]


def load(path=PAGE):
    rows = []
    with open(path, encoding="utf-8") as page:
        for line in page:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|") or len(cells) < 2 or not cells[0].startswith("`"):
                continue
            promised = re.match(r"(?:code )?(\d+)\b", cells[1])
            rows.extend(Row(part.strip(" `"), promised and promised.group(1)) for part in cells[0].split(","))
    return rows
