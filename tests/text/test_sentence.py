"""Where sentences end, and where they do not."""

from __future__ import annotations

import pytest

from streamkit.text import new_buffer

B = "|"  # where a sentence ends, in the texts below


def sentences(text: str, *, strip: bool = False, fences: bool = False) -> list[str]:
    buffer = new_buffer("sentence", strip=strip, fences=fences)
    whole = buffer.feed(text)
    return [*whole, rest] if (rest := buffer.flush()) else whole


def test_the_sentences_of_the_seeds_example() -> None:
    buffer = new_buffer("sentence", strip=True)
    assert buffer.add("Hello world") == ""
    assert buffer.add(". How are") == "Hello world."
    assert buffer.add(" you?") == ""
    assert buffer.flush() == "How are you?"


@pytest.mark.parametrize(
    "marked",
    [
        # stops
        "One. |Two! |Three? |Four",
        "No capital needed. |it ends. |yes.",
        "Really?! |Yes!!! |Good",
        "Line one.\n|Line two.",
        "One . |Two",
        "One.  \n  |Two.",
        "هل أنت بخير؟ |نعم",
        "यह एक वाक्य है। |यह दूसरा है।",
        # within a word, a number, an address
        "It costs $3.50, v1.2.3 or 1.000.000. |Good",
        "See https://a.example.com/x.html?q=1.5&y=!z for it. |Good",
        "Edit main.py and .env first. |Then e-mail a.b@c.org. |Good",
        "if a != b: x?.y",
        # abbreviations
        "Dr. Smith met Mrs. Jones and Prof. Lee. |They left.",
        "Fruit, e.g. Apples, i.e. Food. |Good",
        "Bread, milk, etc. are out. |Eggs, etc. |Good",
        "Acme Inc. is big. |So is Foo Ltd. |Good",
        "See Fig. 3 and No. 5. |No. |Good",
        "On Jan. 5 we met at 5 p.m. in town. |It was 6 p.m. |Good",
        "The cat vs. The dog. |Good",
        "Cats, dogs et al. were there. |Good",
        "J. R. R. Tolkien wrote it. |So did I. |Good",
        "The U.S. Army, a Ph.D. thesis. |Good",
        "Das ist z.B. Berlin bzw. Bonn, d. h. in z. B. Berlin u. a. Orten. |Gut",
        "Vom 3. bis 14. |Gut",
        "The program ran. |Good",
        # ellipses
        "Well... maybe. |Well… maybe. |Good",
        "I do not know... |Let me think… |Good",
        # quotes, brackets, emphasis, notes
        'He said "Stop." |She left.',
        '"Really?" she asked. |"Yes!" he said. |Good',
        "It works (see below.) |Good (as ever.) and more. |Good",
        "“One.” |‘Two.’ |«Trois.» |**Four.** |_Five._ |`Six.` |Seven",  # noqa: RUF001
        "„Geh!“ |Er ging. |»Ja.« |Gut",
        "« Va ! » dit-il. |« Bon. » |Elle part... ? |Oui ! |Non",
        "Er sagte »Ja«. |»Nein.« |Gut",
        "¿Qué? |¡Sí! |El Sr. García no. |Vale",
        "It is known.[1][2] |Also this.[^3] |And[4] that. |Good",
        "See a.[not a note] b",
        # lists
        "1. First item\n2. Second item\na. Third",
        "In the year 2019. |Then",
        "Steps:\n  10. Mix.\n|  11. Bake.\n|- 12. Eat",
        # lines
        "# A title\n\n|Text without a stop\n\n\n|More",
        "one\ntwo\nthree",
        "\n\n  One. |Two",
        # no blank needed
        "我们走。|你好吗？|好！|「是。」|再见",  # noqa: RUF001
        "はい。|そうです。 |OK",
    ],
)
def test_a_sentence_ends(marked: str) -> None:
    text = marked.replace(B, "")
    # Blanks that are written behind a mark belong to the sentence before it.
    expected: list[str] = []
    for part in marked.split(B):
        blanks = len(part) - len(part.lstrip()) if expected else 0
        if blanks:
            expected[-1] += part[:blanks]
        expected.append(part[blanks:])
    assert sentences(text) == expected


def test_a_sentence_waits_for_the_first_character_of_the_next() -> None:
    buffer = new_buffer("sentence")
    assert buffer.feed("One.") == []
    assert buffer.feed(" ") == []
    assert buffer.feed("\t") == []
    assert buffer.feed("T") == ["One. \t"]


def test_a_stop_at_the_end_of_one_text_may_be_within_a_number() -> None:
    buffer = new_buffer("sentence")
    assert [buffer.feed(piece) for piece in ("It is 3", ".", "14", ". ", "So")] == [
        [],
        [],
        [],
        [],
        ["It is 3.14. "],
    ]


def test_strip_takes_blanks_off_and_keeps_those_between() -> None:
    assert sentences("  One.\n Two.\n\n\nThree  ", strip=True) == ["One.", "Two.", "Three"]
    assert new_buffer("sentence", strip=True).add("One.  Two.\nThree. Fo") == "One.  Two.\nThree."


CODE = "```py\nx = 1. \n\ny = 2! \n\n```\n"


def test_a_code_block_is_held_together_only_when_asked() -> None:
    text = f"Look. {CODE}Done. OK"
    assert sentences(text)[1] != f"{CODE}"
    assert sentences(f"Look.\n{CODE}Done. OK", fences=True) == [
        "Look.\n",
        CODE,
        "Done. ",
        "OK",
    ]


def test_a_code_block_belongs_to_the_sentence_that_leads_to_it() -> None:
    assert sentences(f"Here it is:\n{CODE}\nDone.", fences=True) == [
        f"Here it is:\n{CODE}\n",
        "Done.",
    ]


def test_a_fence_is_found_however_it_is_torn() -> None:
    text = f"Here:\n  {CODE}Good. So"
    whole = sentences(text, fences=True)
    for size in (1, 2, 3):
        buffer = new_buffer("sentence", fences=True)
        got = [
            unit for at in range(0, len(text), size) for unit in buffer.feed(text[at : at + size])
        ]
        assert [*got, buffer.flush()] == whole


def test_marks_that_are_no_fence_are_text() -> None:
    for text in ("`a`. B", "``a``. B", "~~a~~. B", "```a```. B", "Use `x`.\n`y`. B"):
        assert sentences(text, fences=True) == sentences(text)


def test_a_block_that_is_never_closed_is_one_sentence() -> None:
    assert sentences("```\na. b.\n\nc. d", fences=True) == ["```\na. b.\n\nc. d"]


def test_text_after_a_flush_is_new() -> None:
    buffer = new_buffer("sentence", fences=True)
    buffer.feed("```\nx. ")
    buffer.flush()
    assert buffer.feed("1. One. Two") == ["1. One. "]
