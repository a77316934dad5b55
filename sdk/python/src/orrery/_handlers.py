"""Handlers: methods of a process class that messages come to, and how a message's one argument becomes their parameters."""
from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar, Union, overload

from ._names import METHOD_BYTES_MAX
from .errors import Refused

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__orrery_handler__"


@dataclass(frozen=True)
class Handler:
    """A method, as messages see it."""

    kind: str  #: call, cast or info
    name: str
    function: Callable[..., Any]
    is_async: bool
    arguments: Callable[[Any], Tuple[Tuple[Any, ...], Dict[str, Any]]]  #: the message's argument -> args, kwargs


def _decorator(kind: str) -> Any:
    def decorate(function: Union[F, str, None] = None, *, name: str = "") -> Any:
        if isinstance(function, str) and name:
            raise TypeError(f"@orrery.{kind} was given two names, {function!r} and {name!r}")
        said = function if isinstance(function, str) else name

        def mark(method: F) -> F:
            if not callable(method):
                raise TypeError(f"@orrery.{kind} is for methods, not for {type(method).__name__}")
            setattr(method, _MARK, (kind, said or method.__name__))
            return method

        return mark if function is None or isinstance(function, str) else mark(function)

    return decorate


class _Decorator:
    """The type of :func:`call`, :func:`cast` and :func:`info`, for type checkers."""

    @overload
    def __call__(self, function: F) -> F: ...

    @overload
    def __call__(self, function: str) -> Callable[[F], F]: ...

    @overload
    def __call__(self, *, name: str) -> Callable[[F], F]: ...

    def __call__(self, function: Any = None, *, name: str = "") -> Any:
        raise NotImplementedError


call: _Decorator = _decorator("call")
"""A method that answers: what it returns is the reply. ``@orrery.call(name="add-item")``, or ``@orrery.call("add-item")``, for names that are
no identifiers."""
cast: _Decorator = _decorator("cast")
"""A method that nobody waits for."""
info: _Decorator = _decorator("info")
"""A method for a timer's name, a plain message's word, or the name of a request or monitor; :attr:`Process.source` tells them apart. A timer
``expire/pen`` comes to ``expire`` where nothing has its whole name."""


def handlers_of(owner: type, base: type) -> Dict[Tuple[str, str], Handler]:
    """All handlers of a class and its bases, by (kind, name). Raises :class:`TypeError` for one that could never be called.

    ``base`` is the class whose own methods a handler must not hide.
    """
    found: Dict[Tuple[str, str], Handler] = {}
    for attribute in dir(owner):
        method = inspect.getattr_static(owner, attribute)
        mark = getattr(method, _MARK, None)
        if mark is None:
            continue
        kind, name = mark
        if hasattr(base, attribute) or attribute in base.__annotations__:
            raise TypeError(f"{owner.__qualname__}.{attribute} hides orrery.Process.{attribute}; call the method otherwise, "
                            f"and say @orrery.{kind}(name={attribute!r})")
        handler = bind(owner, kind, name, method)
        if (kind, name) in found:
            raise TypeError(f"{owner.__qualname__} has two methods for {kind} {name!r}")
        found[kind, name] = handler
    return found


def bind(owner: type, kind: str, name: str, method: Callable[..., Any]) -> Handler:
    where = f"{owner.__qualname__}.{method.__name__}"
    if not 1 <= len(name.encode()) <= METHOD_BYTES_MAX:
        raise TypeError(f"{where}: the name of a handler has 1 to {METHOD_BYTES_MAX} bytes")
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        raise TypeError(f"{where} is a generator; a handler returns once")
    return Handler(kind, name, method, inspect.iscoroutinefunction(method), _arguments_for(where, method, kind))


def _arguments_for(where: str, method: Callable[..., Any], kind: str) -> Callable[[Any], Tuple[Tuple[Any, ...], Dict[str, Any]]]:
    parameters = list(inspect.signature(method).parameters.values())[1:]  # without self
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keywords = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_any = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    if takes_any or len(positional) > 1 or (positional and keywords):
        raise TypeError(f"{where} takes {inspect.signature(method)}; a message has one argument: use (self), (self, argument), "
                        "or (self, *, name, other=default) for the entries of a map")
    if keywords:
        return lambda argument: ((), _entries(where, keywords, argument))
    if not positional and kind == "call":
        return _nothing
    if not positional:
        return lambda argument: ((), {})
    if positional[0].default is not inspect.Parameter.empty:
        return lambda argument: (() if argument is None else (argument,), {})
    return lambda argument: ((argument,), {})


def _nothing(argument: Any) -> Tuple[Tuple[Any, ...], Dict[str, Any]]:
    if argument is not None:
        raise Refused("invalid_argument", f"the method takes no argument, and got a {type(argument).__name__}")
    return (), {}


def _entries(where: str, keywords: Dict[str, inspect.Parameter], argument: Any) -> Dict[str, Any]:
    """The entries of a map as keyword arguments. What does not fit is the caller's mistake, not a crash."""
    wanted = ", ".join(keywords)
    if argument is None:
        argument = {}
    if not isinstance(argument, dict):
        raise Refused("invalid_argument", f"the argument is a map with {wanted}, not {type(argument).__name__}")
    unknown = sorted(argument.keys() - keywords.keys())
    if unknown:
        raise Refused("invalid_argument", f"the argument has {unknown[0]!r}; it may have {wanted}")
    for name, parameter in keywords.items():
        if name not in argument and parameter.default is inspect.Parameter.empty:
            raise Refused("invalid_argument", f"the argument has no {name!r}; it is a map with {wanted}")
    return argument
