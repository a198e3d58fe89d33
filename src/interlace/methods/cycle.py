"""Cycle: RL and imitation in turn, in the ratio that settles at the joint optimum, by what each side is seen to do.

RL for h, then SFT of weight w, over and over, settles within O(h) of the best R - lambda L iff w = 1 - e^{-lambda h}
(D11): s = -log(1 - w) is to be lambda h. Single updates alternate as finely as they can, rho of imitation for each of
RL. Between two looks, a updates of RL and b of imitation took the earlier look's policy, known on the held-out prompts
as a finite problem, through some h and s (`sides_between`): h/a and s/b an update, so rho is to be (b/a) lambda h/s. At
each look log rho goes a share of the way. Averaged weights are read where the stage keeps them: D11 is of drift,
and a single update moves raw weights by more than they drift from look to look. Every second held-out prompt steers.

RL in a network leaves the tilt: SFT loss rises by more than h explains. h is then what reward says, and s what is left:
net imitation, that of b updates less what RL undid, delta an update. It is net imitation that has to be lambda h, being
what draws the policy to the expert; so rho goes to (lambda h1 + delta)/s1 (h1, s1 of one update), at which imitation
pays for the damage too. On tables that is near the best ratio where RL sharpens the policy, and 1.5 to 3 times the
best where RL spreads it at random. A turn of rho answers itself by -delta/(lambda h1) there: a share g of the way is
stable while g (1 + delta/(lambda h1)) < 2. Where RL undoes all (s = 0) the looks say "more imitation", not how much,
where reward fell by more than imitation explains (h = 0) "more RL": no pair of looks asks for more than a factor
`STEEPEST`. Where both are 0 they say nothing, and rho stays. Near the front both sides move the policy alike and are
not told apart: there h is what RL updates were seen to do before, and s fits beside it.

The ratio says where training settles, not how soon: a stage too short for that has less reward than one of more RL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from interlace.analysis.halves import CHOOSING, half_held, half_scores
from interlace.analysis.trajectory import REWARD, SFT_LOSS
from interlace.estimate import Unresolved
from interlace.forecasting import Start, start_of
from interlace.measurement import AVERAGED, RAW, HeldOut, PromptScores
from interlace.methods.base import ONLY_RL, ONLY_SFT, Method, MethodOptions, Plan, Weights
from interlace.methods.kept_look import kept, scores_of
from interlace.theory.finite import expected_reward, sft_loss
from interlace.theory.frontier import Sides, sides_between

if TYPE_CHECKING:
    from interlace.controllers import Sight, Sighting

MOST = 8.0
"""rho stays within [1/MOST, MOST]: each side must be there to be seen."""
STEEPEST = 4.0
"""The most by which a pair of looks asks rho to change, as a factor."""


class CycleOptions(MethodOptions):
    """Of the method `cycle`."""

    exchange_rate: float = Field(default=0.5, gt=0.0, allow_inf_nan=False)
    """lambda: reward units that a nat/response of SFT loss is worth. Small: towards the best responses alone."""
    begin: float = Field(default=1.0, ge=1.0 / MOST, le=MOST)
    """rho before anything is measured: updates of imitation for each of RL."""
    follow: float = Field(default=0.3, gt=0.0, le=1.0)
    """The share of the way that log rho goes at a look."""
    weights: Literal["raw", "averaged"] | None = None
    """Whose looks are read: the trained weights', or those of the average that the stage keeps; null: the average's
    if it keeps one."""


class Cycle(Method):
    """An alternation whose ratio follows lambda h/s."""

    name: ClassVar[str] = "cycle"
    sentence: ClassVar[str] = (
        "updates of imitation and of RL in turn, as many of each as settle at the best R - lambda L by what the looks "
        "show of both sides and the expert's known distribution"
    )
    source: ClassVar[str] = "interlace: D11, with both sides as measured"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "an SFT step or GRPO's, and the looks"
    takes: ClassVar[type[MethodOptions]] = CycleOptions
    knows_expert: ClassVar[bool] = True

    def __init__(self, options: CycleOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.ratio, self.since, self.due = float(options.begin), 0, 0.0
        self.pace: float | None = None
        self.earlier: dict[str, Any] | None = None
        self.said = False

    def weights(self, step: int) -> Weights:
        """Imitation where its shares, rho/(1 + rho) an update, add up to another whole one; else RL."""
        return ONLY_SFT if math.floor(self._due(step + 1)) > math.floor(self._due(step)) else ONLY_RL

    def _due(self, step: int) -> float:
        """Updates of imitation that are due by `step` since the earlier look, with what was left over then."""
        return self.due + (step - self.since) * self.ratio / (1.0 + self.ratio)

    def see(self, sight: Sight) -> str | None:
        """Turn rho by what lies between the earlier look and this one; a sentence, once, if they do not tell."""
        sighting = self._sighting(sight)
        if sighting is None or not (sighting.now.has(SFT_LOSS) and sighting.now.has(REWARD)):
            return None
        due = self._due(sighting.step)
        imitated = math.floor(due)
        reinforced = sighting.step - self.since - imitated
        if min(imitated, reinforced) < 1:  # one side alone: wait for a look after both
            return None
        sides = self._sides(sighting, imitated, reinforced)
        self.since, self.due, self.earlier = sighting.step, due - imitated, _steering(sighting, sighting.scores)
        if isinstance(sides, Unresolved):
            return self._once(sides.reason)
        if sides.rl_time > 0.0:
            self.pace = self._followed(self.pace, sides.rl_time / reinforced)
        self.ratio = min(MOST, max(1.0 / MOST, self._turned(sides, imitated / reinforced)))
        return None

    def _sighting(self, sight: Sight) -> Sighting | None:
        found = sight(self.plan.imitated, self.options.weights or AVERAGED)
        return sight(self.plan.imitated, RAW) if found is None and self.options.weights is None else found

    def _sides(self, sighting: Sighting, imitated: int, reinforced: int) -> Sides | Unresolved:
        if self.plan.task != self.plan.imitated:
            return Unresolved(f"task {self.plan.imitated} is imitated, task {self.plan.task} rewarded")
        held = half_held(sighting.held, CHOOSING)
        begin = _known(held, scores_of(self.earlier or _steering(sighting, sighting.start_scores)))
        end = _known(held, scores_of(_steering(sighting, sighting.scores)))
        if isinstance(begin, Unresolved):
            return begin
        if isinstance(end, Unresolved):
            return end
        after = end.problem
        reward, loss = expected_reward(after, after.reference), sft_loss(after, after.reference)
        usual = None if self.pace is None else self.pace * reinforced
        return sides_between(begin.problem, reward, loss, min(imitated, reinforced), usual)

    def _turned(self, sides: Sides, taken: float) -> float:
        """rho, after a pair of looks between which it was `taken`."""
        wanted, found = self.options.exchange_rate * sides.rl_time, sides.sft_time
        if wanted == found == 0.0:
            return self.ratio
        factor = STEEPEST if found * STEEPEST <= wanted else max(wanted / found, 1.0 / STEEPEST)
        return self._followed(self.ratio, taken * factor)

    def _followed(self, value: float | None, now: float) -> float:
        """A share of the way from `value` to what it is `now`, in logarithms; all of it where there is no value yet."""
        return now if value is None else value * math.exp(self.options.follow * math.log(now / value))

    def _once(self, reason: str) -> str | None:
        if self.said:
            return None
        self.said = True
        return f"cycle keeps {self.ratio:.2g} updates of imitation for each of RL where the looks do not tell: {reason}"

    @property
    def state(self) -> dict[str, Any]:
        """rho, h of one RL update, the look that the next one is compared with, and what of imitation was due at it."""
        return {
            "ratio": self.ratio,
            "since": self.since,
            "due": self.due,
            "pace": self.pace,
            "earlier": self.earlier,
            "said": self.said,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self.ratio, self.since, self.due = float(state["ratio"]), int(state["since"]), float(state["due"])
        self.pace, self.earlier, self.said = state["pace"], state["earlier"], bool(state["said"])


def _steering(sighting: Sighting, scores: PromptScores) -> dict[str, Any]:
    """What the prompts that steer say, as it is kept."""
    return kept(half_scores(sighting.held, scores, CHOOSING))


def _known(held: HeldOut, scores: PromptScores) -> Start | Unresolved:
    """A look as a finite problem whose expert is the true one."""
    if not held.expert_is_known:
        return Unresolved(f"the expert's own distribution on task {held.task} is not known")
    return start_of(held, scores)
