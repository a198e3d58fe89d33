"""SFT of a LoRA adapter as you write it, with the callback. Run it in a folder of its own."""

from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

import interlace
from interlace.policies import make_embedded

rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(20) for b in range(20)]
task = interlace.Task.from_rows(rows, name="sums")
coupling = interlace.CouplingCallback(task)
trainer = SFTTrainer(
    model=str(make_embedded(Path("model"), task.alphabet, seed=0)),  # or a model of yours
    train_dataset=Dataset.from_list([row for row in rows if row["prompt"] not in {e.prompt for e in task.heldout}]),
    args=SFTConfig("sft", max_steps=100, bf16=False),
    peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"),
    callbacks=[coupling],
)
trainer.train()
print(interlace.write_report(coupling.folder))
