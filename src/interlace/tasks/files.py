"""files: a task from a file of rows, its columns named by the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

from interlace.errors import DataError, MissingFileError
from interlace.options import Options
from interlace.rewards import Reward, build_reward
from interlace.rewards.lenient_match import can_be_told_apart
from interlace.tasks.base import IN_HELDOUT, Task
from interlace.tasks.chat import as_chat, read_completion, read_prompt, split_conversation
from interlace.tasks.example import Prompt, prompt_texts
from interlace.tasks.exclusion import Exclude, sift
from interlace.tasks.labels import Labels
from interlace.tasks.records import Record, require_columns
from interlace.tasks.rows import Row, build_examples, observed_law, reward_columns, split_rows
from interlace.tasks.tables import Layout, read_table
from interlace.tasks.template import as_text, fill, template_columns


class FilesOptions(Options):
    """Options of the task files."""

    path: str
    """File of rows: .jsonl, .json (a list), .parquet, .csv or .tsv."""
    heldout_path: str | None = None
    """File of rows to measure on; null: prompts of `path` are held out. Its prompts are dropped from `path`."""
    heldout: int | None = Field(default=None, ge=1)
    """Most prompts to measure on; null: all of `heldout_path`, else a fifth of the prompts, at most 512."""
    limit: int | None = Field(default=None, ge=1)
    """Most prompts to train on, drawn by the seed; null: all that remain."""
    seed: int | None = Field(default=None, ge=0)
    """Draws the split and the expert's errors; null: the run's seed."""

    header: bool = True
    """Whether the first line of a CSV or TSV file names its columns."""
    columns: tuple[str, ...] | None = None
    """Names for the columns of a CSV or TSV file; null: the header's, or the positions "0", "1", ... without header."""
    quotes: bool | None = None
    """Whether double quotes may enclose a field; null: in CSV yes, in TSV no."""

    prompt: str | None = None
    """Column of the prompt, text or chat messages; null: the column prompt, unless a template or messages are given."""
    prompt_template: str | None = None
    """The prompt as text with columns in braces, for example "Sentence: {sentence}"."""
    completion: str | None = "completion"
    """Column of the expert's response, or of the label if `labels` are given; null: there is no expert."""
    messages: str | None = None
    """Column of whole conversations, in place of prompt and completion: the assistant's last message is the
    completion, those before it are the prompt."""
    conversational: bool = False
    """Whether a prompt of text becomes a chat message, so that the model's own chat template is applied."""
    system: str | None = None
    """System message before chat messages that have none."""

    labels: dict[str, str] | None = None
    """The word that is written for each value of the completion column, for example {"0": " no", "1": " yes"}."""
    expert_error: float | None = Field(default=None, ge=0.0, le=1.0)
    """Probability that the expert writes another label word than the true one, which the reward goes by. The expert is
    then known. Each training row keeps the word it drew. Null: the labels as they are, the expert is not known."""
    reward: str | dict[str, Any] | None = None
    """A registered reward, an import path package.module:function, or a mapping of kind and options; null: label_match
    if `labels` are given, else none."""
    lenient_reward: str | dict[str, Any] | None = None
    """A second reward that is measured beside the first, never trained on, where completions are sampled: null:
    lenient_match beside label_match and exact_match, else none."""
    exclude: Exclude = Exclude()
    """Rows to leave out."""
    max_response_tokens: int | None = Field(default=None, ge=1)
    """Tokens of the longest response, end-of-sequence included, if you know it."""

    @field_validator("labels", mode="before")
    @classmethod
    def _values_as_text(cls, labels: Any) -> Any:
        return {as_text(value): word for value, word in labels.items()} if isinstance(labels, Mapping) else labels

    @model_validator(mode="after")
    def _one_source(self) -> FilesOptions:
        given = [name for name in ("prompt", "prompt_template", "messages") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"the prompt must come from one source. Got {', '.join(given)}. Keep one of them.")
        template_columns(self.prompt_template or "")
        if self.system is not None and not (self.conversational or self.messages):
            raise ValueError(f"system must come with chat messages. Got {self.system!r}. Set conversational: true.")
        if not self.has_expert and self.reward is None:
            raise ValueError("completion must name a column where there is no reward. Got null. Give one of them.")
        return self

    @model_validator(mode="after")
    def _other_words(self) -> FilesOptions:
        if self.expert_error is not None and self.labels is None:
            raise ValueError(f"expert_error must come with labels. Got {self.expert_error}. Give the label words.")
        if self.labels is not None and len(set(self.labels.values())) < 2:
            raise ValueError(f"labels must hold two different words. Got {self.labels}. Add one.")
        return self

    @property
    def has_expert(self) -> bool:
        """Whether rows hold the expert's response."""
        return self.completion is not None or self.messages is not None

    @property
    def sources(self) -> dict[str, str]:
        """The columns that the prompt and the completion are made of, each with the option that names it."""
        if self.messages is not None:
            return {self.messages: "messages"}
        completions = {} if self.completion is None else {self.completion: "completion"}
        if self.prompt_template is not None:
            return dict.fromkeys(template_columns(self.prompt_template), "prompt_template") | completions
        return {self.prompt or "prompt": "prompt"} | completions


