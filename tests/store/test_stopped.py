"""The record that a stop rule ended a stage: what its figure is, and records of versions that did not say it."""

from __future__ import annotations

from interlace.estimate import Estimate
from interlace.store.stopped import Stopped

FIGURE = Estimate(0.12, 0.05, 0.20, 0.95, 30, "t", "nats/response")
STOPPED = Stopped("sft_loss_budget", 40, "it rose", FIGURE, 30, quantity="rise of SFT loss less the budget")


def test_the_figure_is_named_on_the_wire_and_comes_back() -> None:
    told = STOPPED.to_json()
    assert told["quantity"] == "rise of SFT loss less the budget" and told["value"]["unit"] == "nats/response"
    assert Stopped.from_json(told) == STOPPED


def test_records_without_a_name_for_the_figure_are_read() -> None:
    told = {name: value for name, value in STOPPED.to_json().items() if name != "quantity"}
    found = Stopped.from_json(told)
    assert found.quantity == "" and found.value == FIGURE and found.sentence == STOPPED.sentence
