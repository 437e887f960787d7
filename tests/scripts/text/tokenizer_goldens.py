"""Writes the tokenizer goldens from Hugging Face `tokenizers`, built from the GGUF file's own vocabulary and merges.

Usage: tokenizer_goldens.py MODEL.gguf FRAGMENTS.txt OUT.txt      (needs: gguf, tokenizers)

Every other ten strings are encoded with the special tokens known, the rest without (parse_special). Each line of [groups]
covers 100 strings: hash of the strings, of their token ids, of the decoded text without and with special tokens. [cases]
holds the ids of the first strings in full. [codepoints] has one hash of ids for each 4096 code points.
"""
import struct
import sys

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

import strings as source

GROUP, CASES, BLOCK = 100, 300, 4096


def build(reader, with_special):
    field = lambda name: reader.fields["tokenizer.ggml." + name].contents()
    assert field("model") == "gpt2" and field("pre") == "smollm"
    tokens, types = field("tokens"), field("token_type")
    merges = [tuple(m.split(" ")) for m in field("merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    if with_special:
        tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                      for t, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def pack(ids):
    return struct.pack("<I%di" % len(ids), len(ids), *ids)


def packed_text(text):
    data = text.encode("utf-8")
    return struct.pack("<I", len(data)) + data


def main(model, fragments, out_path):
    reader = gguf.GGUFReader(model)
    plain, special = build(reader, False), build(reader, True)
    strings = source.Source(fragments)
    lines, cases = ["[groups]"], ["[cases]"]
    for start in range(0, source.COUNT, GROUP):
        hashes = [source.fnv1a(b"")] * 4
        for index in range(start, start + GROUP):
            text = strings.string(index)
            tokenizer = special if source.knows_specials(index) else plain
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            parts = [packed_text(text), pack(ids), packed_text(special.decode(ids, skip_special_tokens=True)),
                     packed_text(special.decode(ids, skip_special_tokens=False))]
            hashes = [source.fnv1a(part, h) for part, h in zip(parts, hashes)]
            if index < CASES:
                cases.append(" ".join(map(str, ids)))
        lines.append(" ".join("%016x" % h for h in hashes))
    points = ["[codepoints]"]
    for first in range(0, 0x110000, BLOCK):
        texts = [source.code_point_string(c) for c in source.scalar_values(first, first + BLOCK)]
        h = source.fnv1a(b"")
        for encoding in plain.encode_batch(texts, add_special_tokens=False):
            h = source.fnv1a(pack(encoding.ids), h)
        points.append("%016x" % h)
    with open(out_path, "w") as out:
        out.write("\n".join(lines + cases + points) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
