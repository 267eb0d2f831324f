from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Choice, Member, Number, parameters
from paretoscope.methods.pruning import CRITERIA, KeepAll, Magnitude
from paretoscope.methods.quantization import QUANTIZERS, FixedPoint, Float32
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.methods.storage import STORAGES
from paretoscope.network.network import Network


def _values(described: Any) -> st.SearchStrategy[Any]:
    if isinstance(described.range, Choice):
        return st.sampled_from(described.range.options)
    assert isinstance(described.range, Number)
    high = min(described.range.high, 1e300)
    if described.range.whole:
        return st.integers(int(described.range.low), int(high)).map(float)
    return st.floats(described.range.low, high, allow_subnormal=False)


@st.composite
def members(draw: Any, family: Any) -> Member:
    kind = draw(st.sampled_from(family))
    values = {name: draw(_values(p)) for name, p in parameters(kind).items()}
    if "pattern" in values:  # a criterion: one of three, and no scope with a pattern
        chosen = draw(st.sampled_from(["threshold", "sparsity", "pattern"]))
        for other in {"threshold", "sparsity", "pattern"} - {chosen}:
            values.pop(other)
        if chosen == "pattern":
            values.pop("scope")
    member: Member = kind(**values)
    return member


treatments = st.builds(
    Treatment,
    st.one_of(st.just(KeepAll()), members(CRITERIA)),
    members(QUANTIZERS),
)
recipes = st.builds(
    lambda everywhere, overrides, recovery, storage: Recipe(
        everywhere.pruner, everywhere.quantizer, overrides, recovery, storage
    ),
    treatments,
    st.dictionaries(st.text(min_size=1, max_size=8), treatments, max_size=3),
    members(RECOVERIES),
    members(STORAGES),
)


@given(recipes)
def test_parse_is_the_inverse_of_the_text(recipe: Recipe) -> None:
    again = Recipe.parse(str(recipe))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert str(again) == str(recipe)


@given(st.text(max_size=40))
def test_any_text_is_a_recipe_or_a_sentence(text: str) -> None:
    try:
        recipe = Recipe.parse(text)
    except ParetoscopeError as error:
        assert "\n" not in str(error) or "\n" in text
    else:
        assert Recipe.parse(str(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("magnitude(threshold=0.05)+q(16)", "magnitude(threshold=0.05)+q(16)"),
        (" q( 16.0 ) + magnitude( threshold = 5e-2 ) ", "magnitude(threshold=0.05)+q(16)"),
        ("keep+float32", "float32"),
        ("project+q(3)", "q(3)"),
        ("q(q=3)", "q(3)"),
        ("bytes+gptq+symmetric(4,per=output)", "symmetric(4,per=output)+gptq+bytes"),
        ("magnitude(sparsity=.5,scope=global)", "magnitude(sparsity=0.5)"),
        ("q(4);dense3=q(6);dense1=keep", "q(4);dense1=float32;dense3=q(6)"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(Recipe.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a part of a recipe must be one of activation, allunits, apoz, auto, bias, "),
        ("prune(3)", "a part of a recipe must be one of"),
        ("q", "q needs q; got nothing"),
        ("q(3", "'q(3' has no closing bracket; write it like 'q(16)'"),
        ("q(0)", "q must be at least 1; got 0"),
        ("q(a)", "q must be a number from 1 to 16777216; got 'a'"),
        ("q(3,4)", "q takes q, per, each once; got '4'"),
        ("q(3,bits=4)", "q takes q, per, each once; got 'bits=4'"),
        ("keep(3)", "keep takes no parameters, each once; got '3'"),
        ("q(3)+q(4)", "a recipe has one part of each kind; 'q(4)' is a second"),
        ("magnitude(threshold=0.1,scope=all)", "scope must be one of global, layer"),
        ("q(3);dense1", "after ';' a recipe has 'layer=parts' once; got 'dense1'"),
        ("q(3);a=q(3);a=q(4)", "after ';' a recipe has 'layer=parts' once; got 'a=q(4)'"),
        ("q(3);a=project", "a recovery is for all layers; got project for a"),
        ("q(3);a=bytes", "a storage is for all layers; got bytes for a"),
        ("symmetric(2.5)", "symmetric's bits must be a whole number from 2 to 8; got 2.5"),
    ],
)
def test_a_wrong_text_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ParetoscopeError) as caught:
        Recipe.parse(text)
    assert message in str(caught.value)


def test_what_stands_in_a_recipes_places_is_checked() -> None:
    with pytest.raises(ParetoscopeError, match=r"Recipe's first part must be like Magnitude"):
        Recipe(FixedPoint(8))  # type: ignore[arg-type]
    with pytest.raises(ParetoscopeError, match=r"Recipe's second part must be like FixedPoint"):
        Recipe(Magnitude(sparsity=0.1), 8)  # type: ignore[arg-type]
    with pytest.raises(ParetoscopeError, match="the override of dense1 must be like Treatment"):
        Recipe(overrides={"dense1": FixedPoint(8)})  # type: ignore[dict-item]


def test_treatments_by_layer(mlp: Network) -> None:
    own = Treatment(quantizer=FixedPoint(32))
    recipe = Recipe(Magnitude(sparsity=0.5), FixedPoint(4), {"dense3": own})
    found = recipe.treatments(mlp)
    assert found["dense1"] == found["dense2"] == Treatment(Magnitude(sparsity=0.5), FixedPoint(4))
    assert found["dense3"] == own
    wrong = Recipe(overrides={"dense9": Treatment(quantizer=Float32())})
    with pytest.raises(ParetoscopeError, match="layer 'dense9'; this network has dense1, dense2"):
        wrong.treatments(mlp)


def test_a_recipe_is_frozen() -> None:
    recipe = Recipe(overrides={"a": Treatment()})
    with pytest.raises(AttributeError):
        recipe.pruner = KeepAll()  # type: ignore[misc]
    with pytest.raises(TypeError):
        recipe.overrides["b"] = Treatment()  # type: ignore[index]
