"""What is learned to please may not judge."""

import ast
from pathlib import Path

import cdrl_cli.training

PACKAGE = Path(cdrl_cli.training.__file__).parent


def test_training_never_loads_the_judge():
    loaded = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("find_weights"):
                name = node.args[0]
                if isinstance(name, ast.Call) and ast.unparse(name.func).endswith(".entry"):
                    (name,) = name.args  # one of the embedded files, by the set's name
                assert isinstance(name, ast.Constant), f"{file}: cannot tell what is loaded"
                loaded.add(name.value)
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("cdrl_cli.evaluation"), file
    assert {"guide-face-api", "guide-xception", "identity"} <= loaded
    assert "judge" not in loaded
