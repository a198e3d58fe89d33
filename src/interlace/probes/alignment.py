"""Whether the next step for the reward undoes SFT: inner product and cosine of both gradients, whole and by layer."""

from __future__ import annotations

from interlace.estimate import Figure
from interlace.measurement import GradientProducts
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.gradient_table import LOSS, REWARD
from interlace.statistics import cosine, inner_product, squared_norm

INNER_UNIT = "nats x reward units/weight^2"


class Alignment:
    """<grad L, grad R> and cos(grad L, grad R): POSITIVE means that a step for the reward raises the SFT loss (D2).

    Norms without their noise, from disjoint prompts (C2): the cosine is not pulled towards 0 by sampling noise, and is
    not resolved where a norm is not. `_preconditioned`: in the metric of the optimizer's second moments, which is what
    an Adam step sees. `gradient_cosine/LAYER`: within one layer; each interval stands alone.
    """

    name = "alignment"
    sentence = "inner product and cosine of the SFT loss's and the reward's gradients, whole and layer by layer"
    source = "D2, C2"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has both objectives and the policy is one that is trained."""
        return context.has_gradient(LOSS, REWARD)

    def measure(self, context: ProbeContext) -> Reading:
        """Compare the two gradients."""
        table, task = context.gradients, context.target.task.name
        blocks = {f"gradient_cosine/{block}": _cosine(context, block) for block in table.blocks}
        figures: dict[str, Figure] = {
            "gradient_inner_product": _inner(context, preconditioned=False),
            "gradient_cosine": _cosine(context),
            "sft_gradient_norm_squared": squared_norm(
                table.products((task, LOSS), (task, LOSS)), unit="nats^2/weight^2", level=context.level
            ),
            "reward_gradient_norm_squared": squared_norm(
                table.products((task, REWARD), (task, REWARD)), unit="reward units^2/weight^2", level=context.level
            ),
        }
        if table.preconditioned is not None:
            figures["gradient_inner_product_preconditioned"] = _inner(context, preconditioned=True)
            figures["gradient_cosine_preconditioned"] = _cosine(context, preconditioned=True)
        return Reading(figures | blocks, {"gradients": _products(context)})


def _products(context: ProbeContext) -> GradientProducts:
    table, task = context.gradients, context.target.task.name
    loss, reward = (task, LOSS), (task, REWARD)
    return GradientProducts(table.products(loss, loss), table.products(reward, reward), table.products(loss, reward))


def _inner(context: ProbeContext, *, preconditioned: bool) -> Figure:
    task = context.target.task.name
    cross = context.gradients.products((task, LOSS), (task, REWARD), preconditioned=preconditioned)
    return inner_product(cross, unit="nats x reward units" if preconditioned else INNER_UNIT, level=context.level)


def _cosine(context: ProbeContext, block: str | None = None, *, preconditioned: bool = False) -> Figure:
    loss, reward = (context.target.task.name, LOSS), (context.target.task.name, REWARD)
    left, right, cross = (
        context.gradients.products(*pair, block, preconditioned=preconditioned)
        for pair in ((loss, loss), (reward, reward), (loss, reward))
    )
    return cosine(left, right, cross, level=context.level)
