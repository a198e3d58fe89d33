"""The price of reward before it is paid: nats of SFT loss per unit of reward, for every pair of measured tasks."""

from __future__ import annotations

from interlace.estimate import Figure
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.gradient_table import LOSS, REWARD, Objective
from interlace.probes.part_statistics import unresolved_norm
from interlace.statistics.unbiased import projection


class LinearisedCost:
    """D15: dL_j/dR_i = <grad L_j, P grad R_i> / <grad R_i, P grad R_i>; positive: reward on i costs SFT loss on j.

    Here j is the task looked at and i runs over all measured tasks: `linearised_cost/i`, nats/response per reward
    unit. P: the optimizer's diagonal as `linearised_cost_preconditioned/i`, none otherwise. Instantaneous: it is the
    slope of the cost at this policy, not of a whole run.
    """

    name = "linearised_cost"
    sentence = "nats of SFT loss per unit of reward gained on each task, to first order, without and with Adam's metric"
    source = "D15"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has an expert, any measured task has a reward, and the policy is one that is trained."""
        rewarded = any(key[1] == REWARD for each in context.look.contexts for key in each.objectives)
        return context.has_gradient(LOSS) and rewarded

    def measure(self, context: ProbeContext) -> Reading:
        """Price each reward."""
        table = context.gradients
        priced = [key for key in table.rows if key[1] == REWARD]
        figures = {f"linearised_cost/{key[0]}": _cost(context, key, preconditioned=False) for key in priced}
        if table.preconditioned is not None:
            figures |= {
                f"linearised_cost_preconditioned/{key[0]}": _cost(context, key, preconditioned=True) for key in priced
            }
        return Reading(figures)


def _cost(context: ProbeContext, reward: Objective, *, preconditioned: bool) -> Figure:
    table, loss = context.gradients, (context.target.task.name, LOSS)
    cross = table.products(loss, reward, preconditioned=preconditioned)
    gram = table.products(reward, reward, preconditioned=preconditioned)
    refusal = unresolved_norm(gram, f"gradient of the reward of {reward[0]}", context.level)
    return refusal or projection(gram, cross, unit="nats/response per reward unit", level=context.level)
