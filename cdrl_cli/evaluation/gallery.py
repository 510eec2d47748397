"""The edits of an evaluation as an HTML page that shows the clips side by side."""

import html
import shutil
from pathlib import Path
from urllib.parse import quote

from cdrl_cli.evaluation.rows import slug
from cdrl_cli.evaluation.scores import Evaluation

_IMAGES = (".jpg", ".jpeg", ".png")


def write_gallery(evaluation: Evaluation, folder: Path) -> Path:
    """An HTML page in the folder of the clips: source, reference and every row side by side.

    The page is one file without scripts; it names the clips beside it, and copies sources and
    references there, so that the folder can be moved as a whole.
    """
    originals = folder / "originals"
    originals.mkdir(parents=True, exist_ok=True)
    page = [_HEAD]
    tasks = dict.fromkeys(score.task.name for score in evaluation.scores)
    for name in tasks:
        scores = [score for score in evaluation.scores if score.task.name == name]
        task = scores[0].task
        page.append(
            f"<h2>{html.escape(task.emotion)}, by {task.asking}: {task.source.identity}</h2>"
        )
        page.append("<div>")
        shown = [("source", _copy(task.source.path, originals))]
        shown.append(
            (f"reference ({task.reference.identity})", _copy(task.reference.path, originals))
        )
        if task.target is not None:
            shown.append(("real take", _copy(task.target.path, originals)))
        shown += [
            (f"{score.row}: {score.judged}", score.path)
            for score in scores
            if score.path != task.source.path
        ]
        for caption, path in shown:
            link = quote(path.relative_to(folder).as_posix())
            shows = (
                f'<img src="{link}">'
                if path.suffix.lower() in _IMAGES
                else f'<video src="{link}" controls loop muted preload="metadata"></video>'
            )
            page.append(f"<figure>{shows}<figcaption>{html.escape(caption)}</figcaption></figure>")
        page.append("</div>")
    output = folder / "index.html"
    output.write_text("\n".join([*page, "</body></html>", ""]), "utf-8")
    return output


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Edits</title><style>
body { font-family: sans-serif } div { display: flex; flex-wrap: wrap } figure { margin: .4em }
video, img { height: 220px }
</style></head><body><h1>Edits</h1>"""


def _copy(path: Path, folder: Path) -> Path:
    """Its place in the folder; clips of one name may come from two folders."""
    kept = folder / f"{slug(path.parent.name)}-{path.name}"
    if not kept.exists():
        shutil.copyfile(path, kept)
    return kept
