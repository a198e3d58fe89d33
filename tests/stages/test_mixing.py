"""SFT on several tasks at once: which rows are drawn, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from interlace.errors import DataError, RecipeError
from interlace.recipe import load_recipe
from interlace.stages.base import StageRequest
from interlace.stages.mixing import mixed_rows, refuse_what_does_not_mix
from interlace.tasks import Task, build_task

SUMS = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 40}, 0)
TRIPLES = build_task("triples", {"kind": "addition", "digits": 1, "operands": 3, "heldout": 700}, 0)


def request_of(*mixed: tuple[Task, float], task: Task = SUMS, seed: int = 0) -> StageRequest:
    return StageRequest("01-sft", task, {}, Path("unused"), seed=seed, mixed=mixed)


def test_each_task_has_its_share_of_the_rows_and_passes_over_its_own_prompts():
    rows = mixed_rows(request_of((TRIPLES, 0.3)), 1000)
    count = Counter(row["prompt"] for row in rows)
    mine, theirs = ([count[e.prompt] for e in task.train] for task in (SUMS, TRIPLES))
    assert (sum(mine), sum(theirs)) == (700, 300)
    assert max(mine) - min(mine) <= 1 and set(theirs) == {1}
    assert not count.keys() & {e.prompt for task in (SUMS, TRIPLES) for e in task.heldout}


def test_tasks_come_in_random_order_drawn_by_the_seed():
    rows = [row["prompt"].count("+") for row in mixed_rows(request_of((TRIPLES, 0.5)), 400)]
    first = sum(count == 2 for count in rows[:200])
    assert 70 < first < 130, "about half of each half"
    assert mixed_rows(request_of((TRIPLES, 0.5)), 50) == mixed_rows(request_of((TRIPLES, 0.5)), 50)
    assert mixed_rows(request_of((TRIPLES, 0.5)), 50) != mixed_rows(request_of((TRIPLES, 0.5), seed=1), 50)


def test_what_cannot_be_mixed_is_refused():
    prompts = [{"prompt": str(n), "n": n} for n in range(10)]
    without = Task.from_rows(prompts, lambda completions, n, **columns: [0.0 for _ in completions], name="bare")
    chat = Task.from_rows(
        [{"prompt": [{"role": "user", "content": str(n)}], "completion": "1"} for n in range(10)], name="chat"
    )
    with pytest.raises(DataError, match="task 'bare' must have expert responses for sft"):
        refuse_what_does_not_mix(request_of((without, 0.5)))
    with pytest.raises(DataError, match="must all be plain text or all chat messages. Got 'sums' and 'chat'"):
        refuse_what_does_not_mix(request_of((chat, 0.5)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.sft.mix={tripples: 0.4}", "task must be one of sums, triples. Got 'tripples'"),
        ("stages.sft.mix={sums: 0.4}", "mix must hold other tasks than 'sums', with shares below 1 in all."),
        ("stages.sft.mix={triples: 1.0}", "mix.triples must be below 1. Got 1.0."),
        ("stages.rl.mix={triples: 0.4}", "mix must stand in a stage of kind sft. Got it in kind rl. Remove it."),
    ],
)
def test_a_mistaken_mix_is_answered_with_one_sentence(override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("cross-task", [override])
    assert message in str(caught.value)
