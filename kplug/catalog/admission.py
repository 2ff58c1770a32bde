"""Which plugins are used: those that the machine allows, that are not disabled, and that go with this kplug."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kplug.catalog.component import OWN_NAMESPACE, namespace_of
from kplug.catalog.plugin_settings import read_disabled
from kplug.catalog.requirements import unmet
from kplug.errors import KplugError

ALLOW_LIST = "KPLUG_PLUGINS"
NOT_ALLOWED, DISABLED, INCOMPATIBLE = "not allowed", "disabled", "incompatible"


@dataclass(frozen=True)
class Refusal:
    """Why a plugin is not used.

    Attributes:
        state: `"not allowed"`, `"disabled"` or `"incompatible"`.
        remedy: What to do, or what would have to be otherwise.
        error: What is wrong, where the state alone does not say it.
    """

    state: str
    remedy: str
    error: str | None = None


@dataclass(frozen=True)
class Rules:
    """What decides which plugins are used.

    Attributes:
        allowed: The distributions and namespaces that `$KPLUG_PLUGINS` names; `None` if it is not set.
        disabled: The distributions that are disabled.
        damage: Why it is not known which those are, or `None`.
    """

    allowed: frozenset[str] | None
    disabled: frozenset[str]
    damage: str | None = None


def read_rules() -> Rules:
    """Read what decides which plugins are used, from the environment and from the person's settings."""
    text = os.environ.get(ALLOW_LIST)
    allowed = None if text is None else frozenset(normalized(name.strip()) for name in text.split(",") if name.strip())
    try:
        return Rules(allowed, read_disabled())
    except KplugError as error:
        return Rules(allowed, frozenset(), str(error))


def refusal(
    rules: Rules, distribution: str, requires: Sequence[str], requires_python: str | None, own_version: str
) -> Refusal | None:
    """Return why a plugin is not used, or `None` if it is. kplug itself always is.

    Args:
        rules: What `read_rules` returned.
        distribution: The plugin's name.
        requires: Its `Requires-Dist` lines.
        requires_python: Its `Requires-Python`.
        own_version: The version of kplug that is installed.
    """
    name = normalized(distribution)
    if name == OWN_NAMESPACE:
        return None
    if rules.allowed is not None and not rules.allowed & {name, namespace_of(distribution)}:
        reason = f"{ALLOW_LIST} does not name it"
        return Refusal(NOT_ALLOWED, reason, reason)
    if rules.damage is not None:
        # Rather none of them than one that was disabled for a reason.
        return Refusal(DISABLED, rules.damage, rules.damage)
    if name in rules.disabled:
        return Refusal(DISABLED, f"kplug plugins enable {distribution}")
    problem = unmet(requires, requires_python, own_version)
    return None if problem is None else Refusal(INCOMPATIBLE, f"it {problem}", problem)


def normalized(distribution: str) -> str:
    """Return a distribution's name as installers compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
