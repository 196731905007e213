"""What a draft's wording says about itself: refusal, hedging, second thoughts, script, echo.

All functions read text that the caller has bounded; none scans it with an open pattern.
"""

from __future__ import annotations

import re
from collections import Counter

__all__ = [
    "asks_back",
    "count_hedges",
    "count_self_corrections",
    "find_dont_know",
    "find_refusal",
    "is_echo",
    "scripts_differ",
]

_OPENING = 240  # characters in which a refusal announces itself

_ABLE = (
    r"(?:can(?:no|')?t|can not|am (?:unable|not able|not allowed|not permitted) to"
    r"|'m (?:unable|not able|not allowed|not permitted) to|won't|will not"
    r"|must decline|have to decline|am not comfortable|'m not comfortable)"
)
_DEED = (
    r"(?:help (?:you|with|to|create|make|write)|help\.|help,|assist|provide|comply|fulfil"
    r"|answer (?:th|your|q)|do that|engage|create|generate|produce|write|share|discuss|offer"
    r"|support|access|browse|open|view|process|complete|continue|participate|recommend|endorse|respond"
    r"|give (?:you|out|advice|medical|legal|instructions|information))"
)
_EN = re.compile(
    r"(?:(?:well|hello|hi|hey|thank you[^.!\n]{0,40}|unfortunately|regrettably)[,.!]?\s+)?+"
    r"(?:"
    r"(?:i(?:'m| am)(?: (?:really|very|so|truly|deeply))? (?:sorry|afraid)|sorry|my apologies"
    r"|i apologi[sz]e|apologies|i regret)[^.!?\n]{0,60}?"
    rf"\b(?:{_ABLE}|(?:isn't|not) (?:something|possible|appropriate|able))"
    rf"|i (?!will|won't){_ABLE} (?:\w+ly )?{_DEED}"
    r"|i (?:will not|won't) (?:help (?:you|with)|assist|provide|comply|engage|generate|create)"
    r"|i (?:do not|don't) (?:feel comfortable|have (?:access|the ability|real-time|personal))"
    r"|i(?:'m not able| am not able|'m unable| am unable|'m not programmed| am not programmed) to"
    r"|i must (?:respectfully |politely )?(?:decline|refuse)|i have to (?:decline|refuse)"
    r"|(?:as|since|because i am|i am|i'm) (?:just |only |merely )?(?:an?|your) "
    r"(?:ai|artificial intelligence|(?:large )?language model|virtual assistant)"
    r"(?: (?:language )?(?:model|assistant|chatbot))?,? [^.\n]{0,60}?"
    rf"\b(?:{_ABLE}|unable|not able)"
    r"|(?:this|that|your) request (?:violates|goes against|is against)"
    r"|(?:it is|it's|that is|that's) (?:against my|not appropriate)"
    r")"
)
_OTHER = re.compile(
    r"(?:lo siento|lamento|disculpa|perd[oó]n)[^.!\n]{0,40}?\bno (?:puedo|me es posible)|no puedo "
    r"(?:ayudar|proporcionar|cumplir|responder|generar|crear)"
    r"|(?:je suis )?d[ée]sol[ée]e?[^.!\n]{0,40}?je (?:ne peux|ne suis|n'ai)|je ne (?:peux|suis) pas"
    r" (?:en mesure|vous aider|r[ée]pondre|fournir|t'aider|aider)"
    r"|(?:es )?tut mir (?:sehr )?leid[^.!\n]{0,40}?\b(?:kann|darf)|ich kann (?:ihnen|dir|diese|das|"
    r"dabei)[^.!\n]{0,40}?nicht|entschuldigung[^.!\n]{0,30}?kann ich"
    r"|mi dispiace[^.!\n]{0,40}?non posso|non posso (?:aiutar|fornir|risponder)"
    r"|(?:desculpe|sinto muito|lamento)[^.!\n]{0,40}?n[ãa]o (?:posso|consigo)|n[ãa]o posso "
    r"(?:ajudar|fornecer|responder)"
    r"|het spijt me[^.!\n]{0,40}?\bkan|ik kan (?:u|je|dit|niet)[^.!\n]{0,30}?niet"
    r"|(?:przepraszam|przykro mi|niestety)[^.!\n]{0,40}?nie mog[ęe]"
    r"|(?:[üu]zg[üu]n[üu]m|maalesef)[^.!\n]{0,80}?(?:m[ıi]yorum|emem|amam)"
    r"|xin l[ỗo]i[^.!\n]{0,40}?kh[ôo]ng th[ểe]|maaf[^.!\n]{0,40}?tidak (?:dapat|bisa)"
    r"|(?:извините|простите|к сожалению|мне жаль)[^.!\n]{0,40}?(?:не могу|не имею)|я не могу "
    r"(?:помочь|ответить|предоставить|выполнить)"
    r"|(?:вибачте|на жаль)[^.!\n]{0,40}?не можу"
    r"|(?:很?抱歉|对不起|對不起|不好意思)[^。\n]{0,20}?(?:无法|無法|不能|没办法|不便)|我(?:无法|無法)"
    r"(?:提供|回答|帮助|协助|满足)"
    r"|(?:申し訳|すみません|ごめんなさい)[^\n]{0,60}?(?:できません|できない|いたしかねます|お答え)"
    r"|(?:죄송|미안)[^\n]{0,60}?(?:없습니다|없어요|어렵습니다)"
    r"|(?:عذر|آسف|أعتذر|للأسف)[^.\n]{0,40}?(?:لا أستطيع|لا يمكن|لست قادر)|لا أستطيع"
    r"|(?:क्षमा|माफ़|माफ)[^।\n]{0,60}?(?:नहीं|असमर्थ)"
    r"|(?:מצטער|מתנצל)[^.\n]{0,40}?(?:לא יכול|איני)"
)
# "I can't help but wonder", "I'm sorry, I don't believe we've met" open stories, not refusals.
_STORY = re.compile(r"i can(?:no|')?t help (?:but|it|myself|feel|notic|wonder|think)")

