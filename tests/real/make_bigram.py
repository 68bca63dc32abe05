"""Write a small GGUF model whose weights spell out one fixed reply.

    make_bigram.py TOKENIZER.gguf OUT.gguf "the reply"

A llama architecture of one block with zero weights: what is left is the output matrix, which holds a
bigram table, so decoding walks the reply token by token and then ends. Tokenizer and chat template
are those of an existing GGUF. The real llama.cpp serves it at thousands of tokens a second with a
131,072-token window, so the CLI's full prompts fit. Each token can occur once; a second use is left
out of the reply.
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

WIDTH = 64
WINDOW = 131_072
LONGEST_TOKEN = 24


def chain_of(reply: str, ids: dict[str, int]) -> list[int]:
    """The reply as token ids: longest match first, each id once."""
    words = reply.replace(" ", "Ġ")  # how a byte-level BPE vocabulary writes a blank
    chain: list[int] = []
    start = 0
    while start < len(words):
        for length in range(min(LONGEST_TOKEN, len(words) - start), 0, -1):
            token = ids.get(words[start : start + length])
            if token is not None and token not in chain:
                chain.append(token)
                start += length
                break
        else:
            start += 1
    return chain


def tables(count: int, sequence: list[int], end: int) -> tuple[np.ndarray, np.ndarray]:
    """Embedding and output matrices that make each token of `sequence` call for the next one."""
    random = np.random.default_rng(0)
    embedding = random.standard_normal((count, WIDTH)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    embedding[:, 0] = 1.0  # dimension 0 means "any token": a weak pull toward the end
    embedding[sequence[:-1], 0] = 0.0
    output = np.zeros((count, WIDTH), np.float32)
    for here, following in pairwise(sequence):
        output[following] += 6 * embedding[here]
    output[end, 0] += 3.0
    return embedding, output


def write(source: GGUFReader, path: str, embedding: np.ndarray, output: np.ndarray) -> None:
    """The model file."""
    writer = GGUFWriter(path, arch="llama")
    for key, field in source.fields.items():
        if key.startswith("tokenizer."):
            kind = field.types[0]
            inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, sub_type=inner)
    writer.add_name("bigram")
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(WIDTH)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(embedding))
    writer.add_file_type(1)

    def put(name: str, values: np.ndarray, *, half: bool = True) -> None:
        kind = GGMLQuantizationType.F16 if half else GGMLQuantizationType.F32
        writer.add_tensor(name, values.astype(np.float16 if half else np.float32), raw_dtype=kind)

    ones = np.ones(WIDTH)
    put("token_embd.weight", embedding)
    put("output.weight", output)
    put("output_norm.weight", ones, half=False)
    put("blk.0.attn_norm.weight", ones, half=False)
    put("blk.0.ffn_norm.weight", ones, half=False)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        put(f"blk.0.{name}.weight", np.zeros((WIDTH, WIDTH)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(tokenizer: str, path: str, reply: str) -> None:
    """Make the model."""
    source = GGUFReader(tokenizer)
    tokens = source.fields["tokenizer.ggml.tokens"].contents()
    ids = {token: position for position, token in enumerate(tokens)}
    end = source.fields["tokenizer.ggml.eos_token_id"].contents()
    newline = ids["Ċ"]  # a prompt ends with a newline, so the reply starts there
    chain = chain_of(reply, ids)
    embedding, output = tables(len(tokens), [newline, *chain, end], end)
    write(source, path, embedding, output)
    print(f"{path}: {len(chain)} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
