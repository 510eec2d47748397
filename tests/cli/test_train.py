"""``spfem train``: adapters over the pipelines of the training, alike in their options."""

import ast
from pathlib import Path

import pytest
import typer.main

from cdrl_cli.cli import train, train_all

LOOPS = ("ccrl", "cerl", "motion", "renderer")
PIPELINES = {
    f"cdrl_cli.training.{module}"
    for module in (
        "pipelines",
        "preparing",
        "representation_pipelines",
        "generator_pipelines",
        "whole_recipe",
    )
}


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_can_be_resumed_and_put_on_a_gpu(name):
    command = typer.main.get_command(train.app).commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--run", "--resume", "--device", "--set", "--quiet"} <= options


@pytest.mark.parametrize("module", [train, train_all])
def test_a_command_is_one_call_of_the_library(module):
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    for command in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        imported = [node for node in ast.walk(command) if isinstance(node, ast.ImportFrom)]
        assert {node.module for node in imported} <= PIPELINES, command.name
        verbs = {alias.name for node in imported for alias in node.names} - {"RunOptions"}
        assert len(verbs) <= 1, command.name
