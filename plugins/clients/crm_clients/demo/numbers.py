"""Numbers that are right by their control digits and were never issued to anybody."""

from __future__ import annotations

from random import Random

_INN_10 = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_11 = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_12 = (3, *_INN_11)
_KEY = (7, 1, 3) * 8


def _digit(digits: str, weights: tuple[int, ...]) -> str:
    return str(sum(int(one) * weight for one, weight in zip(digits, weights, strict=True)) % 11 % 10)


def inn_of_firm(number: int) -> str:
    """Return a ИНН of ten digits: there is no tax office 0063."""
    digits = f"0063{number:05d}"
    return digits + _digit(digits, _INN_10)


def inn_of_trader(number: int) -> str:
    """Return a ИНН of twelve digits of the same office."""
    digits = f"0063{number:06d}"
    digits += _digit(digits, _INN_11)
    return digits + _digit(digits, _INN_12)


def ogrn(number: int, year: int) -> str:
    """Return an ОГРН of region 00, which there is not."""
    digits = f"1{year % 100:02d}00{number:07d}"
    return digits + str(int(digits) % 11 % 10)


def ogrnip(number: int, year: int) -> str:
    """Return an ОГРНИП of region 00."""
    digits = f"3{year % 100:02d}00{number:09d}"
    return digits + str(int(digits) % 13 % 10)


BIK = "040000963"
"""Of no bank: there is no region 00."""


def account(number: int) -> str:
    """Return a settlement account whose control digit fits `BIK`."""
    digits = f"407028100{number:011d}"
    total = sum(int(one) * weight for one, weight in zip(BIK[-3:] + digits[:8] + "0" + digits[9:], _KEY, strict=False))
    return digits[:8] + str(total * 3 % 10) + digits[9:]


def correspondent_account() -> str:
    """Return the correspondent account of `BIK`."""
    digits = f"30101810{0}{0:08d}963"
    key = "0" + BIK[4:6] + digits[:8] + "0" + digits[9:]
    total = sum(int(one) * weight for one, weight in zip(key, _KEY, strict=False))
    return digits[:8] + str(total * 3 % 10) + digits[9:]


def mobile(random: Random, taken: set[str]) -> str:
    """Return a mobile number of codes that no operator has."""
    while True:
        number = f"+79{random.choice((45, 46, 47))}{random.randrange(10**7):07d}"
        if number not in taken:
            taken.add(number)
            return number


def landline(random: Random, taken: set[str]) -> str:
    """Return a number of a town that begins with zero, as no subscriber's does."""
    while True:
        number = f"+78460{random.randrange(10**6):06d}"
        if number not in taken:
            taken.add(number)
            return number
