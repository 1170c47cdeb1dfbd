"""The directive `from-code`: Markdown that a function of the code returns, put into a page.

    ```{from-code} package.module:function
    ```

So a list that the code declares has no second copy in the documentation.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx.util.parsing import nested_parse_to_nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from docutils.nodes import Node
    from sphinx.application import Sphinx


class FromCode(SphinxDirective):
    """Calls what its argument names, without arguments, and parses what it returns."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[Node]:
        """The nodes of that Markdown; its headings belong below the page's."""
        where = self.arguments[0]
        module, _, function = where.partition(":")
        try:
            make: Callable[[], str] = getattr(import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise self.error(f"{where}: {error}; expected package.module:function") from error
        lines = StringList(make().splitlines(), source=where)
        return nested_parse_to_nodes(self.state, lines, source=where)


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known to Sphinx."""
    app.add_directive("from-code", FromCode)
    return {"parallel_read_safe": True}
