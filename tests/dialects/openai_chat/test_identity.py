"""User field and prompt cache key: hashes only (section 1.1)."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.dialects.openai_chat.calls import body_of, sent, user

SESSION = "0b5f"
USER_ID = json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSION})
HEADER = ("X-Claude-Code-Session-Id", SESSION)


def digest(given):
    return hashlib.sha256(given.encode()).hexdigest()


def identity_of(metadata, headers=(), **flags):
    request = sent(body_of(user("hi"), metadata=metadata), flags=flags, headers=headers)
    assert SESSION not in json.dumps(request)
    return {key: request[key] for key in ("user", "prompt_cache_key") if key in request}


def test_nobody_is_named_by_default():
    assert {} == identity_of({"user_id": USER_ID}, (HEADER,))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"user_id": USER_ID}, {"user": digest(USER_ID)[:32]}),
        ({"user_id": ""}, {}),
        ({"user_id": 5}, {}),
        ({}, {}),
        (None, {}),
    ],
)
def test_user_id_goes_up_as_a_hash(metadata, expected):
    assert expected == identity_of(metadata, user_field="user")


@pytest.mark.parametrize(
    ("metadata", "headers", "expected"),
    [
        ({"user_id": "other"}, (HEADER,), {"prompt_cache_key": digest(SESSION)}),
        ({"user_id": USER_ID}, (), {"prompt_cache_key": digest(SESSION)}),
        ({"user_id": "plain"}, (), {}),
        ({"user_id": "[1]"}, (), {}),
        ({"user_id": "[" * 5000}, (), {}),
        ({"user_id": '{"session_id": 5}'}, (), {}),
        (None, (), {}),
    ],
)
def test_prompt_cache_key_is_a_hash_of_the_session(metadata, headers, expected):
    assert expected == identity_of(metadata, headers, prompt_cache_key=True)
