"""Stop rules: when to end a stage while it trains. Pairs of pure functions (init, update); one file a rule.

A new one is a file and a line in RULES. `base` says what a rule is; `crossing` is shared by those that wait until a
figure is resolved beyond a bound; `replay` asks a rule about looks that are over. A recipe or `attach` asks for a rule
by `{rule: NAME, ...options}`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from interlace.controllers.base import FALSE_STOPS, Decision, RuleOptions, Sight, Sighting, State, StopRule
from interlace.controllers.best_checkpoint import BestCheckpoint
from interlace.controllers.exchange_rate import ExchangeRate
from interlace.controllers.kl import Kl
from interlace.controllers.line import Blended, blended_sentence, choose_on_line
from interlace.controllers.parity import Parity
from interlace.controllers.replay import replay
from interlace.controllers.sft_loss_budget import SftLossBudget
from interlace.controllers.slope import Slope
from interlace.errors import DataError, RecipeError, unknown_name
from interlace.options import parse_options
from interlace.tasks import Task

RULES: dict[str, type[Any]] = {
    "parity": Parity,
    "exchange_rate": ExchangeRate,
    "slope": Slope,
    "sft_loss_budget": SftLossBudget,
    "kl": Kl,
    "best_checkpoint": BestCheckpoint,
}

__all__ = [
    # what a rule is
    "StopRule", "RuleOptions", "Sighting", "Sight", "State", "Decision", "FALSE_STOPS",
    # all of them, and one that is asked for
    "RULES", "rule_options", "rule_config", "build_rule", "problems_of_rule", "refuse_task", "rewinds",
    # over recorded looks
    "replay",
    # where on the line from start to end
    "Blended", "choose_on_line", "blended_sentence",
]  # fmt: skip


def rule_options(config: Mapping[str, Any]) -> tuple[type[Any], RuleOptions]:
    """The rule and its validated options. Raises RecipeError, one sentence about the first mistake."""
    name = config.get("rule")
    if not isinstance(name, str):
        raise RecipeError(f"stop must name its rule. Got {dict(config)!r}. Add rule: {' | '.join(RULES)}.")
    if name not in RULES:
        raise RecipeError(unknown_name("rule", name, RULES))
    rule = RULES[name]
    asked = {key: value for key, value in config.items() if key != "rule"}
    return rule, parse_options(rule.takes, asked, f"stop rule {name}")


def build_rule(config: Mapping[str, Any], looks: int) -> StopRule:
    """The rule for a stage of `looks` planned looks after its start. Raises RecipeError as `rule_options`."""
    rule, options = rule_options(config)
    built: StopRule = rule(options, looks)
    return built


def rule_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every option written out."""
    return {"rule": config["rule"], **rule_options(config)[1].model_dump(mode="json")}


def rewinds(config: Mapping[str, Any] | None) -> bool:
    """Whether a stage with this `stop` may end with weights of an earlier step."""
    try:
        return config is not None and rule_options(config)[1].rewind
    except RecipeError:  # which is told where the config is checked
        return False


def refuse_task(config: Mapping[str, Any], task: Task) -> None:
    """Raise DataError for a task that lacks what the rule reads. Raises RecipeError as `rule_options`."""
    rule, example = rule_options(config)[0], task.heldout[0]
    lacks = {
        "reward": task.reward is None and "a reward",
        "sft_loss": not example.responses and "expert responses",
        "pl_constants": example.rewarded is None and "its rewarded responses listed, so that the best is known",
    }
    missing = [text for need, text in lacks.items() if need in rule.needs and text]
    if missing:
        raise DataError(
            f"task {task.name!r} must have {missing[0]} for the stop rule {rule.name}. It has not. Choose another rule."
        ).about("stop")


def problems_of_rule(
    config: Mapping[str, Any], kind: str, probes: Collection[str], preset: str, keeps_average: bool
) -> Iterator[str]:
    """What can be known wrong of a rule for a stage of `kind`, whose looks use the `probes` of `preset`."""
    try:
        rule, options = rule_options(config)
    except RecipeError as error:
        yield str(error)
        return
    if rule.of_rl and kind == "sft":
        yield f"stop rule {rule.name} must stand in a stage of RL. Got one of kind {kind}. Choose another rule."
    missing = [probe for probe in rule.needs if probe not in probes]
    if missing:
        yield (
            f"stop rule {rule.name} must have the probes {', '.join(rule.needs)}. Preset {preset} lacks "
            f"{', '.join(missing)}. Set preset {'full' if rule.name == 'slope' else 'standard'}."
        )
    if options.weights == "averaged" and not keeps_average:
        yield (
            "stop with weights: averaged must stand in a stage that keeps averaged_weights. It keeps none. "
            "Add averaged_weights, or drop weights."
        )
