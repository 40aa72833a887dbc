"""Hypothesis strategies for search spaces."""

from __future__ import annotations

from hypothesis import strategies as st

from tunewell.spec.space import Choice, Condition, Numeric, Parameter, SearchSpace

NAMES = ("alpha", "beta", "gamma", "delta")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.text("abcxyz -{}", min_size=0, max_size=6),
)
POSITIONS = st.floats(0, 1)


@st.composite
def floats(draw: st.DrawFn, name: str = "x") -> Numeric:
    """Continuous floats, linear and log."""
    log = draw(st.booleans())
    bounds = st.floats(1e-12, 1e12) if log else st.floats(-1e12, 1e12)
    low, high = sorted((draw(bounds), draw(bounds)))
    return Numeric(name, low, high, log=log)


@st.composite
def stepped(draw: st.DrawFn, name: str = "x") -> Numeric:
    """Floats in decimal steps, such as 0.05."""
    places = draw(st.integers(0, 4))
    low = draw(st.integers(-1000, 1000)) / 10**places
    step = draw(st.integers(1, 50)) / 10**places
    count = draw(st.integers(1, 200))
    remainder = draw(st.sampled_from((0.0, 0.5)))
    return Numeric(name, low, low + (count + remainder) * step, step=step)


@st.composite
def integers(draw: st.DrawFn, name: str = "x") -> Numeric:
    """Integers: linear, in steps, and log."""
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -1000, 1000))
    high = low + draw(st.integers(0, 2000))
    step = None
    if not log and high > low:
        step = draw(st.none() | st.integers(1, min(20, high - low)))
    return Numeric(name, low, high, integer=True, log=log, step=step)


@st.composite
def choices(draw: st.DrawFn, name: str = "x") -> Choice:
    """Categorical and ordinal parameters, constants among them."""
    values = draw(st.lists(SCALARS, min_size=1, max_size=6, unique_by=lambda v: (isinstance(v, bool), v)))
    return Choice(name, tuple(values), ordered=draw(st.booleans()))


def discrete(name: str = "x") -> st.SearchStrategy[Parameter]:
    """Any parameter with single values."""
    return st.one_of(stepped(name), integers(name), choices(name))


def parameters(name: str = "x") -> st.SearchStrategy[Parameter]:
    """Any parameter."""
    return st.one_of(floats(name), discrete(name))


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of one to four parameters, with defaults and conditions."""
    made: list[Parameter] = []
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:
        parameter = draw(parameters(name))
        if draw(st.booleans()):
            parameter = _with(parameter, default=parameter.from_unit(draw(POSITIONS)))
        parents = [known for known in made if known.size is not None]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            value = parent.from_unit(draw(POSITIONS))
            parameter = _with(parameter, when=(Condition(parent.name, (value,)),))
        made.append(parameter)
    return SearchSpace(tuple(draw(st.permutations(made))))


def _with(parameter: Parameter, **fields: object) -> Parameter:
    from dataclasses import replace

    return replace(parameter, **fields)  # type: ignore[arg-type]
