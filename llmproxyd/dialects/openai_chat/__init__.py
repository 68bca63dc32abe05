"""OpenAI Chat Completions: the request side (`request.py`) and the response side (`answer.py`).

Response side, in reading order: `stream` or `response` (bytes to chunks), `chunks`, `answer` (how
it ends), `assembler` (what comes out of order), `writer` (blocks). Does no I/O.
"""
