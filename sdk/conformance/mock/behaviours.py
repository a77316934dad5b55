"""The built-in behaviours of docs/protocol.md, as far as tests need them: state, method, argument -> reply, new state."""
from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from .model import Error, error


class Refusal(Exception):
    def __init__(self, problem: Error) -> None:
        super().__init__(problem["text"])
        self.problem = problem


def counter(state: Any, method: str, argument: Any) -> Tuple[Any, Any]:
    value = state or 0
    if method == "get":
        return value, value
    if method == "reset":
        return 0, 0
    if method not in ("add", "set"):
        raise Refusal(error("not_found", f"class 'counter' has no method {method!r}; it has: add, get, reset, set"))
    amount = 1 if argument is None and method == "add" else argument
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise Refusal(error("invalid_argument", f"{method} takes an integer"))
    value = value + amount if method == "add" else amount
    return value, value


def kv(state: Any, method: str, argument: Any) -> Tuple[Any, Any]:
    document = state or {}
    if method == "get":
        return (document if argument is None else document.get(argument)), document
    if method == "put":
        if not isinstance(argument, dict) or "key" not in argument:
            raise Refusal(error("invalid_argument", "put takes a map with key and value"))
        document = {**document, argument["key"]: argument.get("value")}
        return {"version": len(document)}, document
    if method == "keys":
        return sorted(document), document
    if method == "delete":
        return argument in document, {key: value for key, value in document.items() if key != argument}
    raise Refusal(error("not_found", f"class 'kv' has no method {method!r}; it has: delete, get, keys, put"))


BUILTINS: Dict[str, Callable[[Any, str, Any], Tuple[Any, Any]]] = {"counter": counter, "kv": kv}
