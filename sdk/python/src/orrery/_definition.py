"""What a process class offers, read once from its Python class: its name, its handlers, its callbacks."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Type

from ._handlers import Handler, bind, handlers_of
from ._names import CLASS_BYTES_MAX

if TYPE_CHECKING:
    from ._process import Process

METHODS_MAX = 256
STATE_VERSION_MAX = 2**31 - 1
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CALLBACKS = {"init": "init", "continue": "handle_continue", "terminate": "terminate", "code_change": "code_change",
              "handoff": "handoff"}


@dataclass(frozen=True)
class Definition:
    """Made by :func:`define`; says nothing about any one process."""

    owner: "Type[Process[Any]]"
    class_name: str
    state_version: int
    concurrency: int
    calls: Dict[str, Handler]
    casts: Dict[str, Handler]
    infos: Dict[str, Handler]
    callbacks: Dict[str, Handler]  #: of init, continue, terminate, code_change and handoff those that the class has

    def handler(self, callback: str, method: str) -> Optional[Handler]:
        """Who handles this; None: nobody."""
        if callback == "call":
            return self.calls.get(method)
        if callback == "cast":
            return self.casts.get(method)
        if callback == "info":
            return self.infos.get(method) or self.infos.get(method.partition("/")[0])
        return self.callbacks.get(callback)

    def registration(self, app: str, concurrency: Optional[int] = None) -> Dict[str, Any]:
        """The fields of a ``register`` request."""
        return {
            "class": self.class_name,
            "calls": sorted(self.calls),
            "casts": sorted(self.casts),
            "callbacks": self.callback_names(),
            "stateVersion": self.state_version,
            "concurrency": concurrency or self.concurrency,
            "app": app,
        }

    def callback_names(self) -> List[str]:
        return sorted(self.callbacks) + (["info"] if self.infos else [])


def define(owner: "Type[Process[Any]]", base: "Type[Process[Any]]") -> Definition:
    """Raises :class:`TypeError`, when the class statement runs, for what could not work when messages come."""
    _check(owner)
    handlers = handlers_of(owner, base)
    of_kind: Dict[str, Dict[str, Handler]] = {"call": {}, "cast": {}, "info": {}}
    for (kind, name), handler in handlers.items():
        of_kind[kind][name] = handler
    if len(of_kind["call"]) + len(of_kind["cast"]) > METHODS_MAX:
        raise TypeError(f"{owner.__qualname__} has more than {METHODS_MAX} calls and casts")
    callbacks = {}
    for callback, attribute in _CALLBACKS.items():
        method = getattr(owner, attribute)
        if method is not getattr(base, attribute):
            callbacks[callback] = bind(owner, callback, callback, method)
    return Definition(owner, owner.class_name, owner.state_version, owner.concurrency,
                      of_kind["call"], of_kind["cast"], of_kind["info"], callbacks)


def is_class_name(text: str) -> bool:
    return len(text) <= CLASS_BYTES_MAX and _DNS_LABEL.fullmatch(text) is not None


def _check(owner: "Type[Process[Any]]") -> None:
    where = owner.__qualname__
    if owner.class_name and not is_class_name(owner.class_name):
        raise TypeError(f"{where}.class_name is {owner.class_name!r}; a class is named like 'cart': at most {CLASS_BYTES_MAX} of a-z, 0-9 and '-'")
    if not isinstance(owner.state_version, int) or not 0 <= owner.state_version <= STATE_VERSION_MAX:
        raise TypeError(f"{where}.state_version is {owner.state_version!r}; it is an integer from 0 to {STATE_VERSION_MAX}")
    if not isinstance(owner.concurrency, int) or owner.concurrency < 1:
        raise TypeError(f"{where}.concurrency is {owner.concurrency!r}; it is an integer from 1")
