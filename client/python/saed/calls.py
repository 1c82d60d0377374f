"""What every call has: an end, names of what other calls returned, and words for what is wrong."""

import copy
import functools
import inspect
import time

_UNSET = object()


def checked(timeout):
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ValueError(f"timeout: is {timeout!r}; must be seconds above 0, or None for no end")
    return float(timeout)


def unhurried(call):
    """Marks a call that watches, waits or carries files: the connection's timeout is not its
    own."""
    call.unhurried = True
    return call


# Parameters that are names of things.
_NAMES = {"annotation", "dictionary", "feature", "model", "name", "reassign_to", "recording", "sweep",
          "thing", "token", "user"}
_LISTS = {"after", "others"}


def _name(parameter, given):
    """The name that is given, or that of the message that is."""
    fields = getattr(given, "DESCRIPTOR", None)
    if fields is not None and "name" in fields.fields_by_name:
        return given.name
    if isinstance(given, str):
        return given
    raise TypeError(f"{parameter}: is {given!r}, a {type(given).__name__}; must be a name, or what a "
                    "call returned")


def _with_names(bound):
    for parameter, given in bound.arguments.items():
        if parameter in _NAMES and given is not None:
            bound.arguments[parameter] = _name(parameter, given)
        elif parameter in _LISTS and not isinstance(given, int):  # of watch() it is a number
            one = isinstance(given, str) or not hasattr(given, "__iter__")
            bound.arguments[parameter] = [_name(parameter, g) for g in ([given] if one else given)]
    return bound


def _call(call):
    plain = inspect.signature(call)

    @functools.wraps(call)
    def wrapper(self, *arguments, timeout=_UNSET, **named):
        try:
            bound = _with_names(plain.bind(self, *arguments, **named))
        except TypeError as error:
            raise TypeError(f"{call.__name__}: {error}; it is {call.__name__}{shown}") from None
        if timeout is _UNSET:  # within another call its end holds
            inner = self._deadline is not None or getattr(call, "unhurried", False)
            timeout = None if inner else self._timeout
        if timeout is None:
            return call(*bound.args, **bound.kwargs)
        # A copy has the end of this call, so that another thread's are not touched, and generators
        # keep it.
        mine = copy.copy(self)
        end = time.monotonic() + checked(timeout)
        mine._deadline = end if self._deadline is None else min(end, self._deadline)
        bound.arguments["self"] = mine
        return call(*bound.args, **bound.kwargs)

    parameters = list(plain.parameters.values())
    timeout = inspect.Parameter("timeout", inspect.Parameter.KEYWORD_ONLY, default=None)
    last = len(parameters) - (parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    whole = parameters[:last] + [timeout] + parameters[last:]
    wrapper.__signature__ = plain.replace(parameters=whole)
    shown = plain.replace(parameters=whole[1:])  # without self
    return wrapper


def calls(cls):
    """Gives every public call of a class `timeout`, s, for all that it does, and lets it take what
    another returned where it wants a name."""
    for name, call in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            setattr(cls, name, _call(call))
    return cls
