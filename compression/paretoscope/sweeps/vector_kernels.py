"""Sixty-four rows at once: the three loops that a walk is made of, written for vector registers.

Numba compiles loops over arrays well but for one thing: it must assume that the array that is
written may be one of those that are read, and guards each loop with tests that cost as much as a
short loop itself. So these are given to the compiler as what they should become.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from paretoscope.sweeps.memory_layout import LANES

_WIDTH = 16  # numbers in the widest register; the compiler halves it where there are none so wide
_ALIGNED_BYTES = 64


def _typed_accumulate(
    typing_context: Any,
    memory: Any,
    to: Any,
    base: Any,
    offsets: Any,
    values: Any,
    start: Any,
    stop: Any,
) -> Any:
    """``memory[to + r] += sum(values[e] * memory[base + offsets[e] + r])`` for r < `LANES`.

    The sum is over the entries e from `start` to `stop`.

    Parameters
    ----------
    memory : float32 array
        Its start is aligned to 64 bytes; `to`, `base` and all `offsets` are multiples of 16.
    to, base, start, stop : int64
    offsets : int32 array
    values : float32 array
    """
    places = [types.int64] * 2
    signature = types.void(memory, *places, offsets, values, *places)
    return signature, _accumulate


def _typed_rectify(
    typing_context: Any,
    memory: Any,
    to: Any,
    difference: Any,
    base: Any,
    stride: Any,
    pooled: Any,
    start: Any,
    stop: Any,
    bias: Any,
    floor: Any,
) -> Any:
    """``memory[to + r] = max(floor, bias + max(memory[base + pooled[e] * stride + r]))``.

    The largest is of the entries e from `start` to `stop`, at least one; r < `LANES`. With a
    `difference` of at least zero, ``memory[difference + r]`` becomes what is new minus what was at
    `to` before. Alignment is as for `accumulate`.

    Parameters
    ----------
    memory : float32 array
    to, difference, base, stride, start, stop : int64
    pooled : int64 array
    bias, floor : float32
    """
    places, numbers = [types.int64] * 4, [types.float32] * 2
    signature = types.void(memory, *places, pooled, *places[:2], *numbers)
    return signature, _rectify


def _typed_choose(
    typing_context: Any,
    memory: Any,
    to: Any,
    base: Any,
    stride: Any,
    biases: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Which score is the largest: ``memory[to + r] = argmax(memory[base + e * stride + r] + b_e)``.

    The scores e have the biases from `start` to `stop`, at least one; of equal ones the first is
    taken; r < `LANES`. Alignment is as for `accumulate`.

    Parameters
    ----------
    memory, biases : float32 array
    to, base, stride, start, stop : int64
    """
    places = [types.int64] * 3
    return types.void(memory, *places, biases, *places[:2]), _choose


accumulate: Any = intrinsic(_typed_accumulate)
choose: Any = intrinsic(_typed_choose)
rectify: Any = intrinsic(_typed_rectify)

_NUMBER, _PLACE = ir.FloatType(), ir.IntType(64)
_REGISTER = ir.VectorType(_NUMBER, _WIDTH)
_PARTS = range(0, LANES, _WIDTH)


