"""What a method is: how an update on TRL's GRPO mixes imitation and reinforcement.

A method is arithmetic on what it is handed: it samples nothing, calls no model and imports no torch. Each hook has a
default, which is plain RL; a method overrides those that it is about. Whatever it remembers is JSON in `state`, and
`tensors`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from interlace.errors import MethodError
from interlace.options import Options

if TYPE_CHECKING:
    from torch import Tensor

    from interlace.analysis.trajectory import Trajectory
    from interlace.controllers import Sight
    from interlace.policies import EncodedResponse


Follows: TypeAlias = Literal["stream", "groups", "kept", "neither"]
"""What the responses that an update imitates come from."""


class MethodOptions(Options):
    """What every method can be told."""

    expert_batch_size: int | None = Field(default=None, ge=1)
    """Expert responses of one optimizer step, over all processes; null: as many as completions."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a stage before it begins.

    `prompts`, `group_size`: of one optimizer step over all processes, and completions of each; `expert_batch`: expert
    responses of one optimizer step; `seed` draws whatever the method draws; `task` is reinforced, `imitated` imitated;
    `matched`: the mean share of imitation of the earlier stage that a control is `like`, fraction.
    """

    task: str
    imitated: str
    max_steps: int
    prompts: int
    group_size: int
    expert_batch: int
    seed: int
    matched: float | None = None

    def rng(self, step: int, *place: int) -> np.random.Generator:
        """The method's own generator at a step, and at a place in it: the same when the stage is resumed."""
        return np.random.default_rng([self.seed, step, 0x6D6574, *place])


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the two losses in one update, each a token mean over the global batch."""

    rl: float
    sft: float


ONLY_RL, ONLY_SFT = Weights(1.0, 0.0), Weights(0.0, 1.0)


@dataclass(frozen=True)
class Imitated:
    """A response that is imitated: its loss is `weight` times that of the token mean. `is_own`: the policy's, not the
    expert's."""

    response: EncodedResponse
    weight: float = 1.0
    is_own: bool = False


@dataclass(frozen=True)
class Given:
    """One of the expert's responses to a prompt: p_D, and its reward (NaN: not scored)."""

    response: EncodedResponse
    probability: float
    reward: float


@dataclass(frozen=True)
class Groups:
    """The groups of one batch of generations over all processes.

    `examples`: which of the task's training examples each prompt is; `is_expert`: completions that are the expert's;
    `is_answered`: prompts that the expert answers, all of them unless it was given few demonstrations. Of a prompt of
    the batch, `expert(prompt)`: a response drawn from the expert, if it answers; `hint(prompt)`: what of it stands in
    the prompt, perhaps nothing; `responses(prompt)`: all of the expert's responses; `own(prompt, completion)`: a
    completion in its context.
    """

    step: int
    rewards: Float[np.ndarray, "prompt completion"]
    advantages: Float[np.ndarray, "prompt completion"]
    examples: Sequence[int]
    is_expert: Bool[np.ndarray, "prompt completion"]
    is_answered: Bool[np.ndarray, "prompt"]
    expert: Callable[[int], EncodedResponse]
    hint: Callable[[int], EncodedResponse]
    responses: Callable[[int], Sequence[Given]]
    own: Callable[[int, int], EncodedResponse]

    @property
    def num_prompts(self) -> int:
        """Prompts in the batch."""
        return len(self.rewards)


@dataclass(frozen=True)
class Regrouped:
    """What a method makes of the groups: the advantages, what is imitated of them, and with which weight.

    `sft`: weight of the imitated responses' token mean beside the RL loss, times that of `Method.weights`.
    """

    advantages: Float[np.ndarray, "prompt completion"]
    imitated: tuple[Imitated, ...] = ()
    sft: float = 1.0


@dataclass(frozen=True)
class ExpertTokens:
    """Tokens of imitated responses under the policy; `logprobs` alone has a gradient.

    `entropies`: of the policy at each token, nats. `mask`: which are of a response. `every_logprob`,
    `start_logprobs`: of every token of the vocabulary, under the policy and under the stage's start, where the method
    `reads_distributions`; `ids`: the tokens.
    """

    logprobs: Float[Tensor, "row token"]
    entropies: Float[Tensor, "row token"]
    mask: Bool[Tensor, "row token"]
    ids: Any = None
    every_logprob: Any = None
    start_logprobs: Any = None

    def mean_entropy(self) -> Float[Tensor, "row 1"]:
        """Mean entropy of each response's tokens, nats."""
        return _row_mean(self.entropies, self.mask)


