"""Run as a program: train the toy for a number of rounds, saving at every one. It gets killed."""

import sys
from pathlib import Path

from toy import toy_program

from pathogan_core.training.loop import LoopOptions, train

if __name__ == "__main__":
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    train(toy_program(), folder, steps=steps, seed=5,
          options=LoopOptions(tick_steps=7, checkpoint_seconds=0))  # fmt: skip
