"""The examples run as a user runs them, a few steps long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from interlace.store import read_run

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "run", "lines"), [("grpo.py", "grpo/interlace", 30), ("sft_peft.py", "sft/interlace", 20)]
)
def test_an_example_leaves_a_run_and_its_report(name: str, run: str, lines: int, tmp_path: Path) -> None:
    script = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in script.splitlines()) <= lines
    (tmp_path / name).write_text(script.replace("max_steps=100", "max_steps=3"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "coupling/sft_loss" in done.stdout
    (stage,) = read_run(tmp_path / run).stages
    assert stage.finished and stage.steps_done == 3
    assert (tmp_path / run / "report.html").exists()


ROWS = [{"prompt": "1+2=", "completion": "3", "reward": 1.0}, {"prompt": "7+5=", "completion": "11", "reward": 0.0}]


def exported(name: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What an export script of log-probabilities writes for `ROWS`."""
    (folder / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    script = ROOT / "examples" / name
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    words = [sys.executable, script, *arguments]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (folder / "logprobs.jsonl").read_text().splitlines()]


def test_log_probabilities_of_a_checkpoint_are_those_of_the_policy(tmp_path: Path) -> None:
    from interlace.policies import encode_responses, load_policy, make_embedded, response_logprobs

    make_embedded(tmp_path / "checkpoint-10", "0123456789+=", seed=0)
    rows = exported("export_logprobs_transformers.py", tmp_path, "sft.jsonl", "logprobs.jsonl", "checkpoint-10")
    policy = load_policy(str(tmp_path / "checkpoint-10"))
    assert [(row["step"], row["prompt"], row["reward"]) for row in rows] == [(10, "1+2=", 1.0), (10, "7+5=", 0.0)]
    pairs = [(str(row["prompt"]), str(row["completion"])) for row in ROWS]
    truth = response_logprobs(policy, encode_responses(policy.tokenizer, pairs, max_tokens=32))
    for row, values in zip(rows, truth, strict=True):
        assert row["logprob"] == pytest.approx(float(values.sum()), abs=1e-4)
        assert row["num_tokens"] == len(values)


class FakeServer(BaseHTTPRequestHandler):
    """Answers as a vLLM server does: a token a character, each with log-probability -1 - its place / 100."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            text = body["prompt"] if "prompt" in body else body["messages"][0]["content"]
            answer: dict[str, Any] = {"tokens": [ord(letter) for letter in text]}
        else:
            assert self.path == "/v1/completions" and body["max_tokens"] == 1
            read = [{str(token): {"logprob": -1.0 - i / 100}, "999": {"logprob": -0.1}}
                    for i, token in enumerate(body["prompt"])]  # fmt: skip
            answer = {"choices": [{"prompt_logprobs": [None, *read[1:]]}]}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def test_log_probabilities_of_a_served_policy_are_read_and_added(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        for step in ("5", "6"):
            rows = exported("export_logprobs_vllm.py", tmp_path, address, "m", "sft.jsonl", "logprobs.jsonl", step, "$")
    finally:
        server.shutdown()
    assert [row["step"] for row in rows] == [5, 5, 6, 6]
    assert rows[0]["num_tokens"] == 2 and rows[0]["logprob"] == pytest.approx(-1.04 - 1.05)
    assert rows[1]["num_tokens"] == 3 and rows[1]["reward"] == 0.0
