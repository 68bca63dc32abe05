"""Images and documents of user messages and tool results (translation spec, section 1.4).

What a backend can not take becomes a sentence in brackets, never an error: the conversation
would repeat it on every turn and could not go on.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from llmproxyd.dialects.openai_chat.scope import Block, Part, Scope, kind_of, text_of

_DATA_SCHEME = "data:"
_REMOTE_SCHEMES = ("http://", "https://")
_PDF = "application/pdf"
_UNTITLED_PDF = "document.pdf"
_HEAD_CHARS = 100  # the media type of a data URI stands within these
_BLANKS = "\n\r \t"


def image_parts(block: Block, scope: Scope) -> list[Part]:
    """An image block as an `image_url` part, or as the words that stand for it."""
    source = block.get("source")
    if not scope.quirks.vision:
        return [_omitted("this model does not take images", scope)]
    if not isinstance(source, dict):
        return [_omitted("it has no source", scope)]
    match source.get("type"):
        case "base64":
            return [_inlined(_data_uri(source), scope)]
        case "url":
            return [_linked(text_of(source.get("url")), scope)]
        case "file":
            return [_omitted("file sources are not available on this backend", scope)]
        case _:
            return [_omitted("its source is of an unknown kind", scope)]


def _omitted(reason: str, scope: Scope) -> str:
    scope.note("image_omitted")
    return f"[image omitted: {reason}]"


def _data_uri(source: dict[str, Any]) -> str:
    data = _compact(text_of(source.get("data")))
    if data.startswith(_DATA_SCHEME) or not data:
        return data
    return f"data:{text_of(source.get('media_type')).lower()};base64,{data}"


def _compact(data: str) -> str:
    # a search for each blank is far cheaper than splitting megabytes that hold none
    return "".join(data.split()) if any(blank in data for blank in _BLANKS) else data


def _inlined(uri: str, scope: Scope) -> Part:
    media_type = uri[len(_DATA_SCHEME) : _HEAD_CHARS].partition(",")[0].partition(";")[0].lower()
    if media_type == "image/jpg":
        media_type = "image/jpeg"
        uri = f"data:{media_type};{uri.partition(';')[2]}"
    if not uri:
        return _omitted("it is empty", scope)
    if media_type not in scope.quirks.image_types:
        name = media_type or "an image without a type"
        return _omitted(f"{name} is not supported by this backend", scope)
    return _image_url(uri)


def _linked(url: str, scope: Scope) -> Part:
    if url.startswith(_DATA_SCHEME):
        return _inlined(_compact(url), scope)
    if scope.quirks.image_url == "pass":
        return _image_url(url) if url else _omitted("it has no source", scope)
    fetched = scope.images.get(url)
    if fetched is None:
        scope.note("image_not_loaded")
        return f"[image could not be loaded: {_host(url)}]"
    return _inlined(fetched, scope)


def _image_url(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"


def document_parts(block: Block, scope: Scope) -> list[Part]:
    """A document block: its text in a `<document>` element, or a PDF file part."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    title = text_of(block.get("title"))
    match source.get("type"):
        case "text":
            return [_document(block, [text_of(source.get("data"))])]
        case "content":
            return _content_document(block, source.get("content"), scope)
        case "base64" if source.get("media_type", _PDF) == _PDF:
            return [_pdf(title or _UNTITLED_PDF, source, scope)]
        case kind:
            scope.note("document_omitted")
            known = {"url": source.get("url"), "file": source.get("file_id")}
            name = text_of(known.get(str(kind))) or text_of(source.get("media_type"))
            return [f"[document omitted: {name or 'its source is of an unknown kind'}]"]


def _document(block: Block, texts: list[str]) -> str:
    title = text_of(block.get("title")).replace('"', "&quot;")
    context = text_of(block.get("context"))
    head = f'<document title="{title}">' if title else "<document>"
    return "\n".join([head, *filter(None, [context, *texts]), "</document>"])


def _content_document(block: Block, content: Any, scope: Scope) -> list[Part]:
    if isinstance(content, str):
        return [_document(block, [content])]
    children = content if isinstance(content, list) else []
    texts: list[str] = []
    images: list[Part] = []
    for child in children:
        if not isinstance(child, dict):
            continue
        if kind_of(child) == "image":
            images += image_parts(child, scope)
        else:
            texts.append(text_of(child.get("text")))
    return [_document(block, texts), *images]


def _pdf(title: str, source: dict[str, Any], scope: Scope) -> Part:
    if not scope.quirks.pdf:
        scope.note("document_omitted")
        return f'[PDF document "{title}" omitted: not supported by this backend]'
    data = _compact(text_of(source.get("data")))
    uri = data if data.startswith(_DATA_SCHEME) else f"data:{_PDF};base64,{data}"
    return {"type": "file", "file": {"filename": title, "file_data": uri}}


def remote_images(body: dict[str, Any]) -> list[str]:
    """The http(s) URLs of all images in a decoded request, each once, in order.

    For backends that take data URIs only (`image_url = "fetch"`): the pipeline fetches them and
    hands the result back in `Call.images`.
    """
    urls: dict[str, None] = {}
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            _collect(message.get("content"), urls)
    return list(urls)


def _collect(content: Any, urls: dict[str, None]) -> None:
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict):
            continue
        source = block.get("source")
        match block.get("type"):
            case "image" if isinstance(source, dict) and source.get("type") == "url":
                url = text_of(source.get("url"))
                if url.startswith(_REMOTE_SCHEMES):
                    urls[url] = None
            case "document" if isinstance(source, dict):
                _collect(source.get("content"), urls)
            case "tool_result":
                _collect(block.get("content"), urls)
            case _:
                pass
