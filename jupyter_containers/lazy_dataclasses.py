"""Dataclasses whose methods are compiled on first use.

``dataclass``, ``field`` and ``replace`` are those of :mod:`dataclasses` for type checkers, and
behave like them.  A class of the standard library takes 0.65 ms to create, because the source of
six methods is compiled; importing the engine creates 200 of them.  Here creation takes 0.04 ms:
``__init__`` is compiled when the first instance is made, and the other methods are shared code.

Forms that this package rarely uses (without ``slots``, with ``InitVar``, with the standard
library's ``field``) become dataclasses of the standard library.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace


class _Missing:
    """The value of a parameter that was not given; printed in signatures."""

    def __repr__(self) -> str:
        return "<factory>"


_MISSING: Any = _Missing()
_OPTIONS = {"frozen", "slots", "kw_only", "repr"}
_FEW = 20
_FIELDS = "__lazy_fields__"
# Read by functions of dataclasses, and by the standard decorator of a subclass.
_STANDARD = ("__dataclass_fields__", "__dataclass_params__")


class _Field:
    """One field of a class."""

    __slots__ = ("compare", "default", "factory", "hint", "kw_only", "repr")

    def __init__(self, default: Any, factory: Any, *, repr: bool, compare: bool) -> None:
        self.default, self.factory, self.repr, self.compare = default, factory, repr, compare
        self.hint, self.kw_only = "", False

    def options(self) -> dict[str, Any]:
        """Return the arguments for the standard library's ``field``."""
        given = {"default": self.default, "default_factory": self.factory}
        options = {key: value for key, value in given.items() if value is not _MISSING}
        return options | {"repr": self.repr, "compare": self.compare, "kw_only": self.kw_only}


class _Standard:
    """A descriptor that makes a standard attribute of a dataclass when it is read."""

    def __init__(self, name: str, cls: type) -> None:
        self._name, self._cls = name, cls

    def __get__(self, instance: object, owner: type) -> Any:
        """Return the attribute that the standard library would have set."""
        value = _standard_twin(self._cls).__dict__[self._name]
        setattr(self._cls, self._name, value)
        return value


class _Signature:
    """A descriptor that compiles ``__init__`` before :func:`inspect.signature` looks at it."""

    def __get__(self, instance: object, owner: type) -> Any:
        """Raise AttributeError: the signature is that of ``__init__``."""
        if instance is None and _FIELDS in owner.__dict__:
            _compile_init(owner)
        raise AttributeError("__signature__")


if not TYPE_CHECKING:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """Make a class a dataclass: see :func:`dataclasses.dataclass`."""
        if cls is None:
            return lambda cls: _decorated(cls, options)
        return _decorated(cls, options)

    def field(
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        repr: bool = True,
        compare: bool = True,
    ) -> Any:
        """Describe a field: see :func:`dataclasses.field`."""
        return _Field(default, default_factory, repr=repr, compare=compare)

    def replace(instance: Any, /, **changes: Any) -> Any:
        """Return a copy with other values of some fields: see :func:`dataclasses.replace`."""
        cls = type(instance)
        if _FIELDS not in cls.__dict__:
            import dataclasses

            return dataclasses.replace(instance, **changes)
        for name in cls.__dict__[_FIELDS]:
            if name not in changes:
                changes[name] = getattr(instance, name)
        return cls(**changes)


def _decorated(cls: type, options: dict[str, bool]) -> type:
    own = _own_fields(cls, kw_only=options.get("kw_only", False))
    lazy = options.get("slots") and options.keys() <= _OPTIONS and own is not None
    if not lazy or any(_is_standard(base) for base in cls.__mro__[1:]):
        return _standard(cls, options)
    assert own is not None
    fields: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= base.__dict__.get(_FIELDS, {})
    fields |= own
    made = _with_slots(cls, own)
    setattr(made, _FIELDS, fields)
    if "__match_args__" not in cls.__dict__:
        positional = tuple(name for name, one in fields.items() if not one.kw_only)
        setattr(made, "__match_args__", positional)  # noqa: B010  # no attribute of every class
    for name in _STANDARD:
        setattr(made, name, _Standard(name, made))
    setattr(made, "__signature__", _Signature())  # noqa: B010  # no attribute of every class
    _set_methods(made, cls, fields, options)
    return made


def _own_fields(cls: type, *, kw_only: bool) -> dict[str, _Field] | None:
    """Return the fields that the class itself declares; None if a form is not supported here."""
    # Not inspect.get_annotations: inspect is slow to import, and base classes are not asked for.
    hints = cls.__dict__.get("__annotations__")  # noqa: RUF063  # see above
    if hints is None and sys.version_info >= (3, 14):
        hints = cls.__annotations__
    found = {}
    for name, hint in (hints or {}).items():
        if not isinstance(hint, str) or "InitVar" in hint:
            return None
        if hint == "KW_ONLY":
            kw_only = True
            continue
        if hint.startswith(("ClassVar", "typing.ClassVar")):
            continue
        one = cls.__dict__.get(name, _MISSING)
        if type(one).__module__ == "dataclasses":
            return None
        if not isinstance(one, _Field):
            if one is not _MISSING and one.__class__.__hash__ is None:
                raise ValueError(f"mutable default for field {name}: use default_factory")
            one = _Field(one, _MISSING, repr=True, compare=True)
        one.hint, one.kw_only = hint, kw_only
        found[name] = one
    return found


def _is_standard(base: type) -> bool:
    return "__dataclass_fields__" in base.__dict__ and _FIELDS not in base.__dict__


