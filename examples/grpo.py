"""GRPO as you write it, and one line that shows what it does to SFT loss. Run it in a folder of its own."""

from pathlib import Path

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

import interlace
from interlace.policies import make_embedded

sums = [(a, b) for a in range(20) for b in range(20)]
rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b), "answer": str(a + b)} for a, b in sums]


def right(completions, answer, **columns):
    return [float(text == value) for text, value in zip(completions, answer, strict=True)]


task = interlace.Task.from_rows(rows, reward=right, name="sums", max_response_tokens=4)
options = {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 4, "learning_rate": 3e-4}
trainer = GRPOTrainer(
    model=str(make_embedded(Path("model"), task.alphabet, seed=0)),  # or a model of yours
    reward_funcs=right,
    train_dataset=Dataset.from_list(task.rl_rows()),
    args=GRPOConfig("grpo", max_steps=100, bf16=False, **options),
)
coupling = interlace.attach(trainer, task)
trainer.train()
print(interlace.write_report(coupling.folder))
