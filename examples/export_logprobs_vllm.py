"""Expert log-probabilities from a vLLM server, for `interlace plan --rollouts FOLDER --logprobs FILE`.

python export_logprobs_vllm.py http://localhost:8000 MODEL sft.jsonl logprobs.jsonl STEP [END OF TURN: '<|im_end|>']

Lines are added to logprobs.jsonl: serve one checkpoint after another. sft.jsonl: a prompt (text, or a list of chat
messages), a completion and perhaps its reward a line.
"""

import json
import sys
import urllib.request
from pathlib import Path

server, model, source, target, step = sys.argv[1:6]
end = sys.argv[6] if len(sys.argv) > 6 else ""


def ask(path, **body):
    data = json.dumps({"model": model, **body}).encode()
    request = urllib.request.Request(server + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def prompt_tokens(prompt):
    """The prompt's token ids, as the server makes them."""
    chat = {"messages": prompt, "add_generation_prompt": True}
    return ask("/tokenize", **({"prompt": prompt} if isinstance(prompt, str) else chat))["tokens"]


def logprob(row):
    """log pi(response | prompt), nats, and its number of tokens: the server reads, and writes one token for nothing."""
    start = prompt_tokens(row["prompt"])
    response = ask("/tokenize", prompt=row["completion"] + end, add_special_tokens=False)["tokens"]
    answer = ask("/v1/completions", prompt=start + response, max_tokens=1, temperature=0.0, prompt_logprobs=1)
    read = answer["choices"][0]["prompt_logprobs"][len(start) :]
    return sum(place[str(token)]["logprob"] for place, token in zip(read, response, strict=True)), len(response)


with Path(target).open("a", encoding="utf-8") as out:
    for row in map(json.loads, filter(str.strip, Path(source).read_text(encoding="utf-8").splitlines())):
        value, count = logprob(row)
        line = {"step": int(step), "prompt": row["prompt"], "logprob": value, "num_tokens": count}
        out.write(json.dumps(line | {key: row[key] for key in ("reward",) if key in row}) + "\n")
