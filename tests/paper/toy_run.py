"""A run of a toy task, as ``torchrun`` starts it: ``toy_run.py FOLDER PARTS [until]``."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.loop import Trainer
from cdrl_cli.training.processes import open_processes
from tests.training.test_loop import FACTS, ToyTask, by_weight


class PartedTask(ToyTask):
    has_parts = True


def main() -> None:
    folder, parts = Path(sys.argv[1]), int(sys.argv[2])
    until = int(sys.argv[3]) if len(sys.argv) > 3 else None
    task = (PartedTask if parts > 1 else ToyTask)(scores=by_weight)
    schedule = ScheduleConfig(steps=20, validate_every=5, save_every_s=0.0, parts=parts)
    resume = (folder / "last.pt").exists()
    Trainer(folder, task, schedule, FACTS, resume=resume).fit(until=until)
    states = {"network": task.network, "critic": task.critic, "product": task.product}
    weights = {name: one.state_dict() for name, one in states.items()}
    torch.save(weights, folder / f"weights-{open_processes().index}.pt")


if __name__ == "__main__":
    main()
