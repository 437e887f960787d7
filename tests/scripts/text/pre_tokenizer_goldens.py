"""Writes the words that Hugging Face `tokenizers` cuts the reference strings into, for each supported pre-tokenizer.

Usage: pre_tokenizer_goldens.py FRAGMENTS.txt OUT.txt      (needs: tokenizers)

Under each pre-tokenizer's name, one hash of word lengths (in bytes) for each 100 of the first 4,000 strings, then one for
each 4096 code points.
"""
import struct
import sys

from tokenizers import Regex, pre_tokenizers

import strings as source

GROUP, COUNT, BLOCK = 100, 4000, 4096
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)


PRE_TOKENIZERS = {
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "llama-bpe": split(LLAMA3),
    "qwen2": split(QWEN2),
}


def packed_words(pre_tokenizer, text):
    sizes = [len(text[a:b].encode("utf-8")) for _, (a, b) in pre_tokenizer.pre_tokenize_str(text)]
    assert sum(sizes) == len(text.encode("utf-8"))
    return struct.pack("<%dI" % (1 + len(sizes)), len(sizes), *sizes)


def main(fragments, out_path):
    strings = source.Source(fragments)
    lines = []
    for name, pre_tokenizer in PRE_TOKENIZERS.items():
        lines.append("[%s]" % name)
        groups = [[strings.string(i) for i in range(start, start + GROUP)] for start in range(0, COUNT, GROUP)]
        groups += [[source.code_point_string(c) for c in source.scalar_values(first, first + BLOCK)]
                   for first in range(0, 0x110000, BLOCK)]
        for group in groups:
            h = source.fnv1a(b"")
            for text in group:
                h = source.fnv1a(packed_words(pre_tokenizer, text), h)
            lines.append("%016x" % h)
    with open(out_path, "w") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
