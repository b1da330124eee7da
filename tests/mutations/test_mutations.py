"""Faults that are put into healthy models are found, and the healthy models are left in peace."""

from __future__ import annotations

import random

import pytest

from netcheck.rules.base import StaticRule, registry
from tests.mutations.benchmark import alarms, recall, run, table
from tests.mutations.faults import all_faults
from tests.mutations.hosts import hosts
from tests.mutations.subject import NoPlace


def test_every_static_rule_has_a_fault() -> None:
    covered = {fault.code for fault in all_faults()}
    assert {rule.code for rule in registry() if isinstance(rule, StaticRule)} <= covered


def test_a_host_is_not_changed_by_a_fault() -> None:
    perceptron = next(host for host in hosts() if host.name == "perceptron")
    before = [(name, type(module)) for name, module in perceptron.model.named_modules()]
    weights = {name: value.clone() for name, value in perceptron.model.state_dict().items()}
    for fault in all_faults():
        try:
            fault.inject(perceptron.fresh(random.Random(0)))
        except NoPlace:
            continue
    assert before == [(name, type(module)) for name, module in perceptron.model.named_modules()]
    assert all(value.equal(weights[name]) for name, value in perceptron.model.state_dict().items())


def test_faults_in_the_smallest_models_are_found() -> None:
    small = [host for host in hosts() if host.name in ("preactivation", "perceptron")]
    trials = run(("NC5", "NC9"), into=small)
    assert len(trials) >= 50
    assert all(trial.found for trial in trials), table(trials)


@pytest.mark.slow
@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.name)
def test_a_healthy_model_is_left_in_peace(host) -> None:
    assert alarms(host) == []


@pytest.mark.slow
def test_recall(capsys: pytest.CaptureFixture[str]) -> None:
    trials = run()
    with capsys.disabled():
        print(f"\n{table(trials)}")
    counts = recall(trials)
    assert all(found >= 0.9 * n for found, n in counts.values()), counts
    assert sum(found for found, _ in counts.values()) >= 0.98 * len(trials)
    assert counts.keys() == {rule.code for rule in registry() if isinstance(rule, StaticRule)}
