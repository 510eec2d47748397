"""Pages of the site that lie elsewhere in the repository, and links that hold in both places.

In the repository a page of ``docs/`` links to a weight card as ``../weights/cerl.md``, which works
on a forge and in an editor. The site has ``docs/`` at its root, so such links are rewritten when it
is built.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "weights/*.md",
    "weights/research/README.md",
    "weights/research/LICENSE",
)
"""What the site takes from outside of ``docs/``, under the same path."""

README = "README.md"
"""The README is no page of the site: its part is played by ``docs/index.md``."""

_CELL = re.compile(r"<td>.*?</td>", re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside of ``docs/``."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Turn links that hold in the repository into links that hold in the site."""
    here = page.file.src_uri
    in_docs = (Path(config.docs_dir) / here).is_file()
    repository = PurePosixPath("docs", here) if in_docs else PurePosixPath(here)

    def rewrite(found: re.Match[str]) -> str:
        target = posixpath.normpath(repository.parent / found[1])
        target = "docs/index.md" if target == README else target
        site = target.removeprefix("docs/")
        return posixpath.relpath(site, posixpath.dirname(here) or ".")

    return _LINK.sub(rewrite, markdown)


def on_page_content(html: str, **_: object) -> str:
    """Show a bar in the code of a table's cell as forges do: without the backslash before it."""
    return _CELL.sub(lambda cell: cell[0].replace(r"\|", "|"), html)
