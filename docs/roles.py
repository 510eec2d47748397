"""Sphinx roles in docstrings, such as ``:func:``, shown as names in code type."""

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:class|func|meth|data|attr|mod|exc):`(~?)([\w.]+)`")


class Roles(Extension):
    """Rewrites the roles in every docstring that is loaded."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring: with ``~`` the last part of the name stays, as Sphinx has it."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(
                lambda found: f"`{found[2].rpartition('.')[2] if found[1] else found[2]}`",
                obj.docstring.value,
            )