def _standard(cls: type, options: dict[str, bool]) -> type:
    import dataclasses

    for name, value in list(cls.__dict__.items()):
        if isinstance(value, _Field):
            given = value.options()
            del given["kw_only"]
            setattr(cls, name, dataclasses.field(**given))
    return dataclasses.dataclass(**options)(cls)


def _standard_twin(cls: type) -> type:
    """Return a class that the standard library has decorated, with the same fields."""
    import dataclasses

    fields: dict[str, _Field] = cls.__dict__[_FIELDS]
    members: dict[str, Any] = {
        name: dataclasses.field(**one.options()) for name, one in fields.items()
    }
    members["__annotations__"] = {name: one.hint for name, one in fields.items()}
    # With a docstring and without methods nothing is compiled.
    members |= {"__module__": cls.__module__, "__doc__": ""}
    twin: type = dataclasses.dataclass(init=False, repr=False, eq=False, match_args=False)(
        type(cls.__name__, (), members)
    )
    parameters: Any = twin.__dict__["__dataclass_params__"]
    parameters.frozen = "__setattr__" in cls.__dict__
    return twin


def _with_slots(cls: type, own: dict[str, _Field]) -> type:
    """Return the class again, with slots: they cannot be added to an existing class."""
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get(_FIELDS, ())}
    members = {
        name: value
        for name, value in cls.__dict__.items()
        if name not in own and name not in ("__dict__", "__weakref__")
    }
    if "__annotations__" in members:  # other libraries evaluate them
        hints = members["__annotations__"].items()
        members["__annotations__"] = {name: hint for name, hint in hints if hint != "KW_ONLY"}
    members["__slots__"] = tuple(name for name in own if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, members)
    made.__qualname__ = cls.__qualname__
    return made


def _set_methods(
    made: type, cls: type, fields: dict[str, _Field], options: dict[str, bool]
) -> None:
    written = cls.__dict__
    values = _getter([name for name, one in fields.items() if one.compare])
    methods: dict[str, Any] = {}
    if "__eq__" not in written:
        methods["__eq__"] = _eq(values)
    explicit_hash = written.get("__hash__") is not None
    if options.get("frozen"):
        methods |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
        if not explicit_hash:
            methods["__hash__"] = lambda self: hash(values(self))
        if "__getstate__" not in written:
            methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
    elif not explicit_hash:
        methods["__hash__"] = None
    if options.get("repr", True) and "__repr__" not in written:
        methods["__repr__"] = _repr([name for name, one in fields.items() if one.repr])
    methods["__init__"] = _init_on_first_use(made)
    for name, method in methods.items():
        setattr(made, name, method)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads the attributes of an object as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _eq(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, Any], bool]:
    def equal(self: Any, other: Any) -> bool:
        if other.__class__ is self.__class__:
            same: bool = values(self) == values(other)
            return same
        return NotImplemented  # type: ignore[no-any-return]  # its type is Any

    return equal


def _repr(names: list[str]) -> Callable[[Any], str]:
    def text(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return text


def _refuse_set(self: object, name: str, value: object) -> None:  # noqa: ARG001  # the signature
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:  # noqa: ARG001  # likewise
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in getattr(type(self), _FIELDS)]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(getattr(type(self), _FIELDS), state, strict=True):
        object.__setattr__(self, name, value)


def _init_on_first_use(cls: Any) -> Callable[..., None]:
    """Return an ``__init__`` that sets the fields one by one, and compiles one for many instances.

    It is slower than the compiled one, whose compilation costs as much as 50 of its calls.
    """
    fields: dict[str, _Field] = cls.__dict__[_FIELDS]
    positional = cls.__match_args__
    assign = object.__setattr__
    ends = hasattr(cls, "__post_init__")
    calls = 0

    def init(self: Any, /, *args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        given = dict(zip(positional, args, strict=False))
        expected = len(given) == len(args) and kwargs.keys() <= fields.keys() - given.keys()
        if calls > _FEW or not expected:
            _compile_init(cls)
            cls.__init__(self, *args, **kwargs)
            return
        given |= kwargs
        for name, one in fields.items():
            value = given.get(name, _MISSING)
            if value is _MISSING:
                value = one.default if one.factory is _MISSING else one.factory()
                if value is _MISSING:  # the compiled one raises the error
                    _compile_init(cls)
                    cls.__init__(self, *args, **kwargs)
                    return
            assign(self, name, value)
        if ends:
            self.__post_init__()

    return init


def _compile_init(cls: Any) -> None:
    """Replace ``__init__`` by a function with the class's parameters."""
    fields: dict[str, _Field] = cls.__dict__[_FIELDS]
    frozen = "__setattr__" in cls.__dict__
    known: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": _MISSING}
    ordered: list[str] = ["self"]
    lines: list[str] = []
    for keyword_only in (False, True):
        chosen = {name: one for name, one in fields.items() if one.kw_only is keyword_only}
        ordered += ["*"] if keyword_only and chosen else []
        for name, one in chosen.items():
            value = name
            if one.factory is not _MISSING:
                known[f"_make_{name}"] = one.factory
                ordered.append(f"{name}=_MISSING")
                value = f"_make_{name}() if {name} is _MISSING else {name}"
            elif one.default is not _MISSING:
                known[f"_default_{name}"] = one.default
                ordered.append(f"{name}=_default_{name}")
            else:
                ordered.append(name)
            lines.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    # The names are those of a class's annotations, which are identifiers.
    exec(f"def __init__({', '.join(ordered)}):\n" + ("\n".join(lines) or " pass"), known)  # noqa: S102  # as dataclasses do
    init = known.pop("__init__")
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {name: one.hint for name, one in fields.items()} | {"return": None}
    cls.__init__ = init
