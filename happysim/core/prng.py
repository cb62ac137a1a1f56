"""The random numbers of a search: xoshiro256** 1.0, seeded by splitmix64.

Both are by David Blackman and Sebastiano Vigna ("Scrambled Linear Pseudorandom Number Generators",
2021). The standard library's generator is not used because its derived draws (`choice`, `shuffle`)
may change between Python versions, and a seed must give the same run for ever.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import TypeVar

from happysim.core.errors import ScenarioError

_MASK = (1 << 64) - 1
_T = TypeVar("_T")


def splitmix64(state: int) -> tuple[int, int]:
    """One step of splitmix64: the next state and the 64-bit output."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, mixed ^ (mixed >> 31)


class Random:
    """A stream of random numbers that depends on its seed alone.

    `stream` separates generators of one seed: `Random(7, "n1")` and `Random(7, "n2")` are
    unrelated, and adding a stream does not move another. Raises `ScenarioError` for a seed that is
    no whole number.
    """

    __slots__ = ("_s0", "_s1", "_s2", "_s3")

    def __init__(self, seed: int, stream: str = "") -> None:
        try:
            state = seed & _MASK
        except TypeError:
            raise ScenarioError(f"seed={seed!r}: give a whole number") from None
        # A seed beyond 64 bits, and each byte of the stream's name, are absorbed one at a time.
        rest = seed >> 64
        while rest not in (0, -1):
            state, mixed = splitmix64(state ^ (rest & _MASK))
            state, rest = state ^ mixed, rest >> 64
        for byte in stream.encode():
            state, mixed = splitmix64(state ^ byte)
            state ^= mixed
        words = []
        for _ in range(4):
            state, word = splitmix64(state)
            words.append(word)
        self._s0, self._s1, self._s2, self._s3 = words

    @classmethod
    def from_state(cls, words: tuple[int, int, int, int]) -> Random:
        """The generator whose four 64-bit state words are given (not all zero)."""
        if not any(words):
            raise ValueError("xoshiro256** cannot leave the all-zero state; give other words")
        random = cls.__new__(cls)
        random._s0, random._s1, random._s2, random._s3 = (word & _MASK for word in words)
        return random

    def next64(self) -> int:
        """The next 64 random bits."""
        s1 = self._s1
        product = (s1 * 5) & _MASK
        rotated = ((product << 7) | (product >> 57)) & _MASK
        s2, s3 = self._s2 ^ self._s0, self._s3 ^ s1
        self._s1, self._s0 = s1 ^ s2, self._s0 ^ s3
        self._s2 = s2 ^ ((s1 << 17) & _MASK)
        self._s3 = ((s3 << 45) | (s3 >> 19)) & _MASK
        return (rotated * 9) & _MASK

    def below(self, bound: int) -> int:
        """A number in 0 .. bound - 1, each equally likely (by rejection)."""
        if bound <= 0:
            raise ValueError(f"nothing lies below {bound}; give a bound of at least 1")
        if bound == 1:
            return 0
        bits = (bound - 1).bit_length()
        words, spare = (bits + 63) // 64, -bits % 64
        while True:
            draw = 0
            for _ in range(words):
                draw = (draw << 64) | self.next64()
            draw >>= spare
            if draw < bound:
                return draw

    def choice(self, options: Sequence[_T]) -> _T:
        """One of the options, each equally likely."""
        return options[self.below(len(options))]

    def shuffle(self, items: MutableSequence[_T]) -> None:
        """Put the items in a random order, in place (Fisher-Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]

    def unit(self) -> float:
        """A float in [0, 1): the top 53 bits of one draw."""
        return (self.next64() >> 11) * 2.0**-53
