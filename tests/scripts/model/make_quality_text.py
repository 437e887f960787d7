#!/usr/bin/env python3
"""A fixed text for perplexity from this project's own files.

make_quality_text.py MODEL.gguf OUT.u16 FILE...

The files' tokens, cut into 40 windows of 512, as little-endian 16-bit integers. The text was made once and stays fixed:
    make_quality_text.py MODEL.gguf quality-text.u16 docs/*.md common/*.h engine/*/*.h engine/*/*.cc
"""
import pathlib
import sys

import numpy as np
from transformers import AutoTokenizer

WINDOWS = 40
WINDOW_TOKENS = 512


def main():
    path, out, *files = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(str(pathlib.Path(path).parent), gguf_file=pathlib.Path(path).name)
    text = "\n\n".join(pathlib.Path(f).read_text() for f in files)
    tokens = tokenizer.encode(text, add_special_tokens=False)[: WINDOWS * WINDOW_TOKENS]
    assert len(tokens) == WINDOWS * WINDOW_TOKENS
    np.array(tokens, dtype="<u2").tofile(out)


if __name__ == "__main__":
    main()
