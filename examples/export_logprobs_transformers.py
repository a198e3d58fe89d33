"""Expert log-probabilities of checkpoints, for `interlace plan --rollouts FOLDER --logprobs FILE`.

python export_logprobs_transformers.py sft.jsonl logprobs.jsonl START OUT/checkpoint-10 OUT/checkpoint-20 ...

sft.jsonl: a prompt (text, or a list of chat messages), a completion and perhaps its reward a line.
"""

import json
import re
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines() if line.strip()]


def encode(tokenizer, prompt, completion):
    """Token ids, and how many of them are the prompt's; the response ends as SFT ends it, with the end token."""
    if not isinstance(prompt, str):
        prompt = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    start, whole = tokenizer(prompt).input_ids, tokenizer(prompt + completion).input_ids
    end = [] if whole[-1] == tokenizer.eos_token_id else [tokenizer.eos_token_id]
    return whole + end, len(start) - (start[-1] == tokenizer.eos_token_id)


@torch.no_grad()
def logprob(model, ids, num_prompt):
    """log pi(response | prompt), nats, and its number of tokens."""
    logits = model(torch.tensor([ids], device=model.device)).logits[0, num_prompt - 1 : -1].float()
    chosen = torch.tensor(ids[num_prompt:], device=model.device)
    return -torch.nn.functional.cross_entropy(logits, chosen, reduction="sum").item(), len(chosen)


with Path(sys.argv[2]).open("w", encoding="utf-8") as out:
    for checkpoint in sys.argv[3:]:
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto").eval()
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        step = int(found[1]) if (found := re.search(r"(\d+)/*$", checkpoint)) else 0
        for row in rows:
            value, count = logprob(model, *encode(tokenizer, row["prompt"], row["completion"]))
            line = {"step": step, "prompt": row["prompt"], "logprob": value, "num_tokens": count}
            out.write(json.dumps(line | {key: row[key] for key in ("reward",) if key in row}) + "\n")
