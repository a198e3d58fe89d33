"""GRPO whose groups a method composes: completions that go on from a hint, and the expert's own inside the group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from interlace.methods import Groups, Hint, Method, Regrouped
from interlace.policies import EncodedResponse
from interlace.stages.expert_rows import ExpertRows
from interlace.stages.grpo import CountingGRPOTrainer

EXAMPLE = "interlace_example"
"""The column that says which of the task's training examples a prompt is."""
IS_EXPERT, ADVANTAGES, NUM_GIVEN = "is_expert", "advantages", "num_given"


class ComposingGRPOTrainer(CountingGRPOTrainer):
    """TRL's GRPO; before sampling a `method` gives hints, after scoring it says what becomes of the groups.

    `experts` answers the prompts; those that it does not answer have no hint and no completion of the expert's: their
    groups are GRPO's. What the method makes of the latest groups stays in `regrouped`.
    """

    method: Method
    experts: ExpertRows
    regrouped: Regrouped | None = None
    _inputs: list[dict[str, Any]]
    _hints: dict[int, Sequence[int]]
    _prefixes: dict[int, Sequence[int]]
    _scored: Float[Tensor, "completion"]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._inputs = inputs
        rows = range(len(inputs))
        self._hints = {row: ids for row in rows if (ids := self._hint(row, in_prompt=True))}
        own = [row for row in rows if not self._is_expert(row)]
        self._prefixes = {row: ids for row in own if (ids := self._hint(row, in_prompt=False))}
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        groups = self._groups(output)
        self._count("expert_examples", int(groups.is_expert.sum()))
        self.regrouped = self.method.regroup(groups)
        local = slice(self._first_row, self._first_row + len(inputs))
        for name, of_group in ((ADVANTAGES, self.regrouped.advantages), (IS_EXPERT, groups.is_expert)):
            values = torch.as_tensor(np.ascontiguousarray(of_group).reshape(-1)[local])
            output[name] = values.to(output[ADVANTAGES].device)
        device = output["completion_mask"].device
        output[ADVANTAGES] = output[ADVANTAGES].to(device, self._scored.dtype)
        output[NUM_GIVEN] = torch.tensor([len(self._prefixes.get(row, ())) for row in rows], device=device)
        return output

    @property
    def _first_row(self) -> int:
        return int(self.accelerator.process_index) * len(self._inputs)

    def _place(self, row: int) -> tuple[int, int]:
        """The example of a local row, and its place in its group."""
        return int(self._inputs[row][EXAMPLE]), (self._first_row + row) % self.num_generations

    def _is_expert(self, row: int) -> bool:
        example, completion = self._place(row)
        return completion < self.method.expert_rows and self.experts.answers(example)

    def _hint(self, row: int, in_prompt: bool) -> tuple[int, ...]:
        """The leading ids of an expert response that a completion is given, in its prompt or as its beginning."""
        example, completion = self._place(row)
        hint = self._told(example, completion)
        if hint is None or hint.in_prompt != in_prompt:
            return ()
        return self._begun(example, hint.share).response

    def _told(self, example: int, completion: int) -> Hint | None:
        """What the method gives to one completion, if the expert answers its prompt."""
        if not self.experts.answers(example):
            return None
        hint: Hint | None = self.method.hint(self.state.global_step, example, completion)
        return hint

    def _begun(self, example: int, share: float) -> EncodedResponse:
        """A share of the expert's response to an example, never its end."""
        whole = self.experts.response(example, self.state.global_step)
        length = min(round(share * len(whole.response)), len(whole.response) - 1)
        return EncodedResponse(whole.context, whole.response[:length], length)

    def _hint_of(self, example: int) -> EncodedResponse:
        """What stands in a prompt, the same for its whole group; nothing of no context where nothing does."""
        hint = self._told(example, 0)
        if hint is None or not hint.in_prompt:
            return EncodedResponse((), (), 0)
        return self._begun(example, hint.share)

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        prompt_ids, *others = super()._tokenize_prompts(prompts)
        return [[*ids, *self._hints.get(row, ())] for row, ids in enumerate(prompt_ids)], *others

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        own = [row for row in range(len(prompt_ids)) if not self._is_expert(row)]
        asked = [[*prompt_ids[row], *self._prefixes.get(row, ())] for row in own]
        sampled, logprobs = super()._generate_single_turn(asked, *args, **kwargs)
        completions = dict(zip(own, sampled, strict=True))
        step = self.state.global_step
        return [
            [*self._prefixes.get(row, ()), *completions[row]]
            if row in completions
            else list(self.experts.response(self._place(row)[0], step).response)
            for row in range(len(prompt_ids))
        ], logprobs

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        if self._hints:
            completions = [self._whole(row, completion) for row, completion in enumerate(completions)]
            ids = [[*self._hints.get(row, ()), *completion] for row, completion in enumerate(ids)]
        rewards = super()._calculate_rewards(inputs, prompts, completions, ids)
        self._scored = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)
        return rewards

    def _whole(self, row: int, completion: Any) -> Any:
        """A completion with the hint that stood in its prompt: what the reward is of."""
        text = self._tokenizer.decode(list(self._hints.get(row, ())), skip_special_tokens=True)
        if isinstance(completion, str):
            return text + completion
        return [{**completion[0], "content": text + completion[0]["content"]}, *completion[1:]]

    def _groups(self, output: Mapping[str, Any]) -> Groups:
        """The groups of all processes, as the method sees them."""
        rows = gather_object(self._local_rows(output))
        size, step = self.num_generations, self.state.global_step
        examples = [row[0] for row in rows[::size]]

        def own(prompt: int, completion: int) -> EncodedResponse:
            _, _, context, ids, _ = rows[prompt * size + completion]
            return EncodedResponse(tuple(context), tuple(ids), len(ids))

        def column(place: int, kind: type) -> Any:
            return np.array([row[place] for row in rows], dtype=kind).reshape(-1, size)

        return Groups(
            step=step,
            rewards=self._scored.cpu().double().numpy().reshape(-1, size),
            advantages=column(1, np.float32),
            examples=examples,
            is_expert=column(4, np.bool_),
            is_answered=np.array([self.experts.answers(example) for example in examples], dtype=np.bool_),
            expert=lambda prompt: self.experts.response(examples[prompt], step),
            hint=lambda prompt: self._hint_of(examples[prompt]),
            responses=lambda prompt: self.experts.responses(examples[prompt]),
            own=own,
        )

    def _local_rows(self, output: Mapping[str, Any]) -> list[tuple[int, float, list[int], list[int], bool]]:
        """Of each row: example, advantage, ids of prompt and completion, whether it is the expert's."""
        contexts = _unpadded(output["prompt_ids"], output["prompt_mask"])
        completions = _unpadded(output["completion_ids"], output["completion_mask"])
        advantages = output[ADVANTAGES].tolist()
        examples = [self._place(row)[0] for row in range(len(advantages))]
        experts = map(self._is_expert, range(len(advantages)))
        return list(zip(examples, advantages, contexts, completions, experts, strict=True))


def _unpadded(ids: Tensor, mask: Tensor) -> list[list[int]]:
    return [row[keep].tolist() for row, keep in zip(ids, mask.bool(), strict=True)]