# Few and short on purpose: each costs one pass over the text (about 1 us per 4,000 characters).
_HEDGES = (
    " might ", "perhaps", "probably", " i think", "i believe", "not sure", "approximat", "assum",
    "seems", "likely",
)  # fmt: skip
_DONT_KNOW = (
    "i don't know", "i don’t know", "i do not know", "i'm not sure", "i’m not sure",
    "i am not sure", "not enough information", "insufficient information",
    "cannot be determined", "can't be determined", "don't have enough information",
)  # fmt: skip
_DONT_KNOW_HINTS = ("t know", "not sure", "be determined", "t information", "h information")
_SELF_CORRECTIONS = ("wait", "let me re", "let's re", "mistake", "correction", "actually")
_SCRIPTS = (
    ("latin", 0x0041, 0x024F),
    ("greek", 0x0370, 0x03FF),
    ("cyrillic", 0x0400, 0x052F),
    ("hebrew", 0x0590, 0x05FF),
    ("arabic", 0x0600, 0x077F),
    ("devanagari", 0x0900, 0x097F),
    ("indic", 0x0980, 0x0DFF),
    ("thai", 0x0E00, 0x0E7F),
    ("cjk", 0x3040, 0x30FF),  # kana and Han share a name: Japanese mixes them
    ("cjk", 0x3400, 0x9FFF),
    ("hangul", 0xAC00, 0xD7AF),
)
_SAMPLE = 200  # characters that decide a text's script
_ASKED_TRANSLATION = re.compile(
    r"transl|überset|traduc|tradui|перев[ое]|翻译|翻譯|訳|번역|ترجم"
    r"|\b(?:in|into|to|auf|en) (?:english|french|german|spanish|italian|portuguese|russian|chinese"
    r"|japanese|korean|arabic|hindi|hebrew|greek|thai|ukrainian|turkish|englisch|inglés|anglais)"
)
_ECHO_CHARS = 20  # a shorter draft may well be an answer that the query happens to contain


def find_refusal(lower: str) -> str:
    """The words with which a lower-cased draft declines to answer, "" when it does not.

    Only the opening counts: a story may well say later that somebody cannot help.
    """
    opening = lower[:_OPENING].lstrip(" \t\r\n\"'*#>-").replace("’", "'")
    found = _EN.match(opening)
    if (found is None and not opening.isascii()) or (
        found is None and opening[:1] in "ldejsmnhikpuxc"
    ):
        found = _OTHER.match(opening)
    if found is None or _STORY.match(opening):
        return ""
    return found[0][:60]


def count_hedges(lower: str) -> int:
    """How often a lower-cased text hedges ("perhaps", "I think", "approximately", ...)."""
    return sum(map(lower.count, _HEDGES))


def find_dont_know(lower: str) -> str:
    """The phrase with which a lower-cased text owns up to not knowing, "" when it does not."""
    for hint in _DONT_KNOW_HINTS:
        if hint in lower:
            return next((phrase for phrase in _DONT_KNOW if phrase in lower), "")
    return ""


def count_self_corrections(lower: str) -> int:
    """How often a lower-cased text goes back on itself ("wait,", "let me re-check", ...)."""
    return sum(map(lower.count, _SELF_CORRECTIONS))


def asks_back(text: str) -> bool:
    """Whether the text ends in a question."""
    return text.rstrip(" \t\r\n\"'*)`").endswith(("?", "？", "؟"))


def scripts_differ(query: str, draft: str) -> bool | None:
    """Whether a draft is written in another script than its query; None when that cannot be said
    (too few letters, or the query asks for a translation)."""
    if query.isascii() and draft.isascii():
        return False
    asked, given = _script(query), _script(draft)
    if not asked or not given:
        return None
    if asked == given:
        return False
    return None if _ASKED_TRANSLATION.search(query[:2000].lower()) else True


def _script(text: str) -> str:
    if text.isascii():
        return "latin"
    counts: dict[str, int] = {}
    step = max(1, len(text) // _SAMPLE)
    for character, times in Counter(text[::step][:_SAMPLE]).items():
        if not character.isalpha():
            continue
        code = ord(character)
        for name, first, last in _SCRIPTS:
            if first <= code <= last:
                counts[name] = counts.get(name, 0) + times
                break
    if sum(counts.values()) < 8:
        return ""
    return max(counts, key=lambda name: counts[name])


def is_echo(query: str, draft: str) -> bool:
    """Whether a draft says nothing but what the query said; both already bounded."""
    said = draft.strip()
    asked = query.strip()
    if len(said) < _ECHO_CHARS or not asked:
        return False
    if len(said) <= len(asked):
        return said in asked
    return len(said) <= 1.2 * len(asked) and asked in said
