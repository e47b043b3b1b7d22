"""Find one-time codes among the numbers of a text: by the words around them, and by standing alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import redaction_patterns as data
from .redaction_patterns import UNITS

_REACH_BEFORE = 60
_REACH_AFTER = 40
_DIRECT = 24
_LEAST_DIGITS, _MOST_DIGITS = 4, 10

#: A run of digits with single separators: a code, but also a date, a phone number, a price.
_RUN = re.compile(r"[0-9](?<![0-9A-Za-z_].)[0-9]*+(?:[ .,:/\-][0-9]++)*+")
#: Single digits, each in a box of its own or spaced out.
_BOXES = re.compile(
    r"[0-9](?<![0-9A-Za-z_].)(?:[ \n.·\-]{1,6}[0-9]){3,9}(?![0-9A-Za-z_])(?![ \n.·\-]{1,6}[0-9](?![0-9]))"
)
#: Letters and digits mixed, in capitals: a code only right after a code word.
_MIXED = re.compile(
    r"[0-9A-Z](?<![0-9A-Za-z_].)(?=[A-Z\-]{0,11}[0-9]|[0-9])[0-9A-Z]{1,9}(?:-[0-9A-Z]{2,10}){0,4}(?![0-9A-Za-z_])"
)
_YEAR = re.compile(r"(?:19|20)[0-9][0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}-[0-9]{2}-[0-9]{2,4}|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{2,4}")
_NOT_BEFORE = frozenset("#+$€£¥₹₽№/\\@*•%&=?~<§")
_NOT_AFTER = frozenset("@%_€$£¥₹₽°/\\&=")
_FRAMING = " \t\r:.!*_-\"'`[]()|"
#: What stands between a weak word and the number that it names.
_NAMES_NUMBER = re.compile(r"[ \n:#.№°]*(?:number|no|nr|nummer|is|id|in|,? ?[0-9]{1,4},?)?[ \n:#.№°]*", re.IGNORECASE)
#: A letter or two before the code, as in G-123456.
_LETTER_PREFIX = re.compile(r"(?<![0-9A-Za-z])[A-Z]{1,3}-$")
_JSON_KEY = re.compile(r"code[\"']?\s{0,3}:\s{0,3}$", re.IGNORECASE)


class _Word(NamedTuple):
    start: int
    end: int
    sort: str  # code, other or weak

    @property
    def speaks_of_codes(self) -> bool:
        return self.sort == "code"


class _Candidate(NamedTuple):
    start: int
    end: int
    digits: str
    plain: bool  # written without separators


def find_codes(text: str, *, lowered: str, in_answer: bool = False) -> list[tuple[int, int]]:
    """Return the places of the codes in a text that is read aloud (:func:`melody_logs.recording.views.read_aloud`).

    :param lowered: *text* in lower case, of the same length.
    :param in_answer: the text is a provider's answer: six digits alone are no code there, and ``"code": 21211`` is an
        error code.
    """
    boxes = [_Candidate(*match.span(), re.sub(r"\D", "", match[0]), False) for match in _BOXES.finditer(text)]
    candidates = [*_single_runs(text, boxes), *boxes]
    mixed = [match.span() for match in _MIXED.finditer(text) if not match[0].replace("-", "").isdigit()]
    if not candidates and not mixed:
        return []
    candidates.sort()
    judge = _Judge(text, lowered, [(one.start, one.end) for one in candidates] + mixed, in_answer)
    found = [(one.start, one.end) for one in candidates if judge.is_code(one)]
    return found + [place for place in mixed if judge.is_mixed_code(*place)]


def _single_runs(text: str, boxes: list[_Candidate]) -> Iterator[_Candidate]:
    taken = iter([*boxes, _Candidate(len(text) + 1, len(text) + 1, "", False)])
    box = next(taken)
    for match in _RUN.finditer(text):
        start, end = match.span()
        while box.end <= start:
            box = next(taken)
        if end - start < _LEAST_DIGITS or box.start < end:
            continue
        if text[start - 1 : start] != "+":  # an international phone number
            yield from _split_run(match[0], start)


def _split_run(run: str, start: int) -> Iterator[_Candidate]:
    """Yield what of a run may be a code: the whole if its groups are alike, else the groups that spaces part."""
    if run.isdigit():
        if len(run) <= _MOST_DIGITS:
            yield _Candidate(start, start + len(run), run, True)
        return
    groups = re.split(r"[ .,:/\-]", run) if len(run) <= 2 * _MOST_DIGITS else []
    separators = set(re.sub(r"[0-9]", "", run))
    digits = "".join(groups)
    if len({len(group) for group in groups}) == 1 and separators <= {" ", "-"} and len(separators) == 1:
        if _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS and not _are_years(groups):
            yield _Candidate(start, start + len(run), digits, False)
        return
    if run[0] == "0" and len(digits) > 6:
        return  # a national phone number
    offset = start
    for part in run.split(" "):
        if part.isdigit() and _LEAST_DIGITS <= len(part) <= _MOST_DIGITS:
            yield _Candidate(offset, offset + len(part), part, True)
        offset += len(part) + 1


def _are_years(groups: Iterable[str]) -> bool:
    return all(_YEAR.fullmatch(group) for group in groups)


class _Judge:
    """Decides on candidates, knowing the words near all of them."""

    def __init__(self, text: str, lowered: str, places: list[tuple[int, int]], in_answer: bool) -> None:
        self._text = text
        self._lowered = lowered
        self._in_answer = in_answer
        self._pattern = _ASCII_WORDS if lowered.isascii() else _WORDS
        self._words = list(_words_near(self._pattern, lowered, sorted(places)))
        self._next_word = 0
        self._about_codes: bool | None = None

    def is_code(self, one: _Candidate) -> bool:
        text, (start, end, digits, plain) = self._text, one
        before = text[start - 1] if start else "\n"
        after = text[end] if end < len(text) else "\n"
        word_before, word_after = self._nearest(start, end)
        direct = word_before is not None and word_before.speaks_of_codes and self._is_direct(word_before.end, start)
        if not self._fits(start, end, before, after, direct):
            return False
        if not plain and not direct and _DATE.fullmatch(text, start, end):
            return False
        if self._in_answer and _JSON_KEY.search(text, max(0, start - 12), start):
            return False
        year = plain and _YEAR.fullmatch(digits) is not None
        if UNITS.match(text, end) and not (direct and len(digits) == 6):
            return False
        if word_after is not None and word_after.sort in ("code", "use") and self._is_direct(end, word_after.start):
            if word_before is None or word_before.speaks_of_codes:
                return True
            return not year and (word_before.sort == "weak" or start - word_before.end > 10)
        if word_before is not None and self._names(word_before, start):
            return word_before.speaks_of_codes and (direct or not year)
        if self._is_alone(start, end):
            return (len(digits) == 6 and not self._in_answer) or (not year and self._is_about_codes())
        return plain and len(digits) == 6 and not self._in_answer

    def is_mixed_code(self, start: int, end: int) -> bool:
        word, _ = self._nearest(start, end)
        if end - start < _LEAST_DIGITS or word is None or not word.speaks_of_codes:
            return False
        gap = self._lowered[word.end : start]
        return len(gap) <= _DIRECT and not re.search(r"[.!?;,]\s|\n\s*\n", gap) and self._text[start - 1] not in "/@#"

    def _fits(self, start: int, end: int, before: str, after: str, direct: bool) -> bool:
        """Look at the characters that touch the number."""
        text = self._text
        if before in _NOT_BEFORE:
            return direct and before in "#=*"
        if after in _NOT_AFTER or ("a" <= after.lower() <= "z"):
            return False
        if before == "-" and not text[start - 2 : start - 1].isspace() and start > 1:
            return bool(_LETTER_PREFIX.search(text, max(0, start - 5), start)) and not self._is_in_address(start)
        if before in ".,:" and text[start - 2 : start - 1].isdigit():
            return False
        if text[start - 2 : start] == ") " and text[start - 3 : start - 2].isdigit():
            return False  # a phone number with its area code in parentheses
        if after in "-." and text[end + 1 : end + 2].isalnum():
            return direct and after == "." and text[end + 1].isupper()
        return True

    def _names(self, word: _Word, start: int) -> bool:
        return word.sort != "weak" or _NAMES_NUMBER.fullmatch(self._text, word.end, start) is not None

    def _is_in_address(self, start: int) -> bool:
        return "/" in self._text[max(0, start - 200) : start].rsplit(None, 1)[-1]

    def _is_direct(self, start: int, end: int) -> bool:
        gap = self._text[start:end]
        return len(gap) <= _DIRECT and ". " not in gap and "\n\n" not in gap and not any(map(str.isdigit, gap))

    def _is_alone(self, start: int, end: int) -> bool:
        text = self._text
        line_start = text.rfind("\n", max(0, start - 12), start) + 1
        if not line_start and start > 12:
            return False
        line_end = text.find("\n", end, end + 12)
        if line_end < 0:
            if len(text) - end > 12:
                return False
            line_end = len(text)
        return not (text[line_start:start] + text[end:line_end]).strip(_FRAMING)

    def _is_about_codes(self) -> bool:
        if self._about_codes is None:
            self._about_codes = any(_SORT_OF[match[1]] == "code" for match in self._pattern.finditer(self._lowered))
        return self._about_codes

    def _nearest(self, start: int, end: int) -> tuple[_Word | None, _Word | None]:
        """Return the last word that ends before *start* and the first that begins after *end*, if in reach.

        Ask in rising order of *start*, but for a second round.
        """
        words, index = self._words, self._next_word
        if index and words[index - 1].end > start:
            index = 0
        while index < len(words) and words[index].end <= start:
            index += 1
        self._next_word = index
        before = self._last_telling(words[max(0, index - 8) : index], start)
        while index < len(words) and words[index].start < end:
            index += 1
        after = words[index] if index < len(words) and words[index].start - end <= _REACH_AFTER else None
        return before, after

    def _last_telling(self, words: list[_Word], start: int) -> _Word | None:
        """Return the nearest word, but a code word before it if it is a weak one."""
        near = [word for word in words if start - word.end <= _REACH_BEFORE and word.sort != "use"]
        if not near:
            return None
        last = near[-1]
        if last.sort == "weak":
            last = next((word for word in reversed(near) if word.sort != "weak"), last)
        if not last.speaks_of_codes and re.search(r"\n\s*\n", self._text[last.end : start]):
            return None
        return last


def _words_near(pattern: re.Pattern[str], lowered: str, places: list[tuple[int, int]]) -> Iterator[_Word]:
    """Find the telling words in the surroundings of all places, each stretch once."""
    done = 0
    for start, end in places:
        stop = min(end + _REACH_AFTER + _LONGEST_WORD, len(lowered))
        for match in pattern.finditer(lowered, max(done, start - _REACH_BEFORE - _LONGEST_WORD), stop):
            yield _Word(*match.span(), _SORT_OF[match[1]])
            done = match.end()
        done = max(done, stop - _LONGEST_WORD)


def _compile_words(sort_of: dict[str, str], whole: frozenset[str]) -> re.Pattern[str]:
    """Write words as one pattern that tries only those with the right first letter, longer ones first.

    Group 1 is the word; the match goes on to the end of the longer word it is in, as in ``Bestellnummer``.
    """
    by_letter: dict[str, list[str]] = {}
    for word in sorted(sort_of, key=len, reverse=True):
        letter, tail = re.escape(word[0]), re.escape(word[1:])
        if word in whole:
            tail = rf"(?<![a-z0-9]{letter}){tail}(?![a-z0-9])"
        by_letter.setdefault(letter, []).append(tail)
    branches = "|".join(f"{letter}(?:{'|'.join(tails)})" for letter, tails in sorted(by_letter.items()))
    return re.compile(rf"({branches})[a-zß-ÿ\u0400-\u04ff]*")


_SORT_OF = (
    dict.fromkeys(data.WEAK_WORDS + data.WEAK_WORDS_WHOLE, "weak")
    | dict.fromkeys(data.CODE_USES, "use")
    | dict.fromkeys(data.CODE_WORDS + data.CODE_WORDS_WHOLE, "code")
    | dict.fromkeys(data.OTHER_WORDS + data.OTHER_WORDS_WHOLE, "other")
)
_WHOLE = frozenset(data.CODE_WORDS_WHOLE + data.OTHER_WORDS_WHOLE + data.WEAK_WORDS_WHOLE)
_WORDS = _compile_words(_SORT_OF, _WHOLE)
#: Most texts need no other alphabet, and half the words are tried in half the time.
_ASCII_WORDS = _compile_words({word: sort for word, sort in _SORT_OF.items() if word.isascii()}, _WHOLE)
_LONGEST_WORD = max(map(len, _SORT_OF))
