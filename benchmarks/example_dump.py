"""Makes the dump that `interlace plan --rollouts example` reads: quickstart's SFT, then GRPO in a plain TRL script.

    python benchmarks/example_dump.py FOLDER        # about four minutes on one core; FOLDER must be new

FOLDER/example is what lies in src/interlace/dumps/example: TRL's completions every fifth step, the expert's scores on
SFT data, and log-probabilities of held-out expert responses every tenth step.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

import interlace
from interlace.encoding import dumps
from interlace.recipe import load_recipe
from interlace.tasks import build_task
from interlace.tasks.base import Task
from interlace.tasks.example import Example, ExpertResponse

EVERY, SAVED, STEPS, RESPONSES = 5, 10, 100, 256


def main(folder: Path) -> None:
    recipe = load_recipe("quickstart").model_dump(mode="json", exclude_unset=True)
    sft = interlace.run(recipe | {"name": "sft", "stages": recipe["stages"][:1]}, folder / "sft")
    print(sft)
    start = max((folder / "sft" / "stages").glob("01-sft/checkpoint-*"), key=lambda path: int(path.name[11:]))
    task = build_task("sums", recipe["tasks"]["sums"], seed=0)
    train(start, task, folder / "grpo")
    out = folder / "example"
    shutil.copytree(folder / "grpo" / "completions", out / "completions")
    write_scores(task, out / "expert_scores.parquet")
    write_logprobs(start, task, folder / "grpo", out / "logprobs.parquet")


def train(start: Path, task: Task, out: Path) -> None:
    options = {"per_device_train_batch_size": 512, "num_generations": 8, "max_completion_length": 4, "beta": 0.0}
    trainer = GRPOTrainer(
        model=str(start),
        reward_funcs=task.reward,
        train_dataset=Dataset.from_list(task.rl_rows()),
        args=GRPOConfig(
            str(out),
            max_steps=STEPS,
            learning_rate=3e-4,
            lr_scheduler_type="constant",
            bf16=False,
            save_steps=SAVED,
            log_completions=True,
            num_completions_to_print=1,
            logging_steps=EVERY,
            logging_first_step=True,
            seed=0,
            **options,
        ),
    )
    trainer.train()


def write_scores(task: Task, path: Path) -> None:
    """What the SFT data earn: one expert response each of a fifth of the training prompts."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(task.train))[: len(task.train) // 5]
    rows = [{"prompt": task.train[i].prompt, "score": _drawn(task.train[i], rng).reward} for i in chosen]
    pa.parquet.write_table(pa.Table.from_pylist(rows), path, compression="zstd")


def write_logprobs(start: Path, task: Task, run: Path, path: Path) -> None:
    """Held-out expert responses, one a prompt, read at the start and at every kept checkpoint, as users are shown."""
    rng = np.random.default_rng(1)
    rows = path.with_name("sft.jsonl")
    rows.write_text("".join(dumps(_row(example, rng)) + "\n" for example in task.heldout[:RESPONSES]))
    (run / "checkpoint-0").symlink_to(start.absolute())
    places = [str(run / f"checkpoint-{step}") for step in range(0, STEPS + 1, SAVED)]
    script = Path(__file__).parent.parent / "examples" / "export_logprobs_transformers.py"
    text = path.with_suffix(".jsonl")
    subprocess.run([sys.executable, script, rows, text, *places], check=True)
    found = pa.json.read_json(text)
    places_of = found.column_names.index("logprob")
    rounded = pa.array(found["logprob"].to_numpy().astype(np.float32))
    pa.parquet.write_table(found.set_column(places_of, "logprob", rounded), path, compression="zstd")
    rows.unlink(), text.unlink()


def _row(example: Example, rng: np.random.Generator) -> dict[str, Any]:
    chosen = _drawn(example, rng)
    return {"prompt": example.prompt, "completion": chosen.text, "reward": chosen.reward}


def _drawn(example: Example, rng: np.random.Generator) -> ExpertResponse:
    return example.responses[rng.choice(len(example.responses), p=[item.probability for item in example.responses])]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
