"""What stands in README, docs, cards and the rest holds: lines, links, paths, commands, pages."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cdrl_cli

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("weights/**/*.md")),
]
PACKAGE_PAGES = [ROOT / "docs" / name for name in ("architecture.md", "paper.md")]
"""Pages whose paths are under ``cdrl_cli/``."""

MAX_LINE = 120


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """A document without its fenced blocks and code spans."""
    return re.sub(
        r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    )


def anchors(path: Path) -> set[str]:
    """Anchors of the headings, as forges and the site make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"\s+", "-", words) for words in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_lines_are_short_outside_of_tables(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > MAX_LINE and line[0] != "|"]
    assert not long, f"{named(path)}: lines {long} have more than {MAX_LINE} characters"


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose(path.read_text("utf-8"))):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{named(path)}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{named(path)}: {target}"


@pytest.mark.parametrize("path", PACKAGE_PAGES, ids=named)
def test_modules_that_are_named_exist_and_have_the_names(path):
    text = path.read_text(encoding="utf-8")
    modules = set(re.findall(r"`([a-z_/]+\.(?:py|toml))`", text))
    assert len(modules) > 5
    for module in modules:
        assert (ROOT / "cdrl_cli" / module).is_file(), f"{named(path)}: {module}"
    for row in text.splitlines():
        for file, names in re.findall(r"`([a-z_/]+\.py)`((?:, `[A-Za-z_]+`)+)", row):
            code = (ROOT / "cdrl_cli" / file).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b(def|class) {name}\b|^{name} =", code, re.MULTILINE), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_files_that_are_named_with_their_folder_exist(path):
    roots = "cdrl_cli|configs|benchmarks|tests|docs|weights|\\.github"
    for name in re.findall(rf"`((?:{roots})/[\w./-]*\w)`", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{named(path)}: {name}"


def test_both_kinds_of_ci_call_the_same_targets_which_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    in_workflow = set(re.findall(r"run: make ([a-z0-9-]+)", workflow))
    in_script = set(re.findall(r"^make ([a-z0-9-]+)", script, re.MULTILINE))
    assert in_workflow == in_script
    for target in in_script:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for command in re.findall(r"run: (\w+)", workflow):
        assert command in {"make", "sudo"}  # sudo brings system packages, nothing else


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"],
    ids=named,
)
def test_settings_of_the_forge_can_be_read(path):
    yaml = pytest.importorskip("yaml", reason="of the extra [docs]")
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    if path.parent.name == "ISSUE_TEMPLATE" and path.stem != "config":
        assert {"name", "description", "body"} <= set(read)


def test_the_layers_are_those_that_are_enforced():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (enforced,) = (c for c in settings["importlinter"]["contracts"] if c["type"] == "layers")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"^```\n(cli ->.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert [layer.strip() for layer in drawn.split("->")] == enforced["layers"]


def test_every_extra_is_explained_and_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    quickstart = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    table = "".join(line for line in quickstart.splitlines() if line.startswith("| `"))
    pins = (ROOT / "constraints.txt").read_text() + (ROOT / "constraints-train.txt").read_text()
    pinned = {
        re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", pins, re.M)
    }
    for extra, requirements in project["optional-dependencies"].items():
        assert f"`{extra}`" in table
        for requirement in requirements:
            name = re.match(r"[\w.-]+", requirement)[0]
            assert re.sub(r"[-_.]+", "-", name).lower() in pinned, requirement


def test_every_weight_file_has_a_card_that_names_it():
    cards = "".join(path.read_text("utf-8") for path in (ROOT / "weights").rglob("*.md"))
    for folder in (ROOT / "weights", ROOT / "weights" / "research" / "spfem_weights_research"):
        for path in folder.iterdir():
            if path.suffix in {".safetensors", ".onnx", ".task"}:
                assert path.name in cards


@pytest.mark.parametrize("path", sorted((ROOT / "weights").glob("*.md")), ids=named)
def test_a_card_is_a_page(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100


def test_the_api_page_has_every_public_name():
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: [\w.]+\.(\w+)$", page, re.MULTILINE))
    public = set(cdrl_cli.__all__)
    errors = {name for name in public if hasattr(getattr(cdrl_cli, name), "exit_code")}
    assert shown - {"errors"} == public - errors
    assert "::: cdrl_cli.errors\n" in page


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="of the extra [docs]")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loads = r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not re.search(loads, page.read_text(encoding="utf-8")), page
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="of the extra [docs]")
def test_a_bar_in_a_table_is_shown_by_the_site_as_by_a_forge():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    html = r"<p>a\|b</p><td><code>side\|wipe</code></td>"
    assert hooks.on_page_content(html) == r"<p>a\|b</p><td><code>side|wipe</code></td>"
