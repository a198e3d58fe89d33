"""Task.from_rows: what users hand over in Python, and what trainers get from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.errors import DataError, RecipeError
from interlace.rewards import build_reward, checked
from interlace.tasks import Example, ExpertResponse, Task

RNG = np.random.default_rng


def right(completions, answer):
    return [float(text == gold) for text, gold in zip(completions, answer, strict=True)]


def chat(role, content):
    return {"role": role, "content": content}


HELDOUT = [{"prompt": "0+0=", "completion": "0", "answer": "0"}]
ROWS = [
    {"prompt": "1+1=", "completion": "2", "answer": "2"},
    {"prompt": "1+1=", "completion": "3", "answer": "2"},
    {"prompt": "2+2=", "completion": "5", "answer": "4"},
    {"prompt": "1+1=", "completion": "2", "answer": "2"},
]


def test_rows_of_a_prompt_become_one_example_with_their_frequencies():
    task = Task.from_rows(ROWS, right, heldout=HELDOUT)
    two, four = task.train
    assert two.responses == (ExpertResponse("2", 1 / 3 + 1 / 3, 1.0), ExpertResponse("3", 1 / 3, 0.0))
    assert two.num_rows == 3 and two.columns == {"answer": "2"} and two.rewarded is None
    assert four == Example("2+2=", (ExpertResponse("5", 1.0, 0.0),), {"answer": "4"})
    assert task.expert_reward == 1.0 and task.expert_entropy is None and not task.expert_is_known


def test_every_row_is_trained_on_as_it_was_found():
    task = Task.from_rows(ROWS, right, heldout=HELDOUT)
    found = sorted((row["prompt"], row["completion"]) for row in task.sft_rows(RNG(0)))
    assert found == sorted((row["prompt"], row["completion"]) for row in ROWS)
    passes = [(row["prompt"], row["completion"]) for row in task.sft_rows(RNG(0), 9)]
    assert len(passes) == 9 and sorted(passes[:4]) == sorted(passes[4:8]) == found
    assert task.sft_rows(RNG(0), 0) == []


def test_rl_rows_hold_each_training_prompt_once_with_its_columns():
    assert Task.from_rows(ROWS, right, heldout=HELDOUT).rl_rows() == [
        {"prompt": "1+1=", "answer": "2"},
        {"prompt": "2+2=", "answer": "4"},
    ]


def test_columns_that_a_row_lacks_are_none():
    task = Task.from_rows(
        [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d", "note": 1}], heldout=1
    )
    assert {e.prompt: e.columns for e in (*task.train, *task.heldout)} == {"a": {"note": None}, "c": {"note": 1}}


def test_chat_messages_stay_messages():
    seen = {}

    def spy(prompts, completions, **columns):
        seen.update(prompts=prompts, completions=completions)
        return [1.0] * len(prompts)

    prompt = [chat("system", "Add."), chat("user", "1+1=")]
    rows = [{"prompt": [chat("user", "2+2=")], "completion": "4"}]
    task = Task.from_rows([{"prompt": prompt, "completion": [chat("assistant", "2")]}], spy, heldout=rows)
    assert task.sft_rows(RNG(0)) == [{"prompt": prompt, "completion": [chat("assistant", "2")]}]
    assert task.rl_rows() == [{"prompt": prompt}]
    assert seen == {"prompts": [[chat("user", "2+2=")]], "completions": [[chat("assistant", "4")]]}
    assert task.alphabet == "".join(sorted(set("Add.1+1=2+2=24")))


def test_a_strict_reward_lists_what_it_rewards():
    task = Task.from_rows(ROWS, build_reward({"kind": "exact_match", "strip": False}), heldout=HELDOUT)
    assert [example.rewarded for example in task.train] == [(("2", 1.0),), (("4", 1.0),)]


def test_a_fifth_is_held_out_and_at_most_512():
    sizes = {n: Task.from_rows([{"prompt": str(i), "completion": ""} for i in range(n)]) for n in (2, 50, 2600)}
    assert {n: len(task.heldout) for n, task in sizes.items()} == {2: 1, 50: 10, 2600: 512}


def test_a_completion_that_is_not_scored_leaves_the_experts_reward_unknown():
    task = Task.from_rows(ROWS, lambda completions: [None] * len(completions), heldout=HELDOUT)
    assert task.expert_reward is None and task.heldout[0].responses[0].reward is None


def test_a_task_without_expert_is_for_rl_alone():
    task = Task.from_rows([{"prompt": str(n), "answer": str(n)} for n in range(10)], right)
    assert task.expert_reward is None and task.train[0].responses == () and len(task.rl_rows()) == 8
    with pytest.raises(DataError) as caught:
        task.sft_rows(RNG(0))
    assert str(caught.value) == "task 'rows' must have expert responses for SFT. Got none. Give it completions."


def test_a_task_without_reward_is_for_sft_alone():
    task = Task.from_rows(ROWS, heldout=HELDOUT)
    assert task.expert_reward is None and task.reward is None
    with pytest.raises(DataError) as caught:
        task.rl_rows()
    assert str(caught.value) == "task 'rows' must have a reward for RL. Got none. Give it one, say exact_match."


def test_a_task_made_by_hand_checks_its_reward_too():
    examples = [(Example(prompt, (ExpertResponse("a", 0.5), ExpertResponse("b", 0.5))),) for prompt in "xy"]
    task = Task("mine", *examples, reward=lambda completions: [math.nan], expert_is_known=True)
    assert task.expert_entropy == math.log(2)
    with pytest.raises(DataError, match="must return finite numbers"):
        task.reward([""], [""])


GOOD = [{"prompt": str(n), "completion": "a"} for n in range(4)]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [],
            {},
            "task 'rows' must have prompts in both splits. Got 0 prompts to train on, 0 held out. "
            "Give rows of at least two prompts.",
        ),
        (
            GOOD[:1],
            {},
            "task 'rows' must have prompts in both splits. Got 0 prompts to train on, 1 held out. "
            "Give rows of at least two prompts.",
        ),
        (
            GOOD,
            {"heldout": 4},
            "task 'rows' must have prompts in both splits. Got 0 prompts to train on, 4 held out. "
            "Hold out fewer, or give more rows.",
        ),
        (
            GOOD,
            {"heldout": GOOD},
            "rows must have a prompt that heldout has not: what is measured on is not trained on. Got '0' in rows[0] "
            "and heldout[0], and nothing new in any of the 4 rows. Add rows of other prompts, or take some out of "
            "heldout.",
        ),
        (
            [GOOD[0]] * 3,
            {},
            "rows must have two different prompts or more: some are trained on, others measured on. Got '0' in rows[0] "
            "and again in rows[1] to rows[2]. Add rows of other prompts.",
        ),
        (
            GOOD,
            {"max_response_tokens": 0},
            "task 'rows': max_response_tokens must be at least 1 token. Got 0. Leave it out to sample twice the "
            "longest expert response.",
        ),
        (GOOD, {"heldout": 0}, "heldout must be at least 1 prompt. Got 0. Leave it out to hold out a fifth."),
        (iter(["text"]), {}, "rows[0] must be a mapping of column to value. Got 'text'. Use dicts."),
        (
            [{"question": "1"}],
            {},
            "rows must have completions, or come with a reward. Got columns question in rows[0]. Name the "
            "column of the expert's response `completion`, or give reward=.",
        ),
        (
            [*GOOD, {"completion": "a"}],
            {},
            "rows[4] must have a prompt. Got columns completion. Give it one (a column of another name is renamed "
            "`prompt`), or leave the row out.",
        ),
        (
            [*GOOD, {"prompt": "x", "answer": "a"}],
            {},
            "rows[4] must have a completion, as other rows have. Got columns prompt, answer. Give it one (a column of "
            "another name is renamed `completion`), or leave the row out. To train by the reward alone, take "
            "`completion` out of all rows.",
        ),
        (
            [{"prompt": " \n", "completion": "a"}],
            {},
            "rows[0]: the prompt must be text or chat messages. Got ' \\n'. Correct the row, or leave such rows out.",
        ),
        (
            GOOD,
            {"heldout": [{"prompt": "x", "completion": 1}]},
            "heldout[0]: the completion must be text or one assistant message. Got 1. Write it as text.",
        ),
        (
            [{"prompt": [{"role": "user", "text": "hi"}], "completion": "a"}],
            {},
            "rows[0]: a message must have a role and a content of text. Got {'role': 'user', 'text': 'hi'}. "
            "Correct the row.",
        ),
        (
            [row | {"log_metric": 1, "prompts": 2} for row in GOOD],
            {"reward": right},
            "columns must not have names that TRL gives to rewards. Got log_metric, prompts. Rename them.",
        ),
        (
            GOOD,
            {"reward": right},
            "reward 'right' must be given every column that it asks for: 'answer'. Got none beside prompt and "
            "completion. Add it to the rows.",
        ),
    ],
)
def test_bad_rows_are_answered_with_one_sentence(rows, options, message):
    with pytest.raises(DataError) as caught:
        Task.from_rows(rows, **options)
    assert str(caught.value) == message


def test_splits_made_by_hand_must_be_disjoint():
    example = Example("a", ())
    with pytest.raises(DataError) as caught:
        Task("mine", (example,), (example,))
    assert str(caught.value) == (
        "task 'mine': splits must share no prompt. Got \"a\" as train[0] and heldout[0]. Drop it from one."
    )


def test_a_task_shows_how_many_prompts_it_has_not_each() -> None:
    rows = [{"prompt": f"{n}+1=", "completion": f"{n + 1}", "answer": f"{n + 1}"} for n in range(100)]
    assert repr(Task.from_rows(rows, "exact_match", name="sums")) == (
        "Task('sums', train=80 prompts, heldout=20 prompts, reward=exact_match)"
    )
    assert repr(Task.from_rows(rows)) == "Task('rows', train=80 prompts, heldout=20 prompts, reward=None)"


def test_probabilities_must_sum_to_1():
    with pytest.raises(DataError) as caught:
        Example("a", (ExpertResponse("b", 0.5),))
    assert str(caught.value) == "expert probabilities must sum to 1. Got 0.5 for 'a'. Normalise them."


def test_a_reward_may_be_named_where_its_name_is_registered() -> None:
    rows = [{"prompt": f"{n}+1=", "completion": f"{n + 1}", "answer": f"{n + 1}"} for n in range(10)]
    assert Task.from_rows(rows, reward="exact_match").expert_reward == 1.0
    with pytest.raises(RecipeError, match="reward must be one of cards, .*, regex. Got 'exact'"):
        Task.from_rows(rows, reward="exact")


def test_a_lenient_reward_stands_beside_exact_match_or_is_given() -> None:
    rows = [{"prompt": f"{n}+1=", "completion": f"{n + 1}", "answer": f"{n + 1}"} for n in range(10)]
    beside = Task.from_rows(rows, reward="exact_match").lenient_reward
    assert beside is not None and beside(["1+1="], ["it is 2"], answer=["2"]) == [1.0]
    assert Task.from_rows(rows, reward=lambda completions: [0.0] * len(completions)).lenient_reward is None
    own = Task.from_rows(rows, reward="exact_match", lenient_reward=lambda completions: [0.5] * len(completions))
    assert own.lenient_reward is not None and own.lenient_reward([""], ["x"]) == [0.5]


def test_a_reward_that_is_no_function_is_refused() -> None:
    with pytest.raises(DataError, match="must be a function in TRL's signature. Got 'exact_match'. Pass the function"):
        checked("exact_match")
