"""Anthropic's typed tools whose schema lives in Claude: as ordinary functions.

Only those that the client itself runs and whose input is documented (translation spec, 1.5;
Anthropic's tool reference, read 2026-11). The version at the end of a type does not matter.
"""

from __future__ import annotations

from typing import Any

_BASH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "The bash command to run."},
        "restart": {"type": "boolean", "description": "Set to true to restart the shell."},
    },
    "required": ["command"],
}

_TEXT_EDITOR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "command": {
            "type": "string",
            "enum": ["view", "create", "str_replace", "insert"],
            "description": "What to do.",
        },
        "path": {"type": "string", "description": "Absolute path of the file or directory."},
        "file_text": {"type": "string", "description": "create: content of the new file."},
        "old_str": {
            "type": "string",
            "description": "str_replace: text to replace; it must occur exactly once.",
        },
        "new_str": {"type": "string", "description": "str_replace, insert: the new text."},
        "insert_line": {
            "type": "integer",
            "description": "insert: line after which to insert; 0 is the start of the file.",
        },
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "view: first and last line, counted from 1; -1 is the end.",
        },
    },
    "required": ["command", "path"],
}

TYPED_TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "bash": ("Run a command in a persistent bash shell.", _BASH),
    "text_editor": ("View, create and edit text files.", _TEXT_EDITOR),
}
"""Type without its version: description and input schema."""
