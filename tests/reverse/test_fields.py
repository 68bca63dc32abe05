from llmproxyd.reverse.fields import Notes, is_blank, object_of, text_of


def test_notes_are_sorted_and_told_once():
    notes = Notes()
    for event, subject in [("dropped", "seed"), ("a", ""), ("dropped", "seed"), ("dropped", "n")]:
        notes.add(event, subject)
    assert ("a", "dropped:n", "dropped:seed") == notes.words


def test_what_is_no_name_is_not_repeated():
    notes = Notes()
    notes.add("dropped", "my secret")
    notes.add("dropped", "x" * 41)
    assert ("dropped:unnamed",) == notes.words


def test_readings_of_the_wrong_type_are_empty():
    assert ("", "a") == (text_of(5), text_of("a"))
    assert ({}, {"a": 1}) == (object_of([1]), object_of({"a": 1}))


def test_blank():
    assert [True, True, False] == [is_blank(text) for text in ("", " \n", " a ")]
