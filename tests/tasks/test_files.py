"""Tasks from files: how rows become prompts, responses and an expert that is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from interlace.errors import DataError, MissingFileError, RecipeError
from interlace.tasks import build_task

WORDS = {"0": " no", "1": " yes"}
ITEMS = [{"text": f"sentence {n}", "label": n % 2, "source": "ab"[n % 2]} for n in range(200)]
LABELLED = {"prompt": "text", "completion": "label", "labels": WORDS}


def chat(role, content):
    return {"role": role, "content": content}


@pytest.fixture
def build(tmp_path):
    """Builds a task from rows, written to a file, and options."""

    def built(rows, seed=0, own_heldout=None, **options):
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        if own_heldout is not None:
            (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, own_heldout)))
            options["heldout_path"] = str(tmp_path / "own.jsonl")
        return build_task("data", {"kind": "files", "path": str(tmp_path / "rows.jsonl"), **options}, seed)

    return built


def by_prompt(examples):
    return {example.prompt: example for example in examples}


def test_a_path_is_a_task(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("prompt,completion,note\n" + "".join(f"{n},{n},x\n" for n in range(10)))
    task = build_task("mine", str(file), seed=0)
    assert task.name == "mine" and len(task.train) == 8 and len(task.heldout) == 2
    assert task.reward is None and not task.expert_is_known and task.train[0].columns == {"note": "x"}


def test_a_template_is_filled_from_the_columns(build):
    task = build(ITEMS, prompt_template="{{{source}}} Sentence: {text}\nAcceptable:", completion="text")
    assert {example.prompt for example in task.train} <= {
        f"{{{item['source']}}} Sentence: {item['text']}\nAcceptable:" for item in ITEMS
    }


def test_labels_become_words_and_the_reward_goes_by_the_true_one(build):
    task = build(ITEMS, **LABELLED)
    for example in (*task.train, *task.heldout):
        word = WORDS[str(example.columns["label"])]
        assert example.columns["label_word"] == word and example.rewarded == ((word, 1.0),)
        assert [(response.text, response.reward) for response in example.responses] == [(word, 1.0)]
    assert task.expert_reward == 1.0 and task.expert_entropy is None and not task.expert_is_known


def test_what_compares_texts_has_a_lenient_reward_beside_it(build):
    def read(task, completion, **columns):
        return task.lenient_reward([""], [completion], **{name: [value] for name, value in columns.items()})

    labelled = build(ITEMS, **LABELLED)
    assert read(labelled, "Yes, or no", label_word=" yes") == [1.0] and read(labelled, "no", label_word=" yes") == [0.0]
    rows = [{"prompt": str(n), "completion": str(n), "value": str(n)} for n in range(20)]
    exact = build(rows, reward={"kind": "exact_match", "column": "value"})
    assert read(exact, "it is 7", value="7") == [1.0]
    pattern = {"kind": "regex", "pattern": r"(\d+)", "column": "value"}
    assert build(rows, reward=pattern).lenient_reward is None
    assert read(build(rows, reward=pattern, lenient_reward="lenient_match"), "7!", answer="7") == [1.0]
    assert build(ITEMS, **LABELLED | {"labels": {"0": "No", "1": "no"}}).lenient_reward is None


def test_keys_of_labels_may_be_numbers(build):
    assert build(ITEMS, **LABELLED | {"labels": {0: " no", 1: " yes"}}).expert_reward == 1.0


@pytest.mark.parametrize("error", [0.0, 0.2, 1.0])
def test_an_erring_expert_is_known_on_the_heldout_prompts(build, error):
    task = build(ITEMS, expert_error=error, **LABELLED)
    assert task.expert_is_known and not task.fresh_draws
    assert task.expert_reward == pytest.approx(1.0 - error)
    terms = [p for p in (error, 1.0 - error) if p]
    assert task.expert_entropy == pytest.approx(-sum(p * math.log(p) for p in terms))


def test_with_k_words_the_error_is_shared_among_the_others(build):
    items = [{"text": str(n), "label": n % 3} for n in range(60)]
    labels = {str(n): f" {n}" for n in range(3)}
    task = build(items, prompt="text", completion="label", labels=labels, expert_error=0.3)
    for example in task.heldout:
        true = example.columns["label_word"]
        law = {response.text: response.probability for response in example.responses}
        assert law == {word: pytest.approx(0.7 if word == true else 0.15) for word in labels.values()}
    assert task.expert_entropy == pytest.approx(-0.7 * math.log(0.7) - 0.3 * math.log(0.15))


def test_each_training_row_keeps_the_word_it_drew(build):
    items = [item | {"text": f"{item['text']} {copy}"} for item in ITEMS for copy in range(10)]
    task = build(items, expert_error=0.2, heldout=1, **LABELLED)
    assert all(len(example.responses) == 1 for example in task.train)
    wrong = np.mean([example.responses[0].reward == 0.0 for example in task.train])
    assert abs(wrong - 0.2) < 5 * math.sqrt(0.2 * 0.8 / len(task.train))
    first, second = (task.sft_rows(np.random.default_rng(seed)) for seed in (0, 1))
    assert first == second


def test_a_rows_draw_depends_on_the_seed_and_its_place_alone(build):
    def drawn(items, **options):
        examples = build(items, expert_error=0.5, heldout=1, **LABELLED, **options).train
        return {example.prompt: example.responses[0].text for example in examples}

    everything, fewer = drawn(ITEMS), drawn(ITEMS, exclude={"where": {"source": "a"}})
    assert len(fewer) >= 99 and all(everything.get(prompt, word) == word for prompt, word in fewer.items())
    first_half = drawn(ITEMS[:100])
    assert all(everything.get(prompt, word) == word for prompt, word in first_half.items())
    assert drawn(ITEMS, seed=1) != everything == drawn(ITEMS)


def test_contradicting_labels_of_one_prompt_are_grouped(build):
    twice = [{"text": "both", "label": 1}, {"text": "both", "label": 0}]
    task = build(ITEMS, own_heldout=twice, expert_error=0.2, **LABELLED)
    (example,) = task.heldout
    assert {r.text: r.probability for r in example.responses} == pytest.approx({" yes": 0.5, " no": 0.5})
    assert example.num_rows == 2 and example.columns["label_word"] == " yes" and task.expert_reward == 0.5


def test_rows_held_out_in_a_file_of_their_own_are_dropped_from_the_others(build):
    task = build(ITEMS, own_heldout=ITEMS[:30], **LABELLED)
    assert set(by_prompt(task.heldout)) == {item["text"] for item in ITEMS[:30]}
    assert len(task.train) == 170 and task.exclusions == {"prompt is held out": 30}
    assert len(build(ITEMS, own_heldout=ITEMS[:30], heldout=7, **LABELLED).heldout) == 7


def test_a_limit_draws_nested_training_prompts_and_leaves_the_heldout_ones(build):
    few, more = (build(ITEMS, limit=n, **LABELLED) for n in (10, 50))
    assert len(few.train) == 10 and len(more.train) == 50
    assert set(by_prompt(few.train)) < set(by_prompt(more.train)) and few.heldout == more.heldout


def test_excluded_rows_are_counted_over_both_files(build):
    rows = [{"text": "a", "label": 1}, {"text": "a", "label": 1}, {"text": "", "label": 0}, {"text": "b", "label": 7}]
    rules = {"empty": True, "duplicates": True, "where": {"label": 7}, "max_characters": 12}
    own = [*rows, {"text": "x", "label": 0}, {"text": "much too long", "label": 1}]
    task = build([*rows, {"text": "c", "label": 0}], own_heldout=own, exclude=rules, **LABELLED)
    assert task.exclusions == {
        "label is 7": 2,
        "empty": 2,
        "duplicates": 2,
        "more than 12 characters": 1,
        "prompt is held out": 1,
    }
    assert set(by_prompt(task.train)) == {"c"} and set(by_prompt(task.heldout)) == {"a", "x"}


def test_conversations_end_with_the_completion(build):
    talk = [chat("user", "2+2="), chat("assistant", "5"), chat("user", "No."), chat("assistant", "4")]
    rows = [{"talk": [chat("user", str(n)), *talk], "id": n} for n in range(5)]
    task = build(rows, messages="talk", system="Add.", heldout=1)
    row = task.sft_rows(np.random.default_rng(0))[0]
    assert row["prompt"][0] == chat("system", "Add.") and row["prompt"][2:] == talk[:3]
    assert row["completion"] == [chat("assistant", "4")] and set(task.train[0].columns) == {"id"}


def test_plain_prompts_can_become_chat_messages(build):
    task = build(ITEMS, conversational=True, system="Judge.", expert_error=0.2, **LABELLED)
    example = task.heldout[0]
    assert example.prompt[0] == chat("system", "Judge.") and example.prompt[1]["role"] == "user"
    assert task.expert_reward == pytest.approx(0.8)
    assert task.rl_rows()[0]["prompt"][1]["content"].startswith("sentence")


def test_a_system_message_of_their_own_is_kept(build):
    rows = [{"prompt": [chat("system", "Mine."), chat("user", str(n))], "completion": "a"} for n in range(4)]
    task = build(rows, conversational=True, system="Yours.")
    assert {example.prompt[0]["content"] for example in task.train} == {"Mine."}


def test_a_task_without_expert_keeps_its_reward(build):
    rows = [{"prompt": str(n), "answer": f"#### {n}"} for n in range(20)]
    task = build(rows, completion=None, reward={"kind": "regex", "pattern": r"(\d+)"})
    assert task.expert_reward is None and task.train[0].responses == () and task.train[0].rewarded is None


def test_options_reach_the_task(build):
    task = build(ITEMS, max_response_tokens=2, heldout=9, **LABELLED)
    assert task.max_response_tokens == 2 and len(task.heldout) == 9
    fixed = [build(ITEMS, seed=0, expert_error=0.2, **LABELLED).fingerprint() for _ in range(2)]
    assert fixed[0] == fixed[1]


NO_EXPERT = (
    " It holds the expert's responses, which sft and hybrid stages imitate. Without any, completion: null and a reward "
    "leave RL alone."
)
MISSING = "a column of FILE must be one of label, source, text. Got"


def named(option: str) -> str:
    return f"Name it by the option {option}: in a recipe {option}: COLUMN, else --task FILE:{option}=COLUMN."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "txt"}, f"{MISSING} 'txt'. Did you mean 'text'? {named('prompt')}"),
        ({"prompt_template": "{sentence}"}, f"{MISSING} 'sentence'. Correct the option prompt_template."),
        ({"messages": "chat"}, f"{MISSING} 'chat'. {named('messages')}"),
        ({"prompt": "text"}, f"{MISSING} 'completion'. {named('completion')}{NO_EXPERT}"),
        (
            LABELLED | {"exclude": {"where": {"sorce": 1}}},
            f"{MISSING} 'sorce'. Did you mean 'source'? Correct the option exclude.where.",
        ),
        (
            LABELLED | {"labels": {"0": " no", "2": " yes"}},
            "FILE:2: label must be one of '0', '2'. Got '1'. Add it to labels, or exclude it.",
        ),
        (
            {"prompt": "text", "completion": "label"},
            "FILE:1: the completion must be text or one assistant message. Got 0. Correct the row, leave such rows "
            "out, or map label values to words with `labels`.",
        ),
        ({"messages": "text"}, "FILE:1: messages must be a list. Got 'sentence 0'. Name a column of chat messages."),
        (
            LABELLED | {"exclude": {"where": {"label": [0, 1]}}},
            "task 'data' must have prompts in both splits. Got 0 prompts to train on, 0 held out, 200 rows left out "
            "(label is 0 or 1). Leave fewer out.",
        ),
    ],
)
def test_bad_data_is_answered_with_one_sentence(build, tmp_path, options, message):
    with pytest.raises(DataError) as caught:
        build(ITEMS, **options)
    assert str(caught.value) == message.replace("FILE", str(tmp_path / "rows.jsonl"))


def test_an_empty_file_and_a_missing_one_are_answered_with_one_sentence(build, tmp_path):
    with pytest.raises(DataError) as caught:
        build([])
    assert str(caught.value) == f"{tmp_path / 'rows.jsonl'} must hold rows. Got none. Name another file."
    with pytest.raises(MissingFileError, match=r"data file .*no\.jsonl must exist\."):
        build(ITEMS, **LABELLED | {"heldout_path": str(tmp_path / "no.jsonl")})


def test_a_conversation_must_end_with_the_assistant(build):
    rows = [{"talk": [chat("user", "a"), chat("assistant", "b"), chat("user", "c")]}]
    with pytest.raises(DataError) as caught:
        build(rows, messages="talk")
    assert str(caught.value).endswith(
        ":1: messages must end with the assistant's. Got roles user, assistant, user. Cut the conversation."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pth": "x"}, " must hold known keys (columns, completion, conversational, exclude, "),
        (
            {"exclude": {"emty": True}},
            ": exclude must hold known keys (duplicates, empty, max_characters, where). Got unknown key 'emty'. The ",
        ),
        (
            {"prompt": "a", "messages": "b"},
            ": the prompt must come from one source. Got prompt, messages. Keep one of them.",
        ),
        (
            {"prompt_template": "{a"},
            ": a template's braces must pair. Got '{a': expected '}' before end of string. Write",
        ),
        (
            {"prompt_template": "{a.b!r}"},
            ": a template must hold only {column} names. Got '{a.b!r}'. Write {{ for one brace.",
        ),
        ({"prompt_template": "{}"}, ": a template must hold only {column} names. Got '{}'. Write {{ for one brace."),
        ({"system": "Add."}, ": system must come with chat messages. Got 'Add.'. Set conversational: true."),
        ({"completion": None}, ": completion must name a column where there is no reward. Got null. Give one of them."),
        ({"expert_error": 0.2}, ": expert_error must come with labels. Got 0.2. Give the label words."),
        ({"labels": {"0": " no"}}, ": labels must hold two different words. Got {'0': ' no'}. Add one."),
        ({"expert_error": 1.2, "labels": WORDS}, ": expert_error must be at most 1. Got 1.2."),
        ({"path": 3}, ": path must be text. Got 3."),
    ],
)
def test_a_mistaken_option_is_answered_with_one_sentence(options, message):
    with pytest.raises(RecipeError) as caught:
        build_task("data", {"kind": "files", "path": "rows.jsonl", **options}, 0)
    assert str(caught.value).startswith(f"task 'data'{message}")


def test_the_path_must_be_given():
    with pytest.raises(RecipeError) as caught:
        build_task("data", {"kind": "files"}, 0)
    assert str(caught.value) == "task 'data' must have key 'path'. Got none. Add it."