class Reading(NamedTuple):
    """What a record says: a prompt, and a completion (with labels: the true label word; None: there is no expert)."""

    record: Record
    prompt: Prompt
    completion: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompt's texts and the completion's."""
        return (*prompt_texts(self.prompt), self.completion or "")


def build_files(name: str, options: FilesOptions, seed: int) -> Task:
    """The task `name` from the files that `options` name; `seed` is used unless the options have one of their own.

    Raises:
        MissingFileError: a file that is not there.
        DataError: a line that cannot be read, a missing column, an unknown label, an empty split.
        RecipeError: a reward that is not known.
    """
    seed = seed if options.seed is None else options.seed
    reward = _reward(options)
    counts: Counter[str] = Counter()
    rows = _rows(options.path, options, seed, counts)
    own = None if options.heldout_path is None else _heldout_rows(options.heldout_path, options, seed, counts)
    split = split_rows(rows, seed, own_heldout=own, heldout=options.heldout, limit=options.limit)
    if own is not None:
        counts[IN_HELDOUT] = split.num_dropped
    return Task(
        name=name,
        train=build_examples(split.train, reward, observed=True),
        heldout=build_examples(split.heldout, reward),
        reward=reward,
        lenient_reward=_lenient_reward(options),
        expert_is_known=options.expert_error is not None,
        max_response_tokens=options.max_response_tokens,
        exclusions=dict(counts),
    )


def _reward(options: FilesOptions) -> Reward | None:
    if options.reward is not None:
        return build_reward(options.reward)
    return build_reward("label_match") if options.labels is not None else None


def _lenient_reward(options: FilesOptions) -> Reward | None:
    """The named one; else, for rewards that compare texts, the same answers read leniently."""
    if options.lenient_reward is not None:
        return build_reward(options.lenient_reward)
    given = {"kind": options.reward} if isinstance(options.reward, str) else dict(options.reward or {})
    kind = given.get("kind", "label_match" if options.labels is not None else None)
    if kind == "exact_match":
        return build_reward({"kind": "lenient_match", "column": given.get("column", "answer")})
    words = list(dict.fromkeys((options.labels or {}).values()))
    if kind == "label_match" and words and can_be_told_apart(words):
        return build_reward({"kind": "lenient_match", "column": given.get("column", "label_word"), "words": words})
    return None


def _rows(path: str, options: FilesOptions, seed: int, counts: Counter[str]) -> list[Row]:
    """The rows of one file that are not excluded; row i draws the expert's error by itself, whatever is excluded."""
    records = read_table(path, Layout(options.header, options.columns, options.quotes))
    if not records:
        raise DataError(f"{path} must hold rows. Got none. Name another file.")
    require_columns(records, options.sources | dict.fromkeys(options.exclude.where, "exclude.where"), path)
    labels = None if options.labels is None else Labels(options.labels, options.expert_error or 0.0)
    draws = np.random.default_rng(seed).random((len(records), 2)).tolist()
    kept = sift(records, options.exclude.record_rules(options.sources), counts)
    readings = [_reading(record, options, labels) for record in kept]
    readings = sift(readings, options.exclude.text_rules(), counts, view=lambda reading: reading.texts)
    return [_row(reading, options, labels, draws[reading.record.index]) for reading in readings]


def _heldout_rows(path: str, options: FilesOptions, seed: int, counts: Counter[str]) -> list[Row]:
    try:
        return _rows(path, options, seed, counts)
    except MissingFileError as error:
        error.about("heldout_path")
        raise


def _reading(record: Record, options: FilesOptions, labels: Labels | None) -> Reading:
    prompt, completion = _prompt_and_completion(record, options)
    if options.conversational or options.messages:
        prompt = as_chat(prompt, options.system)
    if not options.has_expert:
        return Reading(record, prompt, None)
    if labels is None:
        return Reading(record, prompt, read_completion(completion, record.place))
    return Reading(record, prompt, labels.word(as_text(completion), record.place))


def _prompt_and_completion(record: Record, options: FilesOptions) -> tuple[Prompt, Any]:
    values = record.values
    if options.messages is not None:
        return split_conversation(values[options.messages], record.place)
    completion = None if options.completion is None else values[options.completion]
    if options.prompt_template is not None:
        return read_prompt(fill(options.prompt_template, values), record.place), completion
    return read_prompt(values[options.prompt or "prompt"], record.place), completion


def _row(reading: Reading, options: FilesOptions, labels: Labels | None, draw: Sequence[float]) -> Row:
    columns = reward_columns(reading.record, options.messages)
    word = reading.completion
    if labels is None or word is None:
        return Row(reading.prompt, observed_law(word), word, columns)
    return Row(reading.prompt, labels.law(word), labels.drawn(word, *draw), columns | {"label_word": word})