class _Code:
    """Writes code on registers that hold `LANES` numbers of a memory."""

    def __init__(self, builder: Any, memory: Any) -> None:
        self._builder, self._memory = builder, memory

    def load(self, place: Any) -> list[Any]:
        at = [self._at(place, part) for part in _PARTS]
        return [self._builder.load(pointer, align=_ALIGNED_BYTES) for pointer in at]

    def store(self, registers: list[Any], place: Any) -> None:
        for part, register in zip(_PARTS, registers, strict=True):
            self._builder.store(register, self._at(place, part), align=_ALIGNED_BYTES)

    def everywhere(self, number: Any) -> Any:
        """A register that holds one number many times."""
        nothing = ir.Constant(_REGISTER, ir.Undefined)
        first = self._builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), [0] * _WIDTH)
        return self._builder.shuffle_vector(first, nothing, zeros)

    def multiply_add(self, one: Any, other: Any, total: Any) -> Any:
        kind = ir.FunctionType(_REGISTER, [_REGISTER] * 3)
        name = f"llvm.fmuladd.v{_WIDTH}f32"
        known: Any = self._builder.module.globals.get(name)
        function = known or ir.Function(self._builder.module, kind, name)
        return self._builder.call(function, [one, other, total])

    def larger(self, one: Any, other: Any) -> Any:
        is_larger = self._builder.fcmp_ordered(">", one, other)
        return self._builder.select(is_larger, one, other)

    def fold(
        self, start: Any, stop: Any, first: list[Any], step: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Registers that begin as `first` and become ``step(e, registers)`` for each entry e."""
        builder, entry = self._builder, self._builder.block
        loop, done = builder.append_basic_block("entries"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", start, stop), loop, done)
        builder.position_at_end(loop)
        e, held = builder.phi(_PLACE), [builder.phi(_REGISTER) for _ in first]
        after = step(e, held)
        following = builder.add(e, ir.Constant(_PLACE, 1))
        builder.cbranch(builder.icmp_signed("<", following, stop), loop, done)
        builder.position_at_end(done)
        results = [builder.phi(_REGISTER) for _ in first]
        e.add_incoming(start, entry)
        e.add_incoming(following, loop)
        for one, result, old, new in zip(held, results, first, after, strict=True):
            for phi in (one, result):
                phi.add_incoming(old, entry)
                phi.add_incoming(new, loop)
        return results

    def _at(self, place: Any, part: int) -> Any:
        index = self._builder.add(place, ir.Constant(_PLACE, part))
        pointer = self._builder.gep(self._memory, [index])
        return self._builder.bitcast(pointer, _REGISTER.as_pointer())


def _accumulate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = _data_of(context, builder, signature)
    memory, to, base, offsets, values, start, stop = map(data, arguments, signature.args)
    code = _Code(builder, memory)

    def step(e: Any, totals: list[Any]) -> list[Any]:
        value = code.everywhere(builder.load(builder.gep(values, [e])))
        offset = builder.sext(builder.load(builder.gep(offsets, [e])), _PLACE)
        inputs = code.load(builder.add(base, offset))
        return [code.multiply_add(value, x, t) for x, t in zip(inputs, totals, strict=True)]

    code.store(code.fold(start, stop, code.load(to), step), to)
    return context.get_dummy_value()


def _rectify(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = _data_of(context, builder, signature)
    memory, to, difference, base, stride, pooled, start, stop, bias, floor = map(
        data, arguments, signature.args
    )
    code = _Code(builder, memory)

    def entry(e: Any) -> list[Any]:
        position = builder.load(builder.gep(pooled, [e]))
        return code.load(builder.add(base, builder.mul(position, stride)))

    def step(e: Any, largest: list[Any]) -> list[Any]:
        return [code.larger(x, y) for x, y in zip(entry(e), largest, strict=True)]

    second = builder.add(start, ir.Constant(_PLACE, 1))
    largest = code.fold(second, stop, entry(start), step)
    add, limit = code.everywhere(bias), code.everywhere(floor)
    new = [code.larger(builder.fadd(one, add), limit) for one in largest]
    with builder.if_then(builder.icmp_signed(">=", difference, ir.Constant(_PLACE, 0))):
        before = code.load(to)
        code.store([builder.fsub(x, y) for x, y in zip(new, before, strict=True)], difference)
    code.store(new, to)
    return context.get_dummy_value()


def _choose(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = _data_of(context, builder, signature)
    memory, to, base, stride, biases, start, stop = map(data, arguments, signature.args)
    code = _Code(builder, memory)

    def scores(e: Any) -> list[Any]:
        place = builder.add(base, builder.mul(builder.sub(e, start), stride))
        bias = code.everywhere(builder.load(builder.gep(biases, [e])))
        return [builder.fadd(z, bias) for z in code.load(place)]

    def step(e: Any, held: list[Any]) -> list[Any]:
        name = code.everywhere(builder.sitofp(builder.sub(e, start), _NUMBER))
        best, names = held[: len(_PARTS)], held[len(_PARTS) :]
        found = scores(e)
        larger = [builder.fcmp_ordered(">", x, y) for x, y in zip(found, best, strict=True)]
        renamed = map(builder.select, larger, [name] * len(_PARTS), names)
        return [*map(builder.select, larger, found, best), *renamed]

    second = builder.add(start, ir.Constant(_PLACE, 1))
    first = [*scores(start), *[code.everywhere(ir.Constant(_NUMBER, 0.0))] * len(_PARTS)]
    code.store(code.fold(second, stop, first, step)[len(_PARTS) :], to)
    return context.get_dummy_value()


def _data_of(context: Any, builder: Any, signature: Any) -> Callable[[Any, Any], Any]:
    """Of an array where its numbers are; anything else as it is."""

    def data(value: Any, kind: Any) -> Any:
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, value).data
        return value

    return data