@dataclass(frozen=True)
class SampledTokens:
    """Tokens of completions under the policy, without gradient, at the sampling temperature.

    `is_expert`: completions that are the expert's; `is_hint`: the expert's tokens that a completion begins with.
    """

    logprobs: Float[Tensor, "row token"]
    entropies: Float[Tensor, "row token"]
    mask: Bool[Tensor, "row token"]
    is_expert: Bool[Tensor, "row"]
    is_hint: Bool[Tensor, "row token"]

    def mean_entropy(self) -> Float[Tensor, "row 1"]:
        """Mean entropy of each completion's tokens, nats."""
        return _row_mean(self.entropies, self.mask)


def _row_mean(values: Float[Tensor, "row token"], mask: Bool[Tensor, "row token"]) -> Float[Tensor, "row 1"]:
    return (values * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Update:
    """Of one parameter by the optimizer, after `step` steps: what it was and became, by which (clipped) gradient."""

    step: int
    name: str
    before: Float[Tensor, "*shape"]
    after: Float[Tensor, "*shape"]
    gradient: Float[Tensor, "*shape"]
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Hint:
    """How much of an expert response a completion begins after (`in_prompt`) or with, as a share of its tokens."""

    share: float
    in_prompt: bool


TOLD = ("name", "sentence", "source")
"""What a method is listed by."""


class Method:
    """One way to mix, with its options, for the stage of a `Plan`.

    `expert_rows`: how many completions of each group are the expert's own. `follows`: what the expert's responses come
    from: a `stream` of training rows, the `groups` in hand, what was `kept` of earlier ones, or neither.
    `answers_prompts`: whether the expert answers prompts of the groups, which are then of the imitated task; groups of
    prompts that it does not answer are GRPO's. `pools_tokens`: both losses are one token mean over completions and
    imitated responses together, so that each side counts by its tokens. `reads_distributions`: `expert_loss` is handed
    the log-probabilities of the whole vocabulary, under the policy and under the stage's start, of which a copy is
    kept. `trl`: TRL's options as the source has them, under the user's own. `reads_expert_rewards`: the expert's
    responses must have been scored. `knows_expert`: it is told the expert's distribution (as the task has it), where
    others see draws. `counts_imitation`: weights say how much it imitates, which they do not where the expert's tokens
    stand inside its groups or their prompts. `splits_gradient`: both losses' gradients are taken apart and handed to
    `combine`. `second_point`: the RL loss's gradient is also taken at other weights, `displacement` away, on the same
    completions (old log-probabilities being those of the weights that are trained), and handed to `see_second_point`.
    `moments_apart`: updates of imitation alone have optimizer moments of their own. `needs_fresh_batches`: no two
    updates may share a batch of generations. `published`: by others; false for those of interlace and for controls.
    """

    name: ClassVar[str]
    sentence: ClassVar[str]
    source: ClassVar[str]
    published: ClassVar[bool] = True
    cost: ClassVar[str] = "as GRPO"
    takes: ClassVar[type[MethodOptions]] = MethodOptions
    trl: ClassVar[Mapping[str, Any]] = {}
    follows: ClassVar[Follows] = "stream"
    expert_rows: ClassVar[int] = 0
    answers_prompts: ClassVar[bool] = False
    pools_tokens: ClassVar[bool] = False
    reads_distributions: ClassVar[bool] = False
    splits_gradient: ClassVar[bool] = False
    second_point: ClassVar[bool] = False
    reads_expert_rewards: ClassVar[bool] = False
    knows_expert: ClassVar[bool] = False
    counts_imitation: ClassVar[bool] = True
    moments_apart: ClassVar[bool] = False
    needs_fresh_batches: ClassVar[bool] = False

    def __init_subclass__(cls, **more: Any) -> None:
        """Raise MethodError for a method that could not be told of, or whose hook nobody would call."""
        super().__init_subclass__(**more)
        lacks = [part for part in TOLD if not hasattr(cls, part)]
        if 0 < len(lacks) < len(TOLD):  # of none it is a base of methods
            raise MethodError(
                f"method {cls.__qualname__} must have {', '.join(TOLD)}, by which it is listed. It has no "
                f"{' and no '.join(lacks)}. Add {'it' if len(lacks) == 1 else 'them'} in {cls.__module__}."
            )
        _refuse_misspelt(cls)

    def __init__(self, options: Any, plan: Plan) -> None:
        self.options, self.plan = options, plan

    @classmethod
    def refuses(cls, trl: Mapping[str, Any]) -> tuple[str, str] | None:
        """Of the user's own options of TRL's one that cannot be meant, and a sentence; None if all can."""
        return None

    def weights(self, step: int) -> Weights:
        """Of the update after `step` optimizer steps. A loss of weight 0 is not computed, nor sampled for."""
        return ONLY_RL

    def imitation(self, weights: Weights) -> float | None:
        """Share of imitation in the update just made, whose losses had these `weights`, fraction: what a control is
        matched to. None where it is not counted."""
        if not self.counts_imitation:
            return None
        total = weights.rl + weights.sft
        return weights.sft / total if total else 0.0

    def imitated(self, step: int, stream: Callable[[int, int], Sequence[EncodedResponse]]) -> Sequence[Imitated]:
        """What an update imitates, where that does not come from its groups, asked once an update; `stream(step,
        count)`: training rows."""
        return [Imitated(response) for response in stream(step, self.plan.expert_batch)]

    def expert_loss(self, tokens: ExpertTokens) -> Float[Tensor, "row token"]:
        """Loss of each imitated token, nats; by default its negative log-probability."""
        return -tokens.logprobs

    def token_advantages(
        self, advantages: Float[Tensor, "row"], tokens: SampledTokens
    ) -> Float[Tensor, "row"] | Float[Tensor, "row token"]:
        """Advantages of completions, or of their tokens, in the loss."""
        return advantages

    def hint(self, step: int, prompt: int, completion: int) -> Hint | None:
        """The part of an expert response that one completion is given; None: it is the policy's own altogether."""
        return None

    def regroup(self, groups: Groups) -> Regrouped:
        """What becomes of a batch of groups once they are scored."""
        return Regrouped(groups.advantages)

    def expected_rows(self, responses: float, answered: float) -> float:
        """How many responses it is expected to imitate of an update's groups, at once or later, or at most, where that
        depends on rewards; `responses`: how many the expert gives to a prompt, to a share `answered` of them all."""
        return self.plan.prompts * answered * (responses if self.knows_expert else 1.0)

    def displacement(self) -> Mapping[str, Tensor]:
        """Of the second point from the weights, by parameter; a parameter that is not named is where it is."""
        return {}

    def see_second_point(self, rl: Mapping[str, Tensor]) -> None:
        """Take note of the (weighted) RL loss's gradient there, before the update's gradients are combined."""

    def combine(
        self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """The update's gradient by parameter, of the two (weighted) losses' gradients."""
        return {name: rl[name] + sft[name] for name in rl}

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """What a parameter is after an update; a copy of the weights is kept for a method that has this hook."""
        return update.after

    def see(self, sight: Sight) -> str | None:
        """Take note of a look at both objectives beside the stage's start; a sentence if there is one to say."""
        return None

    def conclude(self, seen: Callable[[str, str], Trajectory]) -> str | None:
        """A sentence on the stage once it is trained, if there is one to say; `seen(task, weights)`: all its looks."""
        return None

    @property
    def state(self) -> dict[str, Any]:
        """What the method remembers, as JSON."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` was."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the method remembers beside it, by parameter."""
        return {}

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""


def _refuse_misspelt(cls: type[Method]) -> None:
    """Raise MethodError for a public name that is close to one which methods have, and is none."""
    known = {name: part for base in cls.__mro__[1:] for name, part in vars(base).items() if name[0] != "_"}
    for name, own in vars(cls).items():
        alike = [each for each, part in known.items() if isinstance(part, property) == isinstance(own, property)]
        meant = difflib.get_close_matches(name, alike, n=1, cutoff=0.8)
        if name[0] != "_" and name not in known and meant:
            raise MethodError(
                f"method {cls.__qualname__} must have hooks that are asked for. Nothing asks for {name!r}: did you "
                f"mean {meant[0]!r}? Mend it in {cls.__module__}, or begin the name of your own with _."
            )
