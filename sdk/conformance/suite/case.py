"""The list of cases, and its rules."""
from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass
from typing import Any, Dict, List

LIST = pathlib.Path(__file__).resolve().parents[1] / "cases.json"
TO_DRIVERS = ("call", "cast", "cast_nowait", "inspect", "stop", "kill", "nodes", "processes", "classes", "tree", "subscribe", "next",
              "unsubscribe", "cancel", "open", "close", "serve", "drain", "leave", "hammer", "flood", "wait_ready",
              "start", "publish", "group", "groups", "registry", "lookup", "act", "down", "link", "task", "await")
TO_THE_MOCK = ("sidecar", "seen", "not_seen")
OF_THE_RUNNER = ("finish", "sigkill", "until", "verify_ledger")
BY_HTTP = ("call", "cast", "inspect", "stop", "kill", "nodes", "processes", "classes", "tree", "subscribe", "next", "unsubscribe", "open", "hammer",
           "start", "publish", "group", "groups", "registry")
RESTART = {"restart": True}  #: of the sidecar, which a real one can do too
VERBS = TO_DRIVERS + TO_THE_MOCK + OF_THE_RUNNER
MODIFIERS = ("as", "by", "gives", "has", "fails", "timeoutMs", "trace", "retry", "types", "limit", "local", "count", "lacks",
             "stateVersion", "concurrency", "over", "parallel", "environment", "withinMs", "in", "keep", "times", "under")


@dataclass(frozen=True)
class Case:
    name: str
    steps: List[Dict[str, Any]]
    app: List[str]  #: classes that the program `app` hosts when the case begins
    opens: bool  #: whether the program `client` is connected when it begins
    classes: Dict[str, Any]  #: what is special about classes, for the mock
    features: List[str]  #: of the welcome, without which it does not apply

    http: str = ""  #: why it has no meaning in plain HTTP, where that is not seen by its steps

    @property
    def not_by_http(self) -> str:
        """Why it cannot be told to the HTTP interface; empty: it can."""
        for step in self.steps:
            asked = step.get("until", step)
            verb = verb_of(asked)
            if asked.get("by", "client") == "client" and verb in TO_DRIVERS and verb not in BY_HTTP:
                return f"plain HTTP has no {verb!r}"
            if isinstance(asked[verb], dict) and "process" in asked[verb]:
                return "plain HTTP has no client processes"
            if "retry" in asked or "trace" in asked:
                return f"plain HTTP has no {'retry' if 'retry' in asked else 'trace'}"
        return self.http

    @property
    def needs_the_mock(self) -> bool:
        return bool(self.classes) or any(verb_of(step.get("until", step)) in TO_THE_MOCK and step.get("sidecar") != RESTART for step in self.steps)

    @property
    def restarts_the_sidecar(self) -> bool:
        return any(step.get("sidecar") == RESTART for step in self.steps)


def verb_of(step: Dict[str, Any]) -> str:
    verbs = [key for key in step if key in VERBS]
    if len(verbs) != 1:
        raise ValueError(f"a step has one verb, not {verbs}: {step}")
    unknown = [key for key in step if key not in MODIFIERS and key != verbs[0]]
    if unknown:
        raise ValueError(f"a step has {unknown[0]!r}, which nothing reads: {step}")
    return verbs[0]


def check_hammers(case: Case) -> None:
    """Raises :class:`ValueError` where something is killed among many calls, and nobody asks whether it met one of them."""
    hammers = [step.get("as") for step in case.steps if "hammer" in step]
    if sorted(map(str, hammers)) != sorted(str(step["verify_ledger"]) for step in case.steps if "verify_ledger" in step):
        raise ValueError(f"{case.name}: each 'hammer' has a name ('as'), and one 'verify_ledger' of that name")
    for step in case.steps:
        kills = "sigkill" in step or step.get("sidecar") == RESTART
        if "under" in step and not (kills and step["under"] in hammers):
            raise ValueError(f"{case.name}: 'under' is for a kill, and names a 'hammer': {step}")
        if hammers and kills and "under" not in step:
            raise ValueError(f"{case.name}: a kill among many calls says under which 'hammer' it is to come: {step}")


def load(path: pathlib.Path = LIST) -> List[Case]:
    """Raises :class:`ValueError` for a list that would not say what it seems to."""
    cases = []
    for entry in json.loads(path.read_text()):
        unknown = entry.keys() - {"name", "steps", "app", "opens", "classes", "features", "http"}
        if unknown:
            raise ValueError(f"{entry.get('name')}: unknown {sorted(unknown)}")
        case = Case(entry["name"], entry["steps"], entry.get("app", []), entry.get("opens", True), entry.get("classes", {}),
                    entry.get("features", []), entry.get("http", ""))
        for step in case.steps:
            verb_of(step)
        check_hammers(case)
        cases.append(case)
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two cases have the name {sorted(twice)[0]}")
    return cases
